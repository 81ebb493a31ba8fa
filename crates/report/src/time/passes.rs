//! Throughput, CPU and I/O: totals of batches, whose means are taken over processes.

use std::collections::BTreeMap;

use measure_core::contract::sample::{Sample, Value};
use measure_core::contract::vocabulary::Metric;
use measure_core::contract::vocabulary::phase::TOTAL;
use stats::levels::{Estimate, mean_by_process};
use stats::{ScalabilityFit, scalability_fit};

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
    /// Mean over the processes of each one's rate over its rate by one worker; `None` of one worker, and where no process has both.
    pub over_one: Option<Estimate>,
}

/// The fit of the universal scalability law to the mean rates; `None` with fewer than three numbers of workers.
#[must_use]
pub fn scalability(throughput: &[Throughput]) -> Option<ScalabilityFit> {
    let points: Vec<(f64, f64)> = throughput
        .iter()
        .map(|t| (f64::from(t.workers), t.rate.value))
        .collect();
    scalability_fit(&points)
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
    let ones = by_workers.get(&1).map(rates_by_process).unwrap_or_default();
    let throughput = by_workers.iter().filter_map(|(&workers, by_process)| {
        let found = rates_by_process(by_process);
        let rates: Vec<f64> = found.values().map(|rate| rate.per_second).collect();
        let starts: u64 = found.values().map(|rate| rate.starts).sum();
        let starts = usize::try_from(starts).unwrap_or(usize::MAX);
        let over_one =
            |(process, rate): (&u32, &Rate)| Some(rate.per_second / ones.get(process)?.per_second);
        let ratios: Vec<f64> = found.iter().filter_map(over_one).collect();
        Some(Throughput {
            workers,
            n: found.values().map(|rate| rate.n).max()?,
            batches: found.values().map(|rate| rate.batches).sum(),
            rate: mean_by_process(&rates, starts)?,
            over_one: mean_by_process(&ratios, starts).filter(|_| workers > 1),
        })
    });
    throughput.collect()
}

/// What the largest batches of a process did.
struct Rate {
    per_second: f64,
    /// Starts of one of them, and of all.
    n: u64,
    starts: u64,
    batches: usize,
}

fn rates_by_process(by_process: &BTreeMap<u32, Vec<&Sample>>) -> BTreeMap<u32, Rate> {
    let rates = by_process
        .iter()
        .filter_map(|(&process, batches)| Some((process, rate_of(batches)?)));
    rates.collect()
}

fn rate_of(batches: &[&Sample]) -> Option<Rate> {
    let n = batches.iter().map(|s| s.n).max()?;
    let largest = batches.iter().filter(|s| s.n == n);
    let elapsed_ns: Vec<i64> = largest
        .filter_map(|s| s.value.number().filter(|&ns| ns > 0))
        .collect();
    if elapsed_ns.is_empty() {
        return None;
    }
    let starts = n * elapsed_ns.len() as u64;
    Some(Rate {
        per_second: starts as f64 * 1e9 / elapsed_ns.iter().sum::<i64>() as f64,
        n,
        starts,
        batches: elapsed_ns.len(),
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
