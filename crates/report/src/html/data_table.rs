//! A table of figures: with what its columns mean, its content as CSV, and what to sort its rows by.

use maud::{Markup, html};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use table::{Align, Table};

use super::legend::{Legend, meaning};
use super::words::{prose, slug};

/// What may not stand in the content of a `data:` link.
const NOT_IN_LINKS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'`');
/// Cells with fewer characters are not broken into lines.
const SHORT_CHARS: usize = 26;
/// First cells, which stay in view where a table is wider than the screen, are broken from so many on.
const LONG_NAME_CHARS: usize = 40;

/// What a column without a name is called where a name has to be.
const UNNAMED: &str = "notes";

/// Where a first cell leads to, by what is in it.
pub type Links<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Of tables whose rows lead nowhere.
pub const NO_LINKS: Links<'static> = &|_| None;

/// The table under `caption`, with what `legend` says of its columns. First cells are links where `links` says so. Empty if there is
/// no row.
#[must_use]
pub fn data_table(caption: &str, table: &Table, legend: Legend, links: Links<'_>) -> Markup {
    if table.is_empty() {
        return html! {};
    }
    let columns = table.columns();
    html! {
        div.data {
            // Named otherwise than the section around it, which often has the same heading.
            div.scroll tabindex="0" role="region" aria-label={ "Table: " (caption) } {
                table {
                    caption { (caption) }
                    thead { tr {
                        @for (name, align) in columns {
                            th scope="col" class=[class_of(*align)] title=[meaning(legend, name)] {
                                @if name.is_empty() { span.hidden { (UNNAMED) } } @else { (name) }
                            }
                        }
                    } }
                    tbody { @for row in table.rows() { (table_row(columns, row, links)) } }
                }
            }
            p.beneath {
                a.csv download={ (slug(caption)) ".csv" } href=(csv_link(table)) {
                    "CSV" span.hidden { " of " (caption) }
                }
            }
            (legend_of(columns, legend))
        }
    }
}

fn class_of(align: Align) -> Option<&'static str> {
    (align == Align::Right).then_some("number")
}

fn table_row(columns: &[(String, Align)], row: &[String], links: Links<'_>) -> Markup {
    html! {
        tr { @for (at, ((_, align), cell)) in columns.iter().zip(row).enumerate() {
            @if at == 0 {
                th scope="row" class=[(cell.chars().count() > LONG_NAME_CHARS).then_some("long")] {
                    @match links(cell) {
                        Some(link) => a href=(link) { (cell) },
                        None => (cell),
                    }
                }
            } @else {
                td class=[cell_class(*align, cell)] data-value=[sort_value(cell)] { (prose(cell)) }
            }
        } }
    }
}

fn cell_class(align: Align, cell: &str) -> Option<&'static str> {
    let short = cell.chars().count() < SHORT_CHARS || sort_value(cell).is_some();
    match (align, short) {
        (Align::Right, _) => Some("number"),
        (Align::Left, true) => Some("short"),
        (Align::Left, false) => None,
    }
}

fn legend_of(columns: &[(String, Align)], legend: Legend) -> Markup {
    let meant = columns.iter().filter_map(|(name, _)| {
        let meaning = meaning(legend, name)?;
        Some((name, meaning))
    });
    let meant: Vec<_> = meant.collect();
    html! {
        @if !meant.is_empty() {
            details.legend {
                summary { "What the columns mean" }
                dl { @for (name, meaning) in meant { dt { @if name.is_empty() { (UNNAMED) } @else { (name) } } dd { (meaning) } } }
            }
        }
    }
}

/// What to sort by a cell that begins with a number, in the smallest of its units; `None` for words.
fn sort_value(cell: &str) -> Option<f64> {
    let cell = cell.trim_start_matches('~');
    if !cell.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    let mut words = cell.split(' ');
    let number: f64 = words.next()?.parse().ok()?;
    let size = match words.next().unwrap_or_default() {
        "us" | "k" => 1e3,
        "ms" | "M" => 1e6,
        "s" | "G" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => 1.0,
    };
    Some(number * size)
}

/// The table as CSV within a link.
fn csv_link(table: &Table) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = table.columns().iter().map(|(name, _)| name);
    // A vector takes every write, and all rows of a table are of one length.
    let _ = writer.write_record(header);
    for row in table.rows() {
        let _ = writer.write_record(row);
    }
    let bytes = writer.into_inner().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    format!(
        "data:text/csv;charset=utf-8,{}",
        utf8_percent_encode(&text, NOT_IN_LINKS)
    )
}

#[cfg(test)]
mod tests {
    use super::super::legend::SELF_EVIDENT;
    use super::*;

    #[test]
    fn cells_are_sorted_by_what_they_are_worth() {
        let sorted = [
            "2.25 us -0.6+0.4%",
            "73.9 us [1 us, 2 us]",
            "1.20 ms",
            "3.00 s",
        ];
        let values: Vec<f64> = sorted.iter().filter_map(|c| sort_value(c)).collect();
        assert_eq!(values.len(), sorted.len());
        assert!(values.is_sorted(), "{values:?}");
        assert_eq!(sort_value("9.56 KiB +-1%"), Some(9.56 * 1024.0));
        assert_eq!(sort_value("~78.4 k (4)"), Some(78_400.0));
        assert_eq!(sort_value("-12 B"), Some(-12.0));
        assert_eq!(sort_value("12.5 %"), Some(12.5));
        for words in ["-", "", "inf", "nan", "unavailable: x", "29:275+2900"] {
            assert_eq!(sort_value(words), None, "{words}");
        }
    }

    #[test]
    fn hostile_cells_are_inert_in_the_table_and_in_its_csv() {
        let mut table = Table::new(&[("Runtime", Align::Left), ("<b>", Align::Right)]);
        table.row([
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
        ]);
        let text = data_table("a \"<i>\" table", &table, SELF_EVIDENT, NO_LINKS).into_string();
        for forbidden in ["<script", "<img", "<i>", "<b>", "\"><"] {
            let found = text.matches(forbidden).count();
            // `"><` stands wherever an attribute ends an element.
            assert!(forbidden == "\"><" || found == 0, "{forbidden}: {text}");
        }
        assert!(text.contains("&lt;script&gt;alert(1)"), "{text}");
        assert!(text.contains("%3Cscript%3Ealert(1)"), "{text}");
    }

    #[test]
    fn rows_lead_where_they_are_told_to() {
        let mut table = Table::new(&[("Runtime", Align::Left), ("Median", Align::Left)]);
        table.row(["wasm", "5.1 us"]);
        let links: Links<'_> = &|cell| Some(format!("#rung-{cell}"));
        let text = data_table("t", &table, SELF_EVIDENT, links).into_string();
        assert!(
            text.contains(r##"<a href="#rung-wasm">wasm</a>"##),
            "{text}"
        );
        assert!(text.contains(r#"data-value="5100""#), "{text}");
    }
}
