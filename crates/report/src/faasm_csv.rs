//! `runtime-bench-time.csv` and `runtime-bench-mem.csv` with what Faasm's own scripts wrote into them, for plots that were made for those.
//!
//! Source: `tasks/bench_time.py`, `bench_mem.py` and `util/memory.py` of github.com/faasm. What is in no record of ours cannot be told:
//! cycles are the rung's own, not the whole host's, and a process's end is in no time.

use measure_core::contract::run_info::ProcessInfo;
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::contract::vocabulary::{Measure, Metric};

use crate::Rendered;
use crate::csv_files::{MEM_COLUMNS, MEM_CSV, TIME_COLUMNS, TIME_CSV, file, number, row};
use crate::memory::Reading;
use crate::summary::{RunSummary, RungSummary};

/// What the original called these rungs; others keep their ids.
const RUNTIMES: [(&str, &str); 2] = [("faaslet", "faasm"), ("docker-none", "docker")];

/// And these weights.
const WEIGHTS: [(Metric, &str); 3] = [
    (Metric::UssBytes, "USS"),
    (Metric::PssBytes, "PSS"),
    (Metric::RssBytes, "RSS"),
];

/// The two files, those of them that `summary` has something for.
#[must_use]
pub fn faasm_csv_files(summary: &RunSummary<'_>) -> Vec<Rendered> {
    let mut files = Vec::new();
    if summary.has_times() {
        files.push(file(TIME_CSV, &time(summary)));
    }
    if summary.has_memories() {
        files.push(file(MEM_CSV, &memory(summary)));
    }
    files
}

fn runtime(rung: &str) -> String {
    let known = RUNTIMES.iter().find(|(ours, _)| *ours == rung);
    known.map_or(rung, |(_, theirs)| theirs).to_owned()
}

fn time(summary: &RunSummary<'_>) -> Vec<Vec<String>> {
    let mut rows = vec![row(TIME_COLUMNS)];
    for rung in &summary.rungs {
        for sample in batches(rung, &Measure::Cpu, &Metric::CpuCycles) {
            // Over the iterations already, and in the last column once more.
            let value = sample.value.number().map(|cycles| cycles as f64);
            let value = value.map(|cycles| cycles / sample.n as f64);
            rows.push(time_row(rung, "cpu_cycles", value, sample.n));
        }
        for sample in batches(rung, &Measure::Batch, &Metric::WallNs) {
            let opened_ns = process_of(rung, sample).map(|process| process.opened_ns as f64);
            let wall_ns = sample.value.number().map(|ns| ns as f64);
            let value = opened_ns.zip(wall_ns).map(|(o, w)| (o + w) / 1e9);
            rows.push(time_row(rung, "elapsed_seconds", value, sample.n));
        }
    }
    rows
}

fn time_row(rung: &RungSummary<'_>, measure: &str, value: Option<f64>, n: u64) -> Vec<String> {
    vec![
        runtime(rung.rung),
        measure.to_owned(),
        value.map(number).unwrap_or_default(),
        n.to_string(),
        value.map(|v| number(v / n as f64)).unwrap_or_default(),
    ]
}

/// One after the other, in the order of how many.
fn batches<'a>(rung: &RungSummary<'a>, measure: &Measure, metric: &Metric) -> Vec<&'a Sample> {
    let samples = rung.samples.measured(measure).iter().copied();
    let mut found: Vec<&Sample> = samples
        .filter(|s| s.metric == *metric && s.phase == TOTAL && s.workers == 1)
        .filter(|s| s.error.is_none() && s.n > 0)
        .collect();
    found.sort_by_key(|s| (s.n, s.block));
    found
}

/// The driver process that made `sample`.
fn process_of<'a>(rung: &RungSummary<'a>, sample: &Sample) -> Option<&'a ProcessInfo> {
    let mut processes = rung.info?.processes.iter();
    processes.find(|process| process.process == sample.process)
}

fn memory(summary: &RunSummary<'_>) -> Vec<Vec<String>> {
    let mut rows = vec![row(MEM_COLUMNS)];
    for weighed in summary.memories() {
        let is_asked = |(metric, _): &&(Metric, &str)| {
            weighed.quantity.reading == Reading::Parked && weighed.quantity.metric == *metric
        };
        let Some((_, label)) = WEIGHTS.iter().find(is_asked) else {
            continue;
        };
        let mut points = weighed.points.clone();
        points.sort_by_key(|&(workers, _)| workers);
        for (workers, value) in points {
            rows.push(vec![
                runtime(&weighed.rung),
                (*label).to_owned(),
                number(value),
                workers.to_string(),
                number(value / workers.max(1) as f64),
            ]);
        }
    }
    rows
}
