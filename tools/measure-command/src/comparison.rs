//! Several commands side by side: medians, and ratios to the first.

use super::report::{CommandReport, RatioOutcome, Report};
use super::words::{label, with_unit};
use ::table::{Align, Table};
use measure_core::contract::vocabulary::Metric;

/// What is compared, in the order of columns; what no command has is left out.
const COLUMNS: [Metric; 4] = [
    Metric::WallNs,
    Metric::CpuNs,
    Metric::CpuCycles,
    Metric::PeakPssBytes,
];

/// The table of ratios, for a terminal of `width` characters if there is one; nothing for a lone command.
pub(super) fn render(report: &Report, width: Option<usize>) -> String {
    if report.commands.len() < 2 {
        return String::new();
    }
    let is_measured = |metric: &&Metric| {
        let mut commands = report.commands.iter();
        commands.any(|command| command.values(metric).is_some())
    };
    let columns: Vec<&Metric> = COLUMNS.iter().filter(is_measured).collect();
    if columns.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[("", Align::Left)]);
    for metric in &columns {
        table.column(label(metric), Align::Right);
        table.column("ratio to 1", Align::Left);
    }
    for (number, command) in (1..).zip(&report.commands) {
        let mut cells = vec![format!("{number}  {}", command.label)];
        for metric in &columns {
            let median = command.values(metric).map(|(_, summary)| summary.median);
            cells.push(median.map_or("-".to_owned(), |median| with_unit(metric, median)));
            cells.push(ratio_cell(number, command, metric));
        }
        table.row(cells);
    }
    let order = match report.one_after_another {
        true => "one command after the other".to_owned(),
        false => format!("runs by turns, in an order drawn by --seed {}", report.seed),
    };
    format!(
        "\n{}\nmedians; ratios of geometric means of the runs, with 95 % intervals (Welch, of logarithms); {order}\n",
        table.text(width)
    )
}

/// The ratio of the command `number`, counted from 1, to the first with its interval, or why there is none.
pub(super) fn ratio_cell(number: usize, command: &CommandReport, metric: &Metric) -> String {
    if number == 1 {
        return "1".to_owned();
    }
    let ratio = command.ratios.iter().find(|ratio| ratio.name == *metric);
    match ratio.map(|ratio| &ratio.outcome) {
        Some(RatioOutcome::Ratio { ratio, interval }) => {
            let interval = interval.map_or(" (too few runs)".to_owned(), |i| {
                format!(" [{}, {}]", three_digits(i.lo), three_digits(i.hi))
            });
            three_digits(*ratio) + &interval
        }
        Some(RatioOutcome::Unavailable { unavailable }) => unavailable.clone(),
        None => "-".to_owned(),
    }
}

/// Three digits that count.
fn three_digits(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 => 2 + usize::from(v < 1.0),
        _ => 4,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_three_digits() {
        let shown = [1234.4, 45.67, 1.2345, 0.98765, 0.01234].map(three_digits);
        assert_eq!(shown, ["1234", "45.7", "1.23", "0.988", "0.0123"]);
    }
}
