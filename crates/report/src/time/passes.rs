//! Throughput, CPU and I/O: totals of batches, whose means are taken over processes.

use std::collections::BTreeMap;

use measure_core::contract::sample::{Sample, Value};
use measure_core::contract::vocabulary::Metric;
use measure_core::contract::vocabulary::phase::TOTAL;
use stats::levels::{Estimate, mean_by_process};

/// Starts per second.
#[derive(Debug, Clone)]
pub struct Throughput {
    /// How many workers shared the starts.
    pub workers: u32,
    /// Starts of its largest batch.
    pub n: u64,
    /// How many batches it stands on.
    pub batches: usize,
    /// Mean of the processes' rates.
    pub rate: Estimate,
}

/// A quantity per start, from batch totals.
#[derive(Debug, Clone, Default)]
pub struct PerStart {
    /// Mean over the processes of each one's total over its starts.
    pub mean: Option<Estimate>,
    /// How many batches it stands on.
    pub batches: usize,
    /// How many starts in all.
    pub starts: u64,
    /// Why there is none.
    pub unavailable: Option<String>,
    /// A counter was not there all the time, so that counts are scaled up.
    pub is_scaled: bool,
}

/// By the number of workers, the rates of each process's largest batches: in small ones the beginning and the
/// end, where not all workers are busy, weigh more.
pub(super) fn throughput(batches: &[&Sample]) -> Vec<Throughput> {
    let mut by_workers: BTreeMap<u32, BTreeMap<u32, Vec<&Sample>>> = BTreeMap::new();
    let timed = |s: &&&Sample| s.metric == Metric::WallNs && s.error.is_none();
    for sample in batches.iter().filter(timed) {
        let by_process = by_workers.entry(sample.workers).or_default();
        by_process.entry(sample.process).or_default().push(sample);
    }
    by_workers
        .into_iter()
        .filter_map(|(workers, by_process)| throughput_of(workers, by_process.values()))
        .collect()
}

fn throughput_of<'a>(
    workers: u32,
    by_process: impl Iterator<Item = &'a Vec<&'a Sample>>,
) -> Option<Throughput> {
    let (mut rates, mut most, mut count, mut starts) = (Vec::new(), 0, 0, 0);
    for batches in by_process {
        let n = batches.iter().map(|s| s.n).max()?;
        let largest = batches.iter().filter(|s| s.n == n);
        let elapsed_ns: Vec<i64> = largest
            .filter_map(|s| s.value.number().filter(|&ns| ns > 0))
            .collect();
        if elapsed_ns.is_empty() {
            continue;
        }
        let made = n * elapsed_ns.len() as u64;
        rates.push(made as f64 * 1e9 / elapsed_ns.iter().sum::<i64>() as f64);
        most = most.max(n);
        count += elapsed_ns.len();
        starts += made;
    }
    let starts = usize::try_from(starts).unwrap_or(usize::MAX);
    Some(Throughput {
        workers,
        n: most,
        batches: count,
        rate: mean_by_process(&rates, starts)?,
    })
}

impl PerStart {
    pub(super) fn by_process(samples: &[&Sample], metric: &Metric) -> Self {
        let mut found = Self::default();
        let mut by_process: BTreeMap<u32, (f64, u64)> = BTreeMap::new();
        let totals = samples
            .iter()
            .filter(|s| s.metric == *metric && s.phase == TOTAL);
        for sample in totals {
            match &sample.value {
                Value::Value(value) if sample.error.is_none() && sample.n > 0 => {
                    let (total, n) = by_process.entry(sample.process).or_default();
                    *total += *value as f64;
                    *n += sample.n;
                    found.batches += 1;
                    found.starts += sample.n;
                }
                Value::Value(_) => {}
                Value::Unavailable(why) => {
                    found.unavailable.get_or_insert_with(|| why.clone());
                }
            }
        }
        let each: Vec<f64> = by_process.values().map(|(t, n)| t / *n as f64).collect();
        let starts = usize::try_from(found.starts).unwrap_or(usize::MAX);
        found.mean = mean_by_process(&each, starts);
        found.unavailable = found.unavailable.filter(|_| each.is_empty());
        found
    }

    /// Marked if a counter ran for less time than it was to among `samples`.
    pub(super) fn marked_if_scaled(self, samples: &[&Sample]) -> Self {
        let sum = |metric: &Metric| -> i64 {
            let of_metric = samples.iter().filter(|s| s.metric == *metric);
            of_metric.filter_map(|s| s.value.number()).sum()
        };
        Self {
            is_scaled: sum(&Metric::CyclesRunningNs) < sum(&Metric::CyclesEnabledNs),
            ..self
        }
    }
}
