//! A table, as Markdown or as text for a terminal.
//!
//! Text is laid out by `comfy-table`. Which columns stand side by side on a narrow terminal is decided here: made to
//! fit it would break words and numbers in all of them. Markdown is ours: comfy-table's preset neither says how a
//! column is aligned nor escapes what is Markdown.

use std::ops::Range;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod summary;

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Between two columns of text.
const GAP_CHARS: usize = 2;
/// Fewest characters to wrap sentences in.
const READABLE_CHARS: usize = 24;

/// Headed columns and rows of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

/// How wide the terminal is, in characters, that standard output goes to; `None` if it goes elsewhere.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    let terminal = console::Term::stdout();
    if !terminal.is_term() {
        return None;
    }
    let (_, columns) = terminal.size_checked()?;
    Some(usize::from(columns)).filter(|&columns| columns > 0)
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

    /// Adds a row; what is missing at its end stays empty. What would act where it is shown is written out.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = cells.into_iter().map(|cell| inert(cell.into()));
        let mut cells: Vec<String> = cells.collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Its columns: name, and where cells stand.
    #[must_use]
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    /// Its rows, a cell for each column.
    #[must_use]
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The cell of the first row that begins with `row`, in the column `column`.
    #[must_use]
    pub fn cell(&self, row: &str, column: &str) -> Option<&str> {
        let column = self.columns.iter().position(|(name, _)| name == column)?;
        let row = self
            .rows
            .iter()
            .find(|cells| cells.first().is_some_and(|id| id == row))?;
        row.get(column).map(String::as_str)
    }

    /// The columns and the rows (by their first cells) of these names, in this order; all where a list is empty.
    ///
    /// # Errors
    /// The first name that is not there.
    pub fn select<'a>(&self, columns: &[&'a str], rows: &[&'a str]) -> Result<Self, &'a str> {
        let column = |name: &&'a str| {
            let found = self.columns.iter().position(|(n, _)| n == name);
            found.ok_or(*name)
        };
        let row = |name: &&'a str| {
            let found = self
                .rows
                .iter()
                .find(|r| r.first().is_some_and(|id| id == name));
            found.ok_or(*name)
        };
        let mut chosen: Vec<usize> = columns.iter().map(column).collect::<Result<_, _>>()?;
        if columns.is_empty() {
            chosen = (0..self.columns.len()).collect();
        }
        let mut found: Vec<&Vec<String>> = rows.iter().map(row).collect::<Result<_, _>>()?;
        if rows.is_empty() {
            found = self.rows.iter().collect();
        }
        let cells = |cells: &Vec<String>| {
            let cell = |&column: &usize| cells.get(column).cloned().unwrap_or_default();
            chosen.iter().map(cell).collect()
        };
        Ok(Self {
            columns: chosen.iter().map(|&c| self.columns[c].clone()).collect(),
            rows: found.into_iter().map(cells).collect(),
        })
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
        let aligned = |row: &[String]| {
            let cells = escaped.columns.iter().zip(&widths).zip(row);
            line(&mut cells.map(|(((_, align), &w), cell)| match align {
                Align::Left => format!("{cell:<w$}"),
                Align::Right => format!("{cell:>w$}"),
            }))
        };
        let header: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let rule = escaped.columns.iter().zip(&widths);
        let mut text = aligned(&header);
        text += &line(&mut rule.map(|((_, align), &w)| match align {
            Align::Left => "-".repeat(w),
            Align::Right => "-".repeat(w - 1) + ":",
        }));
        for row in &escaped.rows {
            text += &aligned(row);
        }
        text
    }

    /// As text in columns, for `width` characters. If they are too few, the columns stand in several blocks one
    /// below the other, each with the first column again, and only what is too wide for that is wrapped.
    #[must_use]
    pub fn text(&self, width: Option<usize>) -> String {
        // As many as comfy-table can count stand for no limit.
        let blocks = self.blocks(width.unwrap_or(usize::from(u16::MAX)));
        let texts = blocks.into_iter().map(|block| self.block(block, width));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Which columns beside the first fit into `width` together, at least one each. A column of sentences, for which
    /// no line is long enough, is wrapped in what the others leave if that can be read.
    fn blocks(&self, width: usize) -> Vec<Range<usize>> {
        let widths = self.widths();
        let mut blocks: Vec<Range<usize>> = Vec::new();
        let mut used = width;
        for (column, wide) in widths.iter().enumerate().skip(1) {
            let left = width.saturating_sub(used + GAP_CHARS);
            let sentences = widths[0] + GAP_CHARS + wide > width && left >= READABLE_CHARS;
            used += GAP_CHARS + wide;
            match blocks.last_mut() {
                Some(block) if used <= width || sentences => block.end = column + 1,
                _ => {
                    blocks.push(column..column + 1);
                    used = widths[0] + GAP_CHARS + wide;
                }
            }
        }
        if blocks.is_empty() {
            blocks.push(1..1);
        }
        blocks
    }

    fn block(&self, columns: Range<usize>, width: Option<usize>) -> String {
        let shown = || std::iter::once(0).chain(columns.clone());
        let cell = |column: usize, text: &str| {
            Cell::new(text).set_alignment(match self.columns[column].1 {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            })
        };
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        table.set_header(shown().map(|i| cell(i, &self.columns[i].0)));
        for row in &self.rows {
            table.add_row(shown().map(|i| cell(i, &row[i])));
        }
        let gap = u16::try_from(GAP_CHARS).unwrap_or(u16::MAX);
        for column in table.column_iter_mut() {
            column.set_padding((0, gap));
        }
        if let Some(width) = width {
            // The gap behind the last column is no part of a line.
            let width = u16::try_from(width + GAP_CHARS).unwrap_or(u16::MAX);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width);
        }
        table.trim_fmt() + "\n"
    }
}

