//! The forms that other programs read: hyperfine's JSON, CSV, Markdown.

use serde::Serialize;

use super::comparison;
use super::parameters::Parameters;
use super::report::{CommandReport, Report};
use super::words::with_unit;
use ::table::{Align, Table};
use measure_core::contract::vocabulary::Metric;
use stats::Summary;

/// What `hyperfine --export-json` writes: times in seconds, of runs that came to their end.
#[derive(Debug, Serialize)]
struct Hyperfine {
    results: Vec<HyperfineResult>,
}

#[derive(Debug, Serialize)]
struct HyperfineResult {
    command: String,
    mean: f64,
    /// Of the sample; null for a single run.
    stddev: Option<f64>,
    median: f64,
    /// Mean of the user CPU time.
    user: f64,
    /// Mean of the system CPU time.
    system: f64,
    min: f64,
    max: f64,
    times: Vec<f64>,
    /// Null where a signal ended the run.
    exit_codes: Vec<Option<i32>>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: Parameters,
}

fn seconds(ns: f64) -> f64 {
    ns / 1e9
}

/// The standard deviation of a sample, from two values on.
fn deviation(values: &[f64], mean: f64) -> Option<f64> {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() as f64 - 1.0)).sqrt())
}

impl HyperfineResult {
    /// None where no run was measured to its end: hyperfine has no word for that.
    fn new(command: &CommandReport) -> Option<Self> {
        let (walls, wall) = command.values(&Metric::WallNs)?;
        let times: Vec<f64> = walls.iter().map(|&ns| seconds(ns as f64)).collect();
        let mean_of = |name| {
            command
                .values(&name)
                .map_or(0.0, |(_, summary)| seconds(summary.mean))
        };
        Some(Self {
            command: command.name.clone(),
            mean: seconds(wall.mean),
            stddev: deviation(&times, seconds(wall.mean)),
            median: seconds(wall.median),
            user: mean_of(Metric::UserNs),
            system: mean_of(Metric::SystemNs),
            min: seconds(wall.min),
            max: seconds(wall.max),
            times,
            exit_codes: command.exit_codes.clone(),
            parameters: command.parameters.clone(),
        })
    }
}

fn results(report: &Report) -> impl Iterator<Item = (&CommandReport, HyperfineResult)> {
    let commands = report.commands.iter();
    commands.filter_map(|command| Some((command, HyperfineResult::new(command)?)))
}

/// `--export-json`.
pub(super) fn hyperfine_json(report: &Report) -> String {
    let results = results(report).map(|(_, result)| result).collect();
    // Plain data with string keys always serialises.
    serde_json::to_string_pretty(&Hyperfine { results }).unwrap_or_default() + "\n"
}

/// What the CSV has behind hyperfine's columns: medians of these.
const MEDIANS: [Metric; 9] = [
    Metric::CpuNs,
    Metric::CpuCycles,
    Metric::Instructions,
    Metric::PeakPssBytes,
    Metric::PeakRssBytes,
    Metric::ReadBytes,
    Metric::WriteBytes,
    Metric::MinorFaults,
    Metric::MajorFaults,
];

/// `--export-csv`: hyperfine's columns in seconds, its columns of parameters, then the interval of the median wall time and
/// medians of what hyperfine does not measure. What is not known is empty.
pub(super) fn csv(report: &Report) -> String {
    let parameters: Vec<&String> = report
        .commands
        .first()
        .map_or(Vec::new(), |first| first.parameters.keys().collect());
    let mut rows = csv::Writer::from_writer(Vec::new());
    let fixed = "command mean stddev median user system min max";
    let mut header: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    header.extend(parameters.iter().map(|name| format!("parameter_{name}")));
    header.extend(["median_lo", "median_hi"].map(str::to_owned));
    header.extend(MEDIANS.iter().map(|metric| format!("median_{metric}")));
    let mut write = |cells: &[String]| {
        // Into memory, and every row has as many fields as the header.
        let _ = rows.write_record(cells);
    };
    write(&header);
    for (command, result) in results(report) {
        let number = |value: f64| value.to_string();
        let maybe = |value: Option<f64>| value.map_or(String::new(), number);
        let mut cells = vec![
            result.command.clone(),
            number(result.mean),
            maybe(result.stddev),
        ];
        let times = [
            result.median,
            result.user,
            result.system,
            result.min,
            result.max,
        ];
        cells.extend(times.map(number));
        let values = parameters.iter().map(|name| command.parameters.get(*name));
        cells.extend(values.map(|value| value.cloned().unwrap_or_default()));
        let summary = |metric: &Metric| command.values(metric).map(|(_, summary)| summary);
        let interval = summary(&Metric::WallNs).and_then(|wall| wall.interval);
        cells.push(maybe(interval.map(|i| seconds(i.lo))));
        cells.push(maybe(interval.map(|i| seconds(i.hi))));
        cells.extend(
            MEDIANS
                .iter()
                .map(|metric| maybe(summary(metric).map(|s| s.median))),
        );
        write(&cells);
    }
    let bytes = rows.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// `--export-markdown`: a row for each command.
pub(super) fn markdown(report: &Report) -> String {
    let several = report.commands.len() > 1;
    let mut table = Table::new(&[
        ("Command", Align::Left),
        ("n", Align::Right),
        ("Wall time, median", Align::Right),
        ("95 % interval", Align::Left),
        ("Min", Align::Right),
        ("Max", Align::Right),
        ("CPU time", Align::Right),
        ("Peak PSS, tree", Align::Right),
    ]);
    if several {
        table.column("Wall time, ratio to the first", Align::Left);
    }
    for (number, command) in (1..).zip(&report.commands) {
        let mut cells = markdown_cells(command);
        if several {
            cells.push(comparison::ratio_cell(number, command, &Metric::WallNs));
        }
        table.row(cells);
    }
    table.markdown()
}

fn markdown_cells(command: &CommandReport) -> Vec<String> {
    let median = |metric: &Metric| {
        let summary = command.values(metric).map(|(_, summary)| summary);
        summary.map_or("-".to_owned(), |s| with_unit(metric, s.median))
    };
    let wall = command.values(&Metric::WallNs).map(|(_, wall)| wall);
    let of_wall = |value: fn(&Summary) -> f64| {
        wall.map_or("-".to_owned(), |wall| {
            with_unit(&Metric::WallNs, value(wall))
        })
    };
    let interval = wall
        .and_then(|wall| wall.interval)
        .map_or("-".to_owned(), |i| {
            let end = |value| with_unit(&Metric::WallNs, value);
            format!("{} .. {}", end(i.lo), end(i.hi))
        });
    vec![
        code(&command.label),
        wall.map_or(0, |wall| wall.n).to_string(),
        of_wall(|wall| wall.median),
        interval,
        of_wall(|wall| wall.min),
        of_wall(|wall| wall.max),
        median(&Metric::CpuNs),
        median(&Metric::PeakPssBytes),
    ]
}

/// As code in Markdown, whatever quotes are in it.
fn code(text: &str) -> String {
    if text.contains('`') {
        return format!("`` {text} ``");
    }
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_is_that_of_a_sample() {
        // As of scipy.stats.tstd.
        let found = deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 5.0).expect("values");
        assert!((found - 2.138_089_935_299_395).abs() < 1e-12, "{found}");
        assert_eq!(deviation(&[2.0], 2.0), None);
    }

    #[test]
    fn quotes_do_not_end_the_code() {
        assert_eq!(code("a | b"), "`a | b`");
        assert_eq!(code("echo `id`"), "`` echo `id` ``");
    }
}
