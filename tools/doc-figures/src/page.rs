//! A page with its figures.

use crate::error::Fault;
use crate::reference::References;

const BLOCK: &str = "<!-- figures ";
const BLOCK_END: &str = "<!-- end of figures -->";
const CELL: &str = "<!--= ";
const CELL_END: &str = "<!--=-->";
const CLOSE: &str = "-->";
/// As wide as a block of text is shown without a bar to scroll.
const TEXT_CHARS: usize = 150;

/// A page as it should be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) text: String,
    /// Intervals that no reference run is behind, with the line (from 1) on which each stands.
    pub(crate) unsourced: Vec<(usize, String)>,
}

/// `text` with every figure as its run has it.
///
/// # Errors
/// The line, from 1, of the first comment that asks for what is not there.
pub(crate) fn fill(text: &str, references: &References) -> Result<Page, (usize, Fault)> {
    let mut page = Page::default();
    let mut lines = (1..).zip(text.split_inclusive('\n'));
    while let Some((number, line)) = lines.next() {
        let at = |fault| (number, fault);
        let Some(asked) = line.trim_end().strip_prefix(BLOCK) else {
            let (filled, own) = cells(line, references).map_err(at)?;
            let found = intervals(&own).map(|interval| (number, interval));
            page.unsourced.extend(found);
            page.text += &filled;
            continue;
        };
        let asked = asked.strip_suffix(CLOSE).ok_or(at(Fault::Open(CLOSE)))?;
        page.text += line;
        page.text += &block(asked, references).map_err(at)?;
        page.text += BLOCK_END;
        let end = lines.find(|(_, line)| line.trim_end() == BLOCK_END);
        let (_, end) = end.ok_or(at(Fault::Open(BLOCK_END)))?;
        page.text += &end[BLOCK_END.len()..];
    }
    Ok(page)
}

/// What stands between the comments of a block.
fn block(asked: &str, references: &References) -> Result<String, Fault> {
    let mut clauses = asked.split(';').map(str::trim);
    let mut first = clauses.next().unwrap_or_default().split_whitespace();
    let address = first.next().unwrap_or_default();
    let rest = first.collect::<Vec<_>>().join(" ");
    let (mut as_text, mut columns, mut rows) = (false, Vec::new(), Vec::new());
    let names = |list: &'static str, clause: &str| -> Option<Vec<String>> {
        let names = clause.strip_prefix(list)?.split(',');
        Some(names.map(|name| name.trim().to_owned()).collect())
    };
    for clause in std::iter::once(rest.as_str()).chain(clauses) {
        if clause == "as text" {
            as_text = true;
        } else if let Some(found) = names("columns ", clause) {
            columns = found;
        } else if let Some(found) = names("rows ", clause) {
            rows = found;
        } else if !clause.is_empty() {
            return Err(Fault::Clause(clause.to_owned()));
        }
    }
    let (summary, table) = references.table(address)?;
    let (columns, rows): (Vec<&str>, Vec<&str>) = (
        columns.iter().map(String::as_str).collect(),
        rows.iter().map(String::as_str).collect(),
    );
    let table = table
        .select(&columns, &rows)
        .map_err(|name| Fault::Cell(name.to_owned()))?;
    let body = if as_text {
        format!("```\n{}```\n", table.text(Some(TEXT_CHARS)))
    } else {
        format!("\n{}", table.markdown())
    };
    let commands: Vec<String> = summary.commands.iter().map(|c| format!("`{c}`")).collect();
    Ok(format!(
        "{body}\n{}; {}\n",
        commands.join(", "),
        summary.measured_on
    ))
}

/// `line` with its cells filled, and what of it is no cell.
fn cells(line: &str, references: &References) -> Result<(String, String), Fault> {
    let (mut filled, mut own, mut rest) = (String::new(), String::new(), line);
    while let Some((before, after)) = rest.split_once(CELL) {
        let (asked, after) = after.split_once(CLOSE).ok_or(Fault::Open(CLOSE))?;
        let (_, after) = after.split_once(CELL_END).ok_or(Fault::Open(CELL_END))?;
        let parts: Vec<&str> = asked.split('|').map(str::trim).collect();
        let [address, row, column] = parts[..] else {
            return Err(Fault::Form(asked.trim().to_owned()));
        };
        let (_, table) = references.table(address)?;
        let cell = table.cell(row, column);
        let cell = cell.ok_or_else(|| Fault::Cell(format!("{row} | {column}")))?;
        own += before;
        filled += &format!("{before}{CELL}{asked}{CLOSE}{cell}{CELL_END}");
        rest = after;
    }
    own += rest;
    filled += rest;
    Ok((filled, own))
}

/// Intervals of numbers: `[1.04, 1.10]`, `[28 ms, 53 ms]`.
fn intervals(text: &str) -> impl Iterator<Item = String> {
    text.split('[').skip(1).filter_map(|after| {
        let (inside, _) = after.split_once(']')?;
        let (lo, hi) = inside.split_once(", ")?;
        (is_quantity(lo) && is_quantity(hi)).then(|| format!("[{inside}]"))
    })
}

/// A number, with or without a unit behind it.
fn is_quantity(text: &str) -> bool {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    // `NaN` and `inf` are numbers to the parser.
    let digits = number.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    digits && number.parse::<f64>().is_ok() && unit.len() <= 4
}

