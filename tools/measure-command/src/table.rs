//! The table for people.
//!
//! Where it fits it is laid out here: in comfy-table no reason can span the columns that an unavailable metric lacks. On a
//! narrow terminal the crate `table` does it.

use std::fmt::Write;

use super::comparison;
use super::report::{Baseline, CommandReport, Measured, Outcome, Report};
use super::words::{in_unit, label, number, step, with_unit};
use ::table::{Align, Table};
use measure_core::contract::environment::{Environment, Severity};
use measure_core::contract::vocabulary::Metric;
use stats::Summary;

/// Name, how many, least, median, MAD, interval.
type Cells = [String; 6];

fn cells(name: &Metric, summary: &Summary) -> Cells {
    // Of what is mostly 0 the rest has a unit.
    let typical = if summary.median > 0.0 {
        summary.median
    } else {
        summary.max
    };
    let (divisor, unit) = step(name, typical);
    let plain = |value: f64| number(value, divisor);
    let shown = |value: f64| in_unit(plain(value), unit);
    let interval = summary.interval.map_or_else(
        || "too few runs".to_owned(),
        |i| in_unit(format!("[{}, {}]", plain(i.lo), plain(i.hi)), unit),
    );
    [
        label(name).to_owned(),
        summary.n.to_string(),
        shown(summary.min),
        shown(summary.median),
        shown(summary.mad),
        interval,
    ]
}

fn line([name, n, min, median, mad, interval]: &Cells) -> String {
    format!("{name:<21}{n:>7}{min:>13}{median:>13}{mad:>13}  {interval}\n")
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
    let header = ["", "n", "min", "median", "MAD", INTERVAL].map(str::to_owned);
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

/// A table for each command, how they compare, what is odd about them, and what to know when reading it, for a terminal of
/// `width` characters if there is one.
pub(super) fn render(report: &Report, width: Option<usize>) -> String {
    let several = report.commands.len() > 1;
    let mut text = String::new();
    for (number, command) in (1..).zip(&report.commands) {
        if number > 1 {
            text.push('\n');
        }
        text += &match several {
            true => format!("{number}  {}\n\n", command.label),
            false => format!("{}\n\n", command.label),
        };
        text += &command_table(command, width);
        append(&mut text, remarks_on(command));
    }
    text += &comparison::render(report, width);
    append(&mut text, remarks(report));
    text
}

fn command_table(command: &CommandReport, width: Option<usize>) -> String {
    let rows = command.metrics.iter().map(|metric| match &metric.outcome {
        Outcome::Values { summary, .. } => Row::Measured(cells(&metric.name, summary)),
        Outcome::Unavailable { unavailable } => Row::Unavailable(format!(
            "{:<21} unavailable: {unavailable}\n",
            label(&metric.name)
        )),
    });
    metrics(&rows.collect::<Vec<_>>(), width)
}

/// After an empty line, if there are any.
fn append(text: &mut String, lines: Vec<String>) {
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
}

/// What is odd about one command, and what to know of it.
fn remarks_on(command: &CommandReport) -> Vec<String> {
    let mut lines = Vec::new();
    for Measured { name, outcome, .. } in &command.metrics {
        if let Outcome::Values { flags, summary, .. } = outcome
            // The other metrics follow the wall time, or are small whole numbers.
            && matches!(name, Metric::WallNs | Metric::CpuCycles | Metric::PeakPssBytes)
        {
            let (divisor, unit) = step(name, summary.median);
            let shown = |value: f64| in_unit(number(value, divisor), unit);
            lines.extend(
                flags
                    .iter()
                    .map(|flag| format!("{}: {}", label(name), flag.describe(shown))),
            );
        }
    }
    lines.extend(command.notes.iter().cloned());
    if let Some(first) = command.failures.first() {
        lines.push(format!(
            "{} run(s) failed, the first with {} (pass {}, run {}); with --ignore-failure they count like any other",
            command.failures.len(),
            first.how,
            first.pass.name(),
            first.run
        ));
    }
    lines
}

/// What there is to know of the run as a whole.
fn remarks(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report.baselines.iter().map(baseline_remark).collect();
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
    lines
}

fn baseline_remark(baseline: &Baseline) -> String {
    let of = &baseline.of;
    match &baseline.measured.outcome {
        Outcome::Values { summary, .. } => {
            let time = |ns| with_unit(&Metric::WallNs, ns);
            let interval = summary.interval.map_or(String::new(), |i| {
                format!(" [{}, {}]", time(i.lo), time(i.hi))
            });
            format!(
                "{of}, started and waited for in the same way, takes {}{interval} here (median of {}): in each wall time, and not taken off",
                time(summary.median),
                summary.n
            )
        }
        Outcome::Unavailable { unavailable } => {
            format!("what starting, ending and waiting alone take is unknown: {of}: {unavailable}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(wide.lines().next().map(str::len), Some(96), "{wide}");
        assert_eq!(metrics(&rows, Some(200)), wide);
        let narrow = metrics(&rows, Some(80));
        assert!(narrow.lines().all(|line| line.len() <= 80), "{narrow}");
        assert!(narrow.ends_with("no counters\n"), "{narrow}");
    }
}