/// Whether `c` turns around the text behind it: one of Unicode's bidirectional overrides and isolates.
#[must_use]
pub fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `cell`, whoever wrote it: without what moves a terminal's cursor, or [turns the text around](turns_text). So it stands in a
/// table.
#[must_use]
pub fn inert(cell: String) -> String {
    let acts = |c: char| c.is_control() && c != '\n' || turns_text(c);
    if !cell.contains(acts) {
        return cell;
    }
    let mut inert = String::new();
    for c in cell.chars() {
        if acts(c) {
            inert.extend(c.escape_default());
        } else {
            inert.push(c);
        }
    }
    inert
}

fn escape(cell: &str) -> String {
    cell.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_line_up_in_both_forms() {
        let mut table = Table::new(&[("Runtime", Align::Left), ("Median", Align::Right)]);
        table.row(["wasm", "12.6 us"]);
        table.row(["a|b"]);
        assert_eq!(
            table.text(None),
            "Runtime   Median\nwasm     12.6 us\na|b\n"
        );
        assert_eq!(
            table.markdown(),
            "| Runtime |  Median |\n| ------- | ------: |\n| wasm    | 12.6 us |\n| a\\|b    |         |\n"
        );
    }

    #[test]
    fn no_cell_acts_on_what_shows_it() {
        let mut table = Table::new(&[("rung", Align::Left)]);
        table.row(["a\x1b[2J\u{202e}b"]);
        let text = table.text(None);
        assert!(text.contains("a\\u{1b}[2J\\u{202e}b"), "{text}");
        let mut table = Table::new(&[("rung", Align::Left), ("why", Align::Left)]);
        table.row(["größer שלום", "a\nb"]);
        assert_eq!(table.rows()[0], ["größer שלום", "a\nb"]);
    }

    #[test]
    fn cells_are_found_and_chosen_by_their_names() {
        let mut table = Table::new(&[
            ("rung", Align::Left),
            ("time", Align::Right),
            ("PSS", Align::Right),
        ]);
        table.row(["wasm", "5 us", "20 KiB"]);
        table.row(["docker-none", "315 ms"]);
        assert_eq!(table.cell("wasm", "PSS"), Some("20 KiB"));
        assert_eq!(table.cell("docker-none", "PSS"), Some(""));
        assert_eq!(table.cell("runc", "PSS"), None);
        assert_eq!(table.cell("wasm", "USS"), None);
        let chosen = table.select(&["PSS", "rung"], &["docker-none", "wasm"]);
        let text = chosen.expect("all there").text(None);
        assert_eq!(text, "   PSS  rung\n        docker-none\n20 KiB  wasm\n");
        assert_eq!(table.select(&[], &[]), Ok(table.clone()));
        assert_eq!(table.select(&["USS"], &[]), Err("USS"));
        assert_eq!(table.select(&[], &["runc"]), Err("runc"));
    }

    fn ladder() -> Table {
        let mut table = Table::new(&[
            ("runtime", Align::Left),
            ("median start", Align::Right),
            ("95 % interval", Align::Left),
            ("isolates", Align::Left),
        ]);
        table.row([
            "proto-faaslet-pooled",
            "192 us",
            "188 us .. 198 us",
            "M--FSP-",
        ]);
        table
    }

    #[test]
    fn a_wide_enough_terminal_changes_nothing() {
        let widest = ladder().text(None).lines().map(str::len).max();
        assert_eq!(ladder().text(widest), ladder().text(None));
    }

    #[test]
    fn on_a_narrow_terminal_columns_stand_in_blocks() {
        assert_eq!(
            ladder().text(Some(55)),
            "runtime               median start  95 % interval\n\
             proto-faaslet-pooled        192 us  188 us .. 198 us\n\
             \n\
             runtime               isolates\n\
             proto-faaslet-pooled  M--FSP-\n"
        );
    }

    #[test]
    fn sentences_are_wrapped_beside_the_other_columns() {
        let mut table = Table::new(&[("name", Align::Left), ("why", Align::Left)]);
        table.row([
            "asyncio",
            "it waits for a network that the benchmark does not have here",
        ]);
        assert_eq!(
            table.text(Some(40)),
            "name     why\n\
             asyncio  it waits for a network that the\n\
             \x20        benchmark does not have here\n"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_cell_is_lost(
            cells in prop::collection::vec("[a-z]{1,12}( [a-z]{1,12}){0,3}", 1..8),
            width in 20_usize..120,
        ) {
            let heads: Vec<(&str, Align)> = cells.iter().map(|_| ("head", Align::Left)).collect();
            let mut table = Table::new(&heads);
            table.row(cells.clone());
            let text = table.text(Some(width));
            prop_assert!(text.lines().all(|line| line.chars().count() <= width), "{}", text);
            let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).count();
            prop_assert!(letters(&text) >= letters(&cells.concat()), "{}", text);
        }
    }
}
