//! `report.md` of a comparison.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::plot::plot_name;
use super::records::{Comparison, disturbances};
use super::rows::{Row, has_ratio, means};
use super::{curve, table};
use report::TORN;
use report::duration_ns;
use report::environment;

pub(super) fn render(comparison: &Comparison, rows: &[Row<'_>]) -> String {
    let info = &comparison.info;
    let mut text = format!("# {}\n\nRun `{}`, seed {}", info.title, info.run, info.seed);
    let _ = write!(text, ", command line `{}`", info.command_line.join(" "));
    if let Some(ended) = &info.ended {
        let _ = write!(text, "; **{ended}**");
    }
    text += ".\n\n";
    if comparison.records.torn {
        let _ = write!(text, "{TORN}\n\n");
    }
    text += &environment::warnings(comparison.records.environment.as_ref());
    let troubles = table::troubles(comparison, rows, "- ");
    if !troubles.is_empty() {
        let _ = writeln!(text, "## Not measured, or not to the end\n\n{troubles}");
    }
    let means = means(comparison, rows);
    if !means.is_empty() {
        text += "## Means\n\n";
        for line in table::summary(comparison, &means).lines() {
            let _ = writeln!(text, "- {line}");
        }
        text.push('\n');
    }
    let aa = table::aa(comparison, rows);
    if !aa.is_empty() {
        let _ = writeln!(text, "## A/A\n\n{aa}");
    }
    for group in comparison.groups() {
        let times = table::times(comparison, group, rows);
        if times.is_empty() {
            continue;
        }
        let _ = writeln!(text, "## Times{}\n", suffix(group));
        if rows
            .iter()
            .any(|r| r.benchmark.group == group && has_ratio(r))
        {
            let _ = writeln!(text, "![ratios]({})\n", plot_name(group));
        }
        let _ = writeln!(text, "{}", times.markdown());
        if let Some(builds) = table::builds(comparison, group, rows) {
            let _ = writeln!(
                text,
                "Native builds{}:\n\n{}",
                suffix(group),
                builds.markdown()
            );
        }
    }
    text += &curve::markdown(comparison);
    text += &odd(rows);
    text += &host(comparison);
    text += &how(comparison);
    text + &environment::section(comparison.records.environment.as_ref())
}

pub(super) fn suffix(group: &str) -> String {
    if group.is_empty() {
        String::new()
    } else {
        format!(", {group}")
    }
}

/// What is odd about the kernel times, a line each.
pub(super) fn odd_lines(rows: &[Row<'_>]) -> String {
    let mut text = String::new();
    let mut unchecked: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let cells = || {
        rows.iter()
            .flat_map(|row| row.cells.iter().map(move |cell| (row, cell)))
    };
    for (row, cell) in cells() {
        for flag in &cell.kernel.odd.flags {
            let name = &row.benchmark.name;
            let _ = writeln!(
                text,
                "- {name}, {}: {}",
                cell.column,
                flag.describe(duration_ns)
            );
        }
        for (what, why) in &cell.kernel.odd.unchecked {
            *unchecked.entry((what, why.to_string())).or_default() += 1;
        }
    }
    for ((what, why), times) in unchecked {
        let of = cells().count();
        let _ = writeln!(text, "- {what}: unchecked in {times} of {of} cells: {why}");
    }
    text
}

fn odd(rows: &[Row<'_>]) -> String {
    let text = odd_lines(rows);
    if text.is_empty() {
        return text;
    }
    format!("## What is odd about the kernel times\n\n{text}\n")
}

/// What else the host did, for each benchmark of which a block was disturbed.
fn host(comparison: &Comparison) -> String {
    let line = table::host(comparison);
    if line.is_empty() {
        return line;
    }
    let mut found = disturbances(comparison);
    found.retain(|_, host| host.disturbed > 0);
    if found.is_empty() {
        return format!("## The host meanwhile\n\n{line}\n");
    }
    format!("{}{line}\n", report::host_section("Benchmark", &found))
}

fn how(comparison: &Comparison) -> String {
    format!("## How it was measured\n\n{}\n", how_lines(comparison))
}

/// How it was measured, a line each, settings below their column.
pub(super) fn how_lines(comparison: &Comparison) -> String {
    let info = &comparison.info;
    let mut text = String::new();
    for note in &info.notes {
        let _ = writeln!(text, "- {note}");
    }
    for column in &info.columns {
        let _ = writeln!(
            text,
            "- **{}**, {} runs asked for: {}",
            column.name, column.iterations, column.summary
        );
        for setting in &column.settings {
            let _ = writeln!(text, "  - {setting}");
        }
    }
    let unverified: Vec<&str> = info
        .benchmarks
        .iter()
        .filter(|b| b.verified.is_none())
        .map(|b| b.name.as_str())
        .collect();
    let mut agreed: Vec<&str> = info
        .benchmarks
        .iter()
        .filter_map(|b| b.verified.as_deref())
        .collect();
    agreed.sort_unstable();
    agreed.dedup();
    if unverified.len() < info.benchmarks.len() && agreed.len() == 1 {
        let _ = writeln!(text, "- outputs of all columns: {}", agreed[0]);
    } else {
        for benchmark in &info.benchmarks {
            if let Some(how) = &benchmark.verified {
                let _ = writeln!(text, "- outputs of {}: {how}", benchmark.name);
            }
        }
    }
    if !unverified.is_empty() {
        let _ = writeln!(text, "- outputs not compared: {}", unverified.join(", "));
    }
    text
}
