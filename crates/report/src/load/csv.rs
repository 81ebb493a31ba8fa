//! The tables as CSV.

use stats::Interval;
use stats::levels::Estimate;

use super::knee::Knee;
use super::rungs::RungLoad;
use crate::Rendered;
use crate::csv_files::file;

/// The files' names.
const RATES: &str = "runtime-bench-load.csv";
const KNEES: &str = "runtime-bench-load-knee.csv";

/// Both files; none without any point.
pub(crate) fn csv_files(loads: &[RungLoad]) -> Vec<Rendered> {
    if loads.is_empty() {
        return Vec::new();
    }
    vec![file(RATES, &rates(loads)), file(KNEES, &knees(loads))]
}

/// Of [`RATES`].
const RATE_COLUMNS: [&str; 31] = [
    "Runtime",
    "Function",
    "Pattern",
    "Workers",
    "OfferedPerS",
    "AchievedPerS",
    "AchievedPerSLow",
    "AchievedPerSHigh",
    "P50Ns",
    "P50NsLow",
    "P50NsHigh",
    "P90Ns",
    "P90NsLow",
    "P90NsHigh",
    "P99Ns",
    "P99NsLow",
    "P99NsHigh",
    "P999Ns",
    "P999NsLow",
    "P999NsHigh",
    "QueueMean",
    "QueueMax",
    "Cpus",
    "Starts",
    "Failed",
    "Refused",
    "LateP999Ns",
    "GeneratorCpus",
    "PointsUnfit",
    "PointsDisturbed",
    "Follows",
];

fn words(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// Empty where a number is infinite: there is none.
fn number(value: f64) -> String {
    if value.is_finite() {
        value.to_string()
    } else {
        String::new()
    }
}

/// Value and ends of the interval.
fn with_ends(estimate: Option<&Estimate>) -> [String; 3] {
    let ends = |i: Interval| [number(i.lo), number(i.hi)];
    let [low, high] = estimate
        .and_then(|e| e.interval.ok())
        .map_or_else(Default::default, ends);
    [
        estimate.map_or_else(String::new, |e| number(e.value)),
        low,
        high,
    ]
}

fn rates(loads: &[RungLoad]) -> Vec<Vec<String>> {
    let mut rows = vec![words(&RATE_COLUMNS)];
    for load in loads {
        for row in &load.rates {
            let mut cells = vec![
                load.rung.clone(),
                load.function.clone(),
                load.pattern.clone(),
                load.workers.to_string(),
                number(row.offered_per_s),
            ];
            cells.extend(with_ends(row.achieved_per_s.as_ref()));
            for q in [0.5, 0.9, 0.99, 0.999] {
                cells.extend(with_ends(row.quantile(q).as_ref()));
            }
            cells.extend([
                number(row.queue_mean),
                row.queue_max.to_string(),
                row.cpus.map_or_else(String::new, number),
                row.arrivals.to_string(),
                row.failed.to_string(),
                row.refused.to_string(),
                row.late.quantile_ns(0.999).to_string(),
                number(row.generator_cpus),
                row.unfit.as_ref().map_or(0, |u| u.0).to_string(),
                row.disturbed.as_ref().map_or(0, |d| d.0).to_string(),
                row.follows.to_string(),
            ]);
            rows.push(cells);
        }
    }
    rows
}

fn knees(loads: &[RungLoad]) -> Vec<Vec<String>> {
    let mut rows = vec![words(&[
        "Runtime",
        "Function",
        "Pattern",
        "Workers",
        "ClosedLoopPerS",
        "ClosedLoopPerSLow",
        "ClosedLoopPerSHigh",
        "UnloadedNs",
        "SloNs",
        "Knee",
        "KneePerS",
        "KneePerSLow",
        "KneePerSHigh",
    ])];
    for load in loads {
        let mut cells = vec![
            load.rung.clone(),
            load.function.clone(),
            load.pattern.clone(),
            load.workers.to_string(),
        ];
        cells.extend(with_ends(load.closed_loop.as_ref()));
        cells.extend([load.unloaded_ns.to_string(), load.slo_ns.to_string()]);
        let alone = |value: f64| [number(value), String::new(), String::new()];
        let (kind, ends) = match &load.knee {
            Knee::At(estimate) => ("at", with_ends(Some(estimate))),
            Knee::AtLeast(offered) => ("at least", alone(*offered)),
            Knee::Below(offered) => ("below", alone(*offered)),
            Knee::Unknown => ("unknown", Default::default()),
        };
        cells.push(kind.to_owned());
        cells.extend(ends);
        rows.push(cells);
    }
    rows
}
