//! `summary.json`: the tables that pages show, and what they were measured on.

use std::collections::BTreeMap;

use ::table::summary::{SCHEMA, SUMMARY, Summary};
use ::table::{Align, Table};
use report::{as_typed, measured_on, ratio};

use super::records::Comparison;
use super::rows::{Mean, Row, means};
use super::table::{builds, interval, times, with_interval};

/// The file's name and content. Of each group (a dataset) `<group>`, `<group>-builds` and `<group>-means`.
pub(super) fn render(comparison: &Comparison, rows: &[Row<'_>]) -> (String, String) {
    let means = means(comparison, rows);
    let mut tables = BTreeMap::new();
    for group in comparison.groups() {
        let name = if group.is_empty() { "times" } else { group }.to_ascii_lowercase();
        if let Some(builds) = builds(comparison, group, rows) {
            tables.insert(format!("{name}-builds"), builds);
        }
        let of_group: Vec<&Mean<'_>> = means.iter().filter(|m| m.group == group).collect();
        if !of_group.is_empty() {
            tables.insert(format!("{name}-means"), means_table(&of_group));
        }
        tables.insert(name, times(comparison, group, rows));
    }
    let environment = comparison.records.environment.as_ref();
    let summary = Summary {
        schema: SCHEMA,
        run: comparison.info.run.clone(),
        commands: vec![as_typed(&comparison.info.command_line)],
        measured_on: environment.map_or_else(String::new, measured_on),
        tables,
    };
    (SUMMARY.to_owned(), summary.to_json())
}

/// The means, a row each.
pub(super) fn means_table(means: &[&Mean<'_>]) -> Table {
    let mut table = Table::new(&[
        ("column", Align::Left),
        ("against", Align::Left),
        ("benchmarks", Align::Right),
        ("geometric mean", Align::Right),
        ("these benchmarks again", Align::Left),
        ("benchmarks drawn like these", Align::Left),
        ("whole run", Align::Right),
        ("largest", Align::Left),
        ("of", Align::Left),
    ]);
    for mean in means {
        let whole = mean.whole.map_or(String::new(), |w| ratio(w.mean));
        let (name, largest) = mean.largest.map_or_else(Default::default, |(name, found)| {
            (name.to_owned(), with_interval(found))
        });
        table.row([
            mean.column.to_owned(),
            mean.against.to_owned(),
            mean.kernel.n.to_string(),
            ratio(mean.kernel.mean),
            interval(mean.kernel.these_again),
            interval(mean.kernel.drawn_like_these),
            whole,
            largest,
            name,
        ]);
    }
    table
}
