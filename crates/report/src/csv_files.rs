//! The CSV files. The forms of `runtime-bench-time.csv` and `runtime-bench-mem.csv` are those that old
//! scripts read; what is unavailable has an empty value there, never a zero.

use measure_core::contract::sample::{Sample, TOTAL};
use stats::Interval;

use crate::Rendered;
use crate::memory::MemoryRow;
use crate::records::Records;
use crate::time::TimeRow;
use measure_core::contract::vocabulary::{
    BATCH, CPU, CPU_CYCLES, CPU_NS, DISK, READ_BYTES, WALL_NS, WRITE_BYTES,
};

/// Measure of the samples, their metric, its name in the CSV, and what to divide by.
const TIME_MEASURES: [(&str, &str, &str, f64); 5] = [
    (BATCH, WALL_NS, "elapsed_seconds", 1e9),
    (CPU, CPU_CYCLES, "cpu_cycles", 1.0),
    (CPU, CPU_NS, "cpu_seconds", 1e9),
    (DISK, READ_BYTES, "read_bytes", 1.0),
    (DISK, WRITE_BYTES, "write_bytes", 1.0),
];

/// The CSV files of the parts that have samples.
pub(crate) fn render(
    records: &Records,
    times: &[TimeRow],
    memories: &[MemoryRow],
) -> Vec<Rendered> {
    let mut files = Vec::new();
    if !times.is_empty() {
        files.push(file("runtime-bench-time.csv", &time(records)));
        files.push(file("runtime-bench-throughput.csv", &throughput(records)));
    }
    if !memories.is_empty() {
        files.push(file("runtime-bench-mem.csv", &mem(memories)));
        files.push(file("runtime-bench-mem-fit.csv", &fit(memories)));
    }
    files
}

fn file(name: &'static str, rows: &[Vec<String>]) -> Rendered {
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

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

/// The shortest text that reads back as the same number.
fn number(value: f64) -> String {
    format!("{value}")
}

fn time(records: &Records) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "Runtime",
        "Measure",
        "Value",
        "Iterations",
        "ValuePerIteration",
    ])];
    for rung in records.rungs() {
        for (measure, metric, name, unit) in TIME_MEASURES {
            // One worker only: `Iterations` means one after the other here.
            let one_by_one = |s: &&Sample| {
                s.metric == metric && s.phase == TOTAL && s.workers == 1 && s.error.is_none()
            };
            let mut samples: Vec<&Sample> = records.of(&rung, measure).filter(one_by_one).collect();
            samples.sort_by_key(|s| (s.n, s.block));
            for sample in samples {
                let value = sample.value.number().map(|v| v as f64 / unit);
                let per = value.filter(|_| sample.n > 0).map(|v| v / sample.n as f64);
                rows.push(vec![
                    rung.clone(),
                    name.to_owned(),
                    value.map(number).unwrap_or_default(),
                    sample.n.to_string(),
                    per.map(number).unwrap_or_default(),
                ]);
            }
        }
    }
    rows
}

fn throughput(records: &Records) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "Runtime",
        "Workers",
        "Starts",
        "ElapsedSeconds",
        "StartsPerSecond",
    ])];
    for rung in records.rungs() {
        let mut samples: Vec<&Sample> = records
            .of(&rung, BATCH)
            .filter(|s| s.metric == WALL_NS && s.error.is_none())
            .collect();
        samples.sort_by_key(|s| (s.workers, s.n, s.block));
        for sample in samples {
            let Some(ns) = sample.value.number().filter(|&ns| ns > 0) else {
                continue;
            };
            let seconds = ns as f64 / 1e9;
            rows.push(vec![
                rung.clone(),
                sample.workers.to_string(),
                sample.n.to_string(),
                number(seconds),
                number(sample.n as f64 / seconds),
            ]);
        }
    }
    rows
}

fn mem(memories: &[MemoryRow]) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "Runtime",
        "Measure",
        "Value",
        "Workers",
        "ValuePerWorker",
    ])];
    for memory in memories {
        let mut points = memory.points.clone();
        points.sort_by_key(|&(workers, _)| workers);
        for (workers, value) in points {
            rows.push(vec![
                memory.rung.clone(),
                memory.measure.clone(),
                number(value),
                workers.to_string(),
                number(value / workers.max(1) as f64),
            ]);
        }
    }
    rows
}

fn fit(memories: &[MemoryRow]) -> Vec<Vec<String>> {
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
    for memory in memories {
        let Some(fit) = &memory.fit else { continue };
        let [slope_low, slope_high] = ends(fit.slope_interval);
        let [intercept_low, intercept_high] = ends(fit.intercept_interval);
        rows.push(vec![
            memory.rung.clone(),
            memory.measure.clone(),
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
