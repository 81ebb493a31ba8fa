//! The ramps as tables.

use std::fmt::Write;

use stats::Summary;
use table::{Align, Table};

use super::{CapacityPoint, CapacityRow};
use crate::format::{bytes, duration_ns, ratio};
use crate::summary::RunSummary;

/// What stands where nothing is known.
const UNKNOWN: &str = "-";

/// What the columns of [`headline`] are.
pub(crate) const COLUMNS: &str = "empty host, beside them: one more start there, median and p99; each: one parked worker's share of PSS, of what the kernel's own memory grew by, and of what MemAvailable lost";

/// What was done, and what is weighed.
pub(crate) const ABOUT: &str = "Workers are parked, blocked inside the function's `main`, until something gives. One more start is made beside them by a driver process that holds none. \
     What each weighs is that of the fullest point: PSS of all that holds them, what the kernel's own memory grew by and what MemAvailable lost (both the whole host's), over their number. \
     A p99 of fewer than 100 starts lies between its two largest.";

/// A row for each rung: how many, what gave, what one more start took then, and what each weighs.
pub(crate) fn headline(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("runtime", Align::Left),
        ("parked", Align::Right),
        ("gave", Align::Left),
        ("empty host", Align::Right),
        ("p99", Align::Right),
        ("beside them", Align::Right),
        ("p99", Align::Right),
        ("p99/empty", Align::Right),
        ("PSS each", Align::Right),
        ("kernel each", Align::Right),
        ("available each", Align::Right),
    ]);
    for ramp in summary.ramps() {
        let (empty, fullest) = (ramp.empty(), ramp.fullest());
        let each = |bytes_of: fn(&CapacityPoint) -> Option<f64>| {
            fullest
                .and_then(|point| point.each(bytes_of(point)))
                .map_or(UNKNOWN.into(), bytes)
        };
        table.row([
            ramp.rung.clone(),
            ramp.gave
                .as_ref()
                .map_or(UNKNOWN.into(), |gave| gave.resident.to_string()),
            ramp.gave
                .as_ref()
                .map_or("killed".into(), |gave| gave.word.clone()),
            median(empty),
            p99(empty),
            median(fullest),
            p99(fullest),
            ramp.p99_over_empty().map_or(UNKNOWN.into(), ratio),
            each(|point| point.pss_bytes),
            each(|point| point.kernel_bytes),
            each(|point| point.available_lost_bytes),
        ]);
    }
    table
}

fn median(point: Option<&CapacityPoint>) -> String {
    let start = point.and_then(CapacityPoint::start);
    start.map_or(UNKNOWN.into(), |start| duration_ns(start.median))
}

fn p99(point: Option<&CapacityPoint>) -> String {
    let p99 = point.and_then(CapacityPoint::p99_ns);
    p99.map_or(UNKNOWN.into(), duration_ns)
}

/// What gave, a line for each rung.
pub(crate) fn sentences(summary: &RunSummary<'_>) -> Vec<String> {
    let ramps = summary.ramps();
    let gave = ramps.filter_map(|ramp| Some((&ramp.rung, ramp.gave.as_ref()?)));
    gave.map(|(rung, gave)| format!("{rung}: {} parked, then: {}", gave.resident, gave.words))
        .collect()
}

/// The section of `report.md`; nothing without a ramp.
pub(crate) fn section(summary: &RunSummary<'_>, has_plot: bool) -> String {
    if summary.ramps().next().is_none() {
        return String::new();
    }
    let mut text = format!(
        "## How many fit\n\n{ABOUT}\n\n{}\n",
        headline(summary).markdown()
    );
    for line in sentences(summary) {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
    if has_plot {
        let _ = write!(
            text,
            "![one more start over the number parked]({})\n\n",
            super::FILE
        );
    }
    for ramp in summary.ramps() {
        let _ = write!(
            text,
            "### {} on the way\n\n{}\n",
            ramp.rung,
            on_the_way(ramp).markdown()
        );
    }
    text
}

/// A row for each number of parked workers.
pub(crate) fn on_the_way(ramp: &CapacityRow) -> Table {
    let mut table = Table::new(&[
        ("Parked", Align::Right),
        ("Processes", Align::Right),
        ("One more, median", Align::Left),
        ("p99", Align::Right),
        ("Starts", Align::Right),
        ("Parking one", Align::Right),
        ("PSS", Align::Right),
        ("Each", Align::Right),
        ("Kernel's", Align::Right),
        ("Each", Align::Right),
        ("MemAvailable lost", Align::Right),
        ("Each", Align::Right),
        ("MemAvailable", Align::Right),
    ]);
    for point in &ramp.points {
        let size = |value: Option<f64>| value.map_or(UNKNOWN.to_owned(), bytes);
        let time = |value: Option<f64>| value.map_or(UNKNOWN.to_owned(), duration_ns);
        let start = point.start();
        table.row([
            point.resident.to_string(),
            point.processes.map_or(UNKNOWN.into(), |n| n.to_string()),
            start.as_ref().map_or(UNKNOWN.into(), with_interval),
            time(point.p99_ns()),
            point.start_ns.len().to_string(),
            time(point.parking_ns),
            size(point.pss_bytes),
            size(point.each(point.pss_bytes)),
            size(point.kernel_bytes),
            size(point.each(point.kernel_bytes)),
            size(point.available_lost_bytes),
            size(point.each(point.available_lost_bytes)),
            size(point.available_bytes),
        ]);
    }
    table
}

/// The median with its interval between order statistics, of starts taken for independent.
fn with_interval(start: &Summary) -> String {
    let value = duration_ns(start.median);
    match start.interval {
        Some(i) => format!("{value} [{}, {}]", duration_ns(i.lo), duration_ns(i.hi)),
        None => value,
    }
}
