//! The CSV files. The forms of `runtime-bench-time.csv` and `runtime-bench-mem.csv` are those that old
//! scripts read; what is unavailable has an empty value there, never a zero.

use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::contract::vocabulary::{Measure, Metric};
use stats::Interval;
use stats::levels::{Estimate, Unchecked};

use crate::Rendered;
use crate::capacity;
use crate::summary::RunSummary;
use crate::time::{Design, DesignRow, TimeRow};

pub(crate) const TIME_CSV: &str = "runtime-bench-time.csv";
pub(crate) const MEM_CSV: &str = "runtime-bench-mem.csv";
pub(crate) const STARTS_CSV: &str = "runtime-bench-starts.csv";
pub(crate) const MEM_FIT_CSV: &str = "runtime-bench-mem-fit.csv";
pub(crate) const TIME_COLUMNS: [&str; 5] = [
    "Runtime",
    "Measure",
    "Value",
    "Iterations",
    "ValuePerIteration",
];
pub(crate) const MEM_COLUMNS: [&str; 5] =
    ["Runtime", "Measure", "Value", "Workers", "ValuePerWorker"];

/// Measure of the samples, their metric, its name in the CSV, and what to divide by.
const TIME_MEASURES: [(Measure, Metric, &str, f64); 5] = [
    (Measure::Batch, Metric::WallNs, "elapsed_seconds", 1e9),
    (Measure::Cpu, Metric::CpuCycles, "cpu_cycles", 1.0),
    (Measure::Cpu, Metric::CpuNs, "cpu_seconds", 1e9),
    (Measure::Disk, Metric::ReadBytes, "read_bytes", 1.0),
    (Measure::Disk, Metric::WriteBytes, "write_bytes", 1.0),
];

/// The CSV files of the parts that have samples.
pub(crate) fn render(summary: &RunSummary<'_>) -> Vec<Rendered> {
    let mut files = Vec::new();
    if summary.has_times() {
        files.push(file(TIME_CSV, &time(summary)));
        files.push(file("runtime-bench-throughput.csv", &throughput(summary)));
        files.push(file(STARTS_CSV, &starts(summary)));
    }
    if summary.has_memories() {
        files.push(file(MEM_CSV, &mem(summary)));
        files.push(file(MEM_FIT_CSV, &fit(summary)));
    }
    if summary.ramps().next().is_some() {
        let rows = capacity::csv_rows(summary.ramps());
        files.push(file("runtime-bench-capacity.csv", &rows));
    }
    files
}

pub(crate) fn file(name: &'static str, rows: &[Vec<String>]) -> Rendered {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        // A vector takes every write, and all rows of a file have the same length.
        let _ = writer.write_record(row);
    }
    let bytes = writer.into_inner().unwrap_or_default();
    Rendered {
        name,
        content: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

/// The shortest text that reads back as the same number.
pub(crate) fn number(value: f64) -> String {
    format!("{value}")
}

fn time(summary: &RunSummary<'_>) -> Vec<Vec<String>> {
    let mut rows = vec![row(TIME_COLUMNS)];
    for rung in &summary.rungs {
        for (measure, metric, name, unit) in &TIME_MEASURES {
            // One worker only: `Iterations` means one after the other here.
            let one_by_one = |s: &&Sample| {
                s.metric == *metric && s.phase == TOTAL && s.workers == 1 && s.error.is_none()
            };
            let samples = rung.samples.measured(measure).iter().copied();
            let mut samples: Vec<&Sample> = samples.filter(one_by_one).collect();
            samples.sort_by_key(|s| (s.n, s.block));
            for sample in samples {
                let value = sample.value.number().map(|v| v as f64 / unit);
                let per = value.filter(|_| sample.n > 0).map(|v| v / sample.n as f64);
                rows.push(vec![
                    rung.rung.to_owned(),
                    (*name).to_owned(),
                    value.map(number).unwrap_or_default(),
                    sample.n.to_string(),
                    per.map(number).unwrap_or_default(),
                ]);
            }
        }
    }
    rows
}

fn throughput(summary: &RunSummary<'_>) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "Runtime",
        "Workers",
        "Starts",
        "ElapsedSeconds",
        "StartsPerSecond",
    ])];
    for rung in &summary.rungs {
        let batches = rung.samples.measured(&Measure::Batch).iter().copied();
        let mut samples: Vec<&Sample> = batches
            .filter(|s| s.metric == Metric::WallNs && s.error.is_none())
            .collect();
        samples.sort_by_key(|s| (s.workers, s.n, s.block));
        for sample in samples {
            let Some(ns) = sample.value.number().filter(|&ns| ns > 0) else {
                continue;
            };
            let seconds = ns as f64 / 1e9;
            rows.push(vec![
                rung.rung.to_owned(),
                sample.workers.to_string(),
                sample.n.to_string(),
                number(seconds),
                number(sample.n as f64 / seconds),
            ]);
        }
    }
    rows
}