/// The first line, from 1, in which two texts that differ do so: the number, and both lines.
pub(crate) fn first_difference<'a>(one: &'a str, other: &'a str) -> (usize, &'a str, &'a str) {
    let (mut ones, mut others) = (one.lines(), other.lines());
    for number in 1.. {
        match (ones.next(), others.next()) {
            (None, None) => return (number, "", ""),
            (one, other) if one != other => {
                return (number, one.unwrap_or_default(), other.unwrap_or_default());
            }
            _ => {}
        }
    }
    (0, "", "")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use table::summary::{SCHEMA, Summary};
    use table::{Align, Table};

    use super::*;

    fn references() -> References {
        let mut table = Table::new(&[("runtime", Align::Left), ("median", Align::Right)]);
        table.row(["wasm", "5.1 us"]);
        table.row(["docker-none", "315 ms"]);
        References::of_one(
            "quick",
            Summary {
                schema: SCHEMA,
                run: "r".into(),
                commands: vec!["runtime_bench quick".into()],
                measured_on: "a CPU, 2 processors".into(),
                tables: BTreeMap::from([("ladder".to_owned(), table)]),
            },
        )
    }

    fn filled(text: &str) -> String {
        fill(text, &references()).expect("a page").text
    }

    fn fault(text: &str) -> (usize, Fault) {
        fill(text, &references()).expect_err("a fault")
    }

    #[test]
    fn a_table_and_what_it_was_measured_on_take_the_place_of_what_stood_there() {
        let page =
            "before\n<!-- figures quick.ladder -->\nold\n[1, 2]\n<!-- end of figures -->\nafter\n";
        let made = filled(page);
        assert_eq!(
            made,
            "before\n<!-- figures quick.ladder -->\n\n\
             | runtime     | median |\n| ----------- | -----: |\n| wasm        | 5.1 us |\n| docker-none | 315 ms |\n\n\
             `runtime_bench quick`; a CPU, 2 processors\n<!-- end of figures -->\nafter\n"
        );
        assert_eq!(filled(&made), made);
    }

    #[test]
    fn some_rows_and_columns_can_be_asked_for_as_text() {
        let page = "<!-- figures quick.ladder as text; columns median, runtime; rows wasm -->\n<!-- end of figures -->";
        assert_eq!(
            filled(page),
            "<!-- figures quick.ladder as text; columns median, runtime; rows wasm -->\n\
             ```\nmedian  runtime\n5.1 us  wasm\n```\n\n`runtime_bench quick`; a CPU, 2 processors\n<!-- end of figures -->"
        );
    }

    #[test]
    fn a_cell_stands_in_a_sentence() {
        let page = "It takes <!--= quick.ladder | wasm | median -->1 us<!--=-->, not <!--= quick.ladder | docker-none | median --><!--=-->.\n";
        assert_eq!(
            filled(page),
            "It takes <!--= quick.ladder | wasm | median -->5.1 us<!--=-->, not <!--= quick.ladder | docker-none | median -->315 ms<!--=-->.\n"
        );
    }

    #[test]
    fn what_is_not_there_is_named_with_its_line() {
        let block =
            |asked: &str| format!("one\n<!-- figures {asked} -->\n<!-- end of figures -->\n");
        assert!(matches!(fault(&block("quick")), (2, Fault::Form(_))));
        assert!(matches!(
            fault(&block("slow.ladder")),
            (2, Fault::Run { .. })
        ));
        assert!(matches!(
            fault(&block("quick.bars")),
            (2, Fault::Table { .. })
        ));
        assert_eq!(
            fault(&block("quick.ladder rows runc")),
            (2, Fault::Cell("runc".into()))
        );
        assert_eq!(
            fault(&block("quick.ladder in red")),
            (2, Fault::Clause("in red".into()))
        );
        assert_eq!(
            fault("<!-- figures quick.ladder -->\nno end\n"),
            (1, Fault::Open(BLOCK_END))
        );
        assert_eq!(
            fault("a <!--= quick.ladder | wasm | median -->b\n"),
            (1, Fault::Open(CELL_END))
        );
    }

    #[test]
    fn an_interval_elsewhere_is_a_figure_without_a_run() {
        let page = "It is 1.07 [1.04, 1.10], or [28 ms, 53 ms].\nA [link, more] and `[0, n)`, [x](y), [NaN, inf].\n";
        let found = fill(page, &references()).expect("a page").unsourced;
        assert_eq!(
            found,
            [
                (1, "[1.04, 1.10]".to_owned()),
                (1, "[28 ms, 53 ms]".to_owned())
            ]
        );
    }

    #[test]
    fn differences_are_found_in_either_text() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), (2, "b", "c"));
        assert_eq!(first_difference("a\n", "a\nc\n"), (2, "", "c"));
    }

    proptest! {
        #[test]
        fn any_page_is_filled_once_or_refused(text in "(a|\n| |<!-- figures quick.ladder|;|rows wasm|-->|<!-- end of figures -->|<!--= |quick.ladder|\\||<!--=-->|\\[1, 2\\]){0,30}") {
            if let Ok(page) = fill(&text, &references()) {
                let again = fill(&page.text, &references()).expect("as it was written");
                prop_assert_eq!(again, page);
            }
        }
    }
}
