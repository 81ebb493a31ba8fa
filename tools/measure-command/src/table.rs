//! The table for people.
//!
//! Where it fits it is laid out here: in comfy-table no reason can span the columns that an unavailable metric lacks,
//! and old scripts find their columns where they are. On a narrow terminal the crate `table` does it.

use std::fmt::Write;

use super::report::{Metric, Outcome, Report};
use ::table::{Align, Table};
use measure_core::contract::environment::{Environment, Severity};
use stats::Summary;

/// A unit and its multiples, each with the size from which it is used.
struct Unit {
    steps: &'static [(f64, &'static str)],
}

const TIME: Unit = Unit {
    steps: &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")],
};
const BYTES: Unit = Unit {
    steps: &[
        (1_073_741_824.0, "GiB"),
        (1_048_576.0, "MiB"),
        (1024.0, "KiB"),
        (1.0, "B"),
    ],
};
const COUNT: Unit = Unit {
    steps: &[(1e9, "G"), (1e6, "M"), (1.0, "")],
};

fn unit_of(metric: &str) -> &'static Unit {
    if metric.ends_with("_ns") {
        &TIME
    } else if metric.ends_with("_bytes") {
        &BYTES
    } else {
        &COUNT
    }
}

fn label(metric: &str) -> &str {
    match metric {
        "wall_ns" => "wall time",
        "cpu_ns" => "CPU time",
        "user_ns" => "  of it user",
        "system_ns" => "  of it system",
        "read_bytes" => "read from storage",
        "write_bytes" => "written to storage",
        "minor_faults" => "minor page faults",
        "major_faults" => "major page faults",
        "voluntary_switches" => "voluntary switches",
        "involuntary_switches" => "involuntary switches",
        "cpu_cycles" => "CPU cycles",
        "instructions" => "instructions",
        "peak_pss_bytes" => "peak PSS, tree",
        "peak_rss_bytes" => "peak RSS, tree",
        "largest_process_rss_bytes" => "peak RSS, 1 process",
        other => other,
    }
}

/// Divisor and name of the unit in which `median` reads best.
fn step(unit: &Unit, median: f64) -> (f64, &'static str) {
    unit.steps
        .iter()
        .copied()
        .find(|(size, _)| median >= *size)
        .or_else(|| unit.steps.last().copied())
        .unwrap_or((1.0, ""))
}

fn number(value: f64, divisor: f64) -> String {
    let scaled = value / divisor;
    if divisor <= 1.0 && scaled.fract() == 0.0 {
        format!("{scaled:.0}")
    } else {
        format!("{scaled:.3}")
    }
}

/// Name, how many, least, median, MAD, their unit, interval.
type Cells = [String; 7];

fn cells(name: &str, summary: &Summary) -> Cells {
    let (divisor, unit) = step(unit_of(name), summary.median);
    let of = |value: f64| number(value, divisor);
    let interval = summary.interval.map_or_else(
        || "too few runs".to_owned(),
        |i| format!("[{}, {}]", of(i.lo), of(i.hi)),
    );
    [
        label(name).to_owned(),
        summary.n.to_string(),
        of(summary.min),
        of(summary.median),
        of(summary.mad),
        unit.to_owned(),
        interval,
    ]
}

fn line([name, n, min, median, mad, unit, interval]: &Cells) -> String {
    format!("{name:<21}{n:>5}{min:>12}{median:>12}{mad:>11} {unit:<4} {interval}\n")
}

const INTERVAL: &str = "95 % interval of the median";

/// The metrics, each its cells or in words why it has none, for a terminal of `width` characters if there is one.
fn metrics(rows: &[Result<Cells, String>], width: Option<usize>) -> String {
    let header = ["", "n", "min", "median", "MAD", "", INTERVAL].map(str::to_owned);
    let measured = rows.iter().flatten().chain([&header]).map(line);
    let longest = measured.map(|line| line.trim_end().chars().count()).max();
    if width.is_none_or(|width| longest.is_none_or(|longest| longest <= width)) {
        let lines = rows
            .iter()
            .map(|row| row.as_ref().map_or_else(Clone::clone, line));
        return line(&header) + &lines.collect::<String>();
    }
    let mut table = Table::new(&[
        ("", Align::Left),
        ("n", Align::Right),
        ("min", Align::Right),
        ("median", Align::Right),
        ("MAD", Align::Right),
        ("", Align::Left),
        ("95 % interval", Align::Left),
    ]);
    for cells in rows.iter().flatten() {
        table.row(cells.clone());
    }
    let unavailable = rows.iter().filter_map(|row| row.as_ref().err().cloned());
    table.text(width) + &unavailable.collect::<String>()
}

