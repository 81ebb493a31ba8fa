//! The table for people.
//!
//! Where it fits it is laid out here: in comfy-table no reason can span the columns that an unavailable metric lacks,
//! and old scripts find their columns where they are. On a narrow terminal the crate `table` does it.

use std::fmt::Write;

use super::report::{Measured, Outcome, Report};
use ::table::{Align, Table};
use measure_core::contract::environment::{Environment, Severity};
use measure_core::contract::vocabulary::{Metric, Unit};
use stats::Summary;

/// A unit's multiples, each with the size from which it is used.
type Steps = [(f64, &'static str)];

const TIME: &Steps = &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
const BYTES: &Steps = &[
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
    (1.0, "B"),
];
const COUNT: &Steps = &[(1e9, "G"), (1e6, "M"), (1.0, "")];

fn label(metric: &Metric) -> &str {
    match metric {
        Metric::WallNs => "wall time",
        Metric::CpuNs => "CPU time",
        Metric::UserNs => "  of it user",
        Metric::SystemNs => "  of it system",
        Metric::ReadBytes => "read from storage",
        Metric::WriteBytes => "written to storage",
        Metric::MinorFaults => "minor page faults",
        Metric::MajorFaults => "major page faults",
        Metric::VoluntarySwitches => "voluntary switches",
        Metric::InvoluntarySwitches => "involuntary switches",
        Metric::CpuCycles => "CPU cycles",
        Metric::PeakPssBytes => "peak PSS, tree",
        Metric::PeakRssBytes => "peak RSS, tree",
        Metric::LargestProcessRssBytes => "peak RSS, 1 process",
        other => other.as_str(),
    }
}

/// Divisor and name of the unit in which a `median` of `metric` reads best.
fn step(metric: &Metric, median: f64) -> (f64, &'static str) {
    let steps = match metric.unit() {
        Unit::Nanoseconds => TIME,
        Unit::Bytes => BYTES,
        Unit::Count => COUNT,
    };
    let fitting = steps.iter().find(|(size, _)| median >= *size);
    *fitting.or(steps.last()).unwrap_or(&(1.0, ""))
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

fn cells(name: &Metric, summary: &Summary) -> Cells {
    let (divisor, unit) = step(name, summary.median);
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

/// A metric.
enum Row {
    Measured(Cells),
    /// A whole line: which it is, and why it has no cells.
    Unavailable(String),
}

impl Row {
    fn cells(&self) -> Option<&Cells> {
        match self {
            Self::Measured(cells) => Some(cells),
            Self::Unavailable(_) => None,
        }
    }
}

/// The metrics, for a terminal of `width` characters if there is one.
fn metrics(rows: &[Row], width: Option<usize>) -> String {
    let header = ["", "n", "min", "median", "MAD", "", INTERVAL].map(str::to_owned);
    let measured = rows.iter().filter_map(Row::cells);
    let measured = measured.chain([&header]).map(line);
    let longest = measured.map(|line| line.trim_end().chars().count()).max();
    if width.is_none_or(|width| longest.is_none_or(|longest| longest <= width)) {
        let lines = rows.iter().map(|row| match row {
            Row::Measured(cells) => line(cells),
            Row::Unavailable(why) => why.clone(),
        });
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
    let mut unavailable = String::new();
    for row in rows {
        match row {
            Row::Measured(cells) => table.row(cells.clone()),
            Row::Unavailable(why) => unavailable += why,
        }
    }
    table.text(width) + &unavailable
}

/// The table, what is odd about it, and what to know when reading it, for a terminal of `width` characters if there
/// is one.
pub(super) fn render(report: &Report, width: Option<usize>) -> String {
    let rows = report.metrics.iter().map(|metric| match &metric.outcome {
        Outcome::Values { summary, .. } => Row::Measured(cells(&metric.name, summary)),
        Outcome::Unavailable { unavailable } => Row::Unavailable(format!(
            "{:<21} unavailable: {unavailable}\n",
            label(&metric.name)
        )),
    });
    let mut text = format!("{}\n\n", report.command.join(" "));
    text += &metrics(&rows.collect::<Vec<_>>(), width);
    remarks(&mut text, report);
    text
}

fn remarks(text: &mut String, report: &Report) {
    let mut lines = Vec::new();
    for Measured { name, outcome, .. } in &report.metrics {
        if let Outcome::Values { flags, summary, .. } = outcome
            // The other metrics follow the wall time, or are small whole numbers.
            && matches!(name, Metric::WallNs | Metric::CpuCycles | Metric::PeakPssBytes)
        {
            let (divisor, unit) = step(name, summary.median);
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
            (Metric::WallNs, 12.0, "ns"),
            (Metric::WallNs, 1500.0, "us"),
            (Metric::WallNs, 2.5e9, "s"),
            (Metric::PeakPssBytes, 4096.0, "KiB"),
            (Metric::ReadBytes, 0.0, "B"),
            (Metric::MinorFaults, 900.0, ""),
        ] {
            assert_eq!(step(&name, median).1, unit, "{name} {median}");
        }
        assert_eq!(number(1536.0, 1024.0), "1.500");
        assert_eq!(number(7.0, 1.0), "7");
        assert_eq!(number(7.5, 1.0), "7.500");
    }

    #[test]
    fn a_row_of_few_runs_has_no_interval() {
        let summary = Summary::from_values(&[1000.0, 2000.0]).expect("values");
        let text = line(&cells(&Metric::WallNs, &summary));
        assert!(text.starts_with("wall time"), "{text}");
        assert!(text.contains("too few runs"), "{text}");
    }

    #[test]
    fn eighty_columns_hold_it_and_reasons_come_last() {
        let values: Vec<f64> = (0..20).map(|i| 123_456_789.0 + f64::from(i)).collect();
        let summary = Summary::from_values(&values).expect("values");
        let rows = [
            Row::Unavailable("CPU cycles            unavailable: no counters\n".to_owned()),
            Row::Measured(cells(&Metric::LargestProcessRssBytes, &summary)),
        ];
        let wide = metrics(&rows, None);
        assert_eq!(wide.lines().next().map(str::len), Some(94), "{wide}");
        assert_eq!(metrics(&rows, Some(200)), wide);
        let narrow = metrics(&rows, Some(80));
        assert!(narrow.lines().all(|line| line.len() <= 80), "{narrow}");
        assert!(narrow.ends_with("no counters\n"), "{narrow}");
    }
}
