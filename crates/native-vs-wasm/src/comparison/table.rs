//! Tables of times and ratios.

use stats::{Interval, Ratio};

use super::bars::bars;
use super::rows::row;
use super::{Comparison, Mean, Row, Times, means, rows};
use ::table::{Align, Table};
use report::{duration_ns, ratio};

/// Everything for a terminal, of `width` characters if it is one: a table and bars per group, the means, what went
/// wrong.
#[must_use]
pub fn terminal(comparison: &Comparison, width: Option<usize>) -> String {
    let found = rows(comparison);
    let means = means(comparison, &found);
    let mut text = String::new();
    for group in comparison.groups() {
        if !group.is_empty() {
            text += &format!("{group}\n");
        }
        text += &times(comparison, group, &found).text(width);
        text.push('\n');
        for column in &comparison.info.columns {
            let mean = means
                .iter()
                .find(|m| m.group == group && m.column == column.name);
            let drawn = bars(comparison, group, &column.name, &found, mean, width);
            if !drawn.is_empty() {
                text += &drawn;
                text.push('\n');
            }
        }
    }
    text += &summary(comparison, &means);
    text += &troubles(comparison, "");
    text
}

/// One benchmark, the one at `index` of the run's list, in a line.
#[must_use]
pub fn line(comparison: &Comparison, index: usize) -> String {
    let Some(benchmark) = comparison.info.benchmarks.get(index) else {
        return String::new();
    };
    let row = row(comparison, benchmark);
    let cells = row.cells.iter().map(|cell| {
        let over = cell.kernel.ratio.map_or(String::new(), |found| {
            format!(" ({})", with_interval(found))
        });
        format!("{} {}{over}", cell.column, median(&cell.kernel))
    });
    format!(
        "{}: {}",
        benchmark.name,
        cells.collect::<Vec<_>>().join(", ")
    )
}

/// Median times and ratios of a group.
pub(super) fn times(comparison: &Comparison, group: &str, rows: &[Row<'_>]) -> Table {
    let reference = comparison.info.reference.as_deref();
    let mut table = Table::new(&[("benchmark", Align::Left)]);
    for column in &comparison.info.columns {
        table.column(&format!("{} kernel", column.name), Align::Right);
    }
    for column in &comparison.info.columns {
        if let Some(reference) = reference.filter(|&r| r != column.name) {
            table.column(&format!("{}/{reference}", column.name), Align::Left);
            table.column("whole run", Align::Right);
        }
    }
    table.column("runs", Align::Right);
    table.column("repeats", Align::Right);
    for row in rows.iter().filter(|row| row.benchmark.group == group) {
        let mut cells = vec![row.benchmark.name.clone()];
        cells.extend(row.cells.iter().map(|cell| median(&cell.kernel)));
        for cell in &row.cells {
            if reference.is_some_and(|r| r != cell.column) {
                cells.push(cell.kernel.ratio.map_or(String::new(), with_interval));
                cells.push(cell.whole.ratio.map_or(String::new(), |r| ratio(r.ratio)));
            }
        }
        cells.push(counts(row));
        cells.push(row.benchmark.repeats.to_string());
        table.row(cells);
    }
    table
}

fn median(times: &Times) -> String {
    times
        .summary
        .map_or("-".to_owned(), |s| duration_ns(s.median))
}

/// `5`, or `5+3` where the columns have different numbers.
fn counts(row: &Row<'_>) -> String {
    let counts: Vec<usize> = row.cells.iter().map(|c| c.kernel.values.len()).collect();
    match counts.split_first() {
        Some((first, rest)) if rest.iter().all(|n| n == first) => first.to_string(),
        _ => counts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("+"),
    }
}

pub(super) fn with_interval(found: Ratio) -> String {
    format!("{}{}", ratio(found.ratio), interval(found.interval))
}

/// ` [lo, hi]`, or nothing.
pub(super) fn interval(found: Option<Interval>) -> String {
    found.map_or(String::new(), |i| {
        format!(" [{}, {}]", ratio(i.lo), ratio(i.hi))
    })
}

/// The means, a line each.
pub(super) fn summary(comparison: &Comparison, means: &[Mean<'_>]) -> String {
    let reference = comparison.info.reference.as_deref().unwrap_or_default();
    let line = |mean: &Mean<'_>| {
        let group = if mean.group.is_empty() {
            String::new()
        } else {
            format!("{}: ", mean.group)
        };
        let all = if mean.kernel.n == mean.of {
            mean.of.to_string()
        } else {
            format!("{} of {}", mean.kernel.n, mean.of)
        };
        let whole = mean.whole.map_or(String::new(), |w| {
            format!("; whole run {}{}", ratio(w.mean), interval(w.interval))
        });
        let largest = mean.largest.map_or(String::new(), |(name, found)| {
            format!("; largest {} ({name})", with_interval(found))
        });
        format!(
            "{group}{}/{reference} geometric mean over {all}: {}{}{whole}{largest}\n",
            mean.column,
            ratio(mean.kernel.mean),
            interval(mean.kernel.interval),
        )
    };
    means.iter().map(line).collect()
}

/// What went wrong, a line each behind `mark`.
pub(super) fn troubles(comparison: &Comparison, mark: &str) -> String {
    let benchmarks = comparison.info.benchmarks.iter();
    benchmarks
        .flat_map(|b| b.trouble.iter().map(move |what| (b, what)))
        .map(|(b, what)| format!("{mark}{}: {what}\n", b.name))
        .collect()
}