/// The table, what is odd about it, and what to know when reading it, for a terminal of `width` characters if there
/// is one.
pub(super) fn render(report: &Report, width: Option<usize>) -> String {
    let rows = report.metrics.iter().map(|metric| match &metric.outcome {
        Outcome::Measured { summary, .. } => Ok(cells(metric.name, summary)),
        Outcome::Unavailable { unavailable } => Err(format!(
            "{:<21} unavailable: {unavailable}\n",
            label(metric.name)
        )),
    });
    let mut text = format!("{}\n\n", report.command.join(" "));
    text += &metrics(&rows.collect::<Vec<_>>(), width);
    remarks(&mut text, report);
    text
}

fn remarks(text: &mut String, report: &Report) {
    let mut lines = Vec::new();
    for Metric { name, outcome, .. } in &report.metrics {
        if let Outcome::Measured { flags, summary, .. } = outcome
            // The other metrics follow the wall time, or are small whole numbers.
            && matches!(*name, "wall_ns" | "cpu_cycles" | "peak_pss_bytes")
        {
            let (divisor, unit) = step(unit_of(name), summary.median);
            let with_unit = |value: f64| format!("{} {unit}", number(value, divisor));
            lines.extend(
                flags
                    .iter()
                    .map(|flag| format!("{}: {}", label(name), flag.describe(with_unit))),
            );
        }
    }
    lines.extend(report.notes.iter().cloned());
    if !report.failures.is_empty() {
        let first = &report.failures[0];
        lines.push(format!(
            "{} run(s) failed, the first with {} (pass {}, run {})",
            report.failures.len(),
            first.how,
            first.pass.name(),
            first.run
        ));
    }
    // What was so before the run has been said before it.
    let before = Environment {
        after: None,
        ..report.environment.clone()
    }
    .concerns();
    for concern in report.environment.concerns() {
        if concern.severity == Severity::Unfit && !before.contains(&concern) {
            lines.push(format!("warning: {concern}"));
        }
    }
    if report.interrupted {
        lines.push("ended early by a signal: fewer runs than asked for".to_owned());
    }
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_median() {
        for (name, median, unit) in [
            ("wall_ns", 12.0, "ns"),
            ("wall_ns", 1500.0, "us"),
            ("wall_ns", 2.5e9, "s"),
            ("peak_pss_bytes", 4096.0, "KiB"),
            ("read_bytes", 0.0, "B"),
            ("minor_faults", 900.0, ""),
        ] {
            assert_eq!(step(unit_of(name), median).1, unit, "{name} {median}");
        }
        assert_eq!(number(1536.0, 1024.0), "1.500");
        assert_eq!(number(7.0, 1.0), "7");
        assert_eq!(number(7.5, 1.0), "7.500");
    }

    #[test]
    fn a_row_of_few_runs_has_no_interval() {
        let summary = Summary::from_values(&[1000.0, 2000.0], 1).expect("values");
        let text = line(&cells("wall_ns", &summary));
        assert!(text.starts_with("wall time"), "{text}");
        assert!(text.contains("too few runs"), "{text}");
    }

    #[test]
    fn eighty_columns_hold_it_and_reasons_come_last() {
        let values: Vec<f64> = (0..20).map(|i| 123_456_789.0 + f64::from(i)).collect();
        let summary = Summary::from_values(&values, 1).expect("values");
        let rows = [
            Err("CPU cycles            unavailable: no counters\n".to_owned()),
            Ok(cells("largest_process_rss_bytes", &summary)),
        ];
        let wide = metrics(&rows, None);
        assert_eq!(wide.lines().next().map(str::len), Some(94), "{wide}");
        assert_eq!(metrics(&rows, Some(200)), wide);
        let narrow = metrics(&rows, Some(80));
        assert!(narrow.lines().all(|line| line.len() <= 80), "{narrow}");
        assert!(narrow.ends_with("no counters\n"), "{narrow}");
    }
}
