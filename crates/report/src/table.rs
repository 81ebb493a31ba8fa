//! A table, as Markdown or as text for a terminal.

use std::fmt::Write;

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Headed columns and rows of text.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with `columns`.
    #[must_use]
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            columns: columns
                .iter()
                .map(|&(name, align)| (name.to_owned(), align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a column at the right, empty so far.
    pub fn column(&mut self, name: &str, align: Align) {
        self.columns.push((name.to_owned(), align));
    }

    /// Adds a row; what is missing at its end stays empty.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let cells = |column: usize| self.rows.iter().map(move |row| row[column].chars().count());
        self.columns
            .iter()
            .enumerate()
            .map(|(i, (name, _))| cells(i).max().unwrap_or(0).max(name.chars().count()))
            .collect()
    }

    /// As a Markdown table, padded so that its source can be read too.
    #[must_use]
    pub fn markdown(&self) -> String {
        let escaped = Self {
            columns: self.columns.clone(),
            rows: self
                .rows
                .iter()
                .map(|row| row.iter().map(|cell| escape(cell)).collect())
                .collect(),
        };
        let widths: Vec<usize> = escaped.widths().into_iter().map(|w| w.max(3)).collect();
        let line = |cells: &mut dyn Iterator<Item = String>| {
            cells.fold("|".to_owned(), |line, cell| line + " " + &cell + " |") + "\n"
        };
        let mut text = line(&mut escaped.aligned(&widths, &escaped.header()));
        text += &line(&mut escaped.columns.iter().zip(&widths).map(
            |((_, align), &w)| match align {
                Align::Left => "-".repeat(w),
                Align::Right => "-".repeat(w - 1) + ":",
            },
        ));
        for row in &escaped.rows {
            text += &line(&mut escaped.aligned(&widths, row));
        }
        text
    }

    /// As text in columns.
    #[must_use]
    pub fn text(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in std::iter::once(&self.header()).chain(&self.rows) {
            let cells: Vec<String> = self.aligned(&widths, row).collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        text
    }

    fn header(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    fn aligned<'a>(
        &'a self,
        widths: &'a [usize],
        row: &'a [String],
    ) -> impl Iterator<Item = String> + 'a {
        self.columns
            .iter()
            .zip(widths)
            .zip(row)
            .map(|(((_, align), &w), cell)| match align {
                Align::Left => format!("{cell:<w$}"),
                Align::Right => format!("{cell:>w$}"),
            })
    }
}

fn escape(cell: &str) -> String {
    cell.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_both_forms() {
        let mut table = Table::new(&[("Runtime", Align::Left), ("Median", Align::Right)]);
        table.row(["wasm", "12.6 us"]);
        table.row(["a|b"]);
        assert_eq!(table.text(), "Runtime   Median\nwasm     12.6 us\na|b\n");
        assert_eq!(
            table.markdown(),
            "| Runtime |  Median |\n| ------- | ------: |\n| wasm    | 12.6 us |\n| a\\|b    |         |\n"
        );
    }
}