/// A row per rung and design.
fn starts(summary: &RunSummary<'_>) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "Runtime",
        "Function",
        "Design",
        "Processes",
        "Batches",
        "Starts",
        "MedianNs",
        "MedianLowNs",
        "MedianHighNs",
        "P90Ns",
        "P90LowNs",
        "P90HighNs",
        "P99Ns",
        "P99LowNs",
        "P99HighNs",
        "ReferenceOverThis",
        "ReferenceOverThisLow",
        "ReferenceOverThisHigh",
        "BetweenProcesses",
        "BetweenBatches",
        "BetweenStarts",
    ])];
    for time in summary.times() {
        for design in Design::ALL {
            if let Some(found) = time.design(design) {
                rows.push(starts_row(time, design, found));
            }
        }
    }
    rows
}

fn starts_row(time: &TimeRow, design: Design, found: &DesignRow) -> Vec<String> {
    let mut cells = vec![
        time.rung.clone(),
        time.function.clone(),
        design.to_string(),
        found.median.processes.to_string(),
        found.batches().to_string(),
        found.median.starts.to_string(),
    ];
    let or_empty = |value: Option<f64>| value.map(number).unwrap_or_default();
    let has_enough = |estimate: &&Estimate| {
        let why = estimate.interval.as_ref().err();
        !matches!(why, Some(Unchecked::TooFewStarts { .. }))
    };
    let estimates = [
        Some(&found.median),
        Some(&found.p90).filter(has_enough),
        Some(&found.p99).filter(has_enough),
        found.reference_over_this.as_ref(),
    ];
    for estimate in estimates {
        let interval = estimate.and_then(|e| e.interval.ok());
        cells.push(or_empty(estimate.map(|e| e.value)));
        cells.push(or_empty(interval.map(|i| i.lo)));
        cells.push(or_empty(interval.map(|i| i.hi)));
    }
    let variances = found.variance.map_or([None; 3], |v| {
        [v.between_processes, v.between_batches, v.between_starts]
    });
    cells.extend(variances.map(|v| or_empty(v.map(f64::sqrt))));
    cells
}

fn mem(summary: &RunSummary<'_>) -> Vec<Vec<String>> {
    let mut rows = vec![row(MEM_COLUMNS)];
    for memory in summary.memories() {
        let mut points = memory.points.clone();
        points.sort_by_key(|&(workers, _)| workers);
        for (workers, value) in points {
            rows.push(vec![
                memory.rung.clone(),
                memory.quantity.to_string(),
                number(value),
                workers.to_string(),
                number(value / workers.max(1) as f64),
            ]);
        }
    }
    rows
}

fn fit(summary: &RunSummary<'_>) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "Runtime",
        "Measure",
        "Slope",
        "SlopeLow",
        "SlopeHigh",
        "Intercept",
        "InterceptLow",
        "InterceptHigh",
        "Points",
        "RSquared",
    ])];
    let ends = |interval: Option<Interval>| {
        interval.map_or([String::new(), String::new()], |i| {
            [number(i.lo), number(i.hi)]
        })
    };
    for memory in summary.memories() {
        let Some(fit) = &memory.fit else { continue };
        let [slope_low, slope_high] = ends(fit.slope_interval);
        let [intercept_low, intercept_high] = ends(fit.intercept_interval);
        rows.push(vec![
            memory.rung.clone(),
            memory.quantity.to_string(),
            number(fit.slope),
            slope_low,
            slope_high,
            number(fit.intercept),
            intercept_low,
            intercept_high,
            fit.n.to_string(),
            fit.r_squared.map(number).unwrap_or_default(),
        ]);
    }
    rows
}
