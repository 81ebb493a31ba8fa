//! What the time part's samples say of each rung.

use std::collections::BTreeMap;

use measure_core::contract::sample::{Sample, Value};
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::contract::vocabulary::{Measure, Metric};
use stats::{Flag, Ratio, Summary, flags, median, median_ratio};

use crate::summary::RungSamples;

/// The row that ratios are taken to.
pub(crate) const REFERENCE: &str = "docker-none";
/// Fewest starts in a batch for the time between starts to say something.
const MIN_GAP_N: u64 = 10;

/// One rung of the time part.
#[derive(Debug, Clone)]
pub struct TimeRow {
    /// Ladder id.
    pub rung: String,
    /// `user/function`.
    pub function: String,
    /// Wall time of one start, one at a time; `None` if none went well.
    pub wall: Option<Summary>,
    /// Median of the reference over this one's: how many of these fit into one docker start.
    pub reference_over_this: Option<Ratio>,
    /// What is odd about the starts in the order in which they were made.
    pub flags: Vec<Flag>,
    /// Name and wall time of each phase, in order.
    pub phases: Vec<(String, Summary)>,
    /// The very first start in the driver's process.
    pub first_ns: Option<f64>,
    /// Starts per second by the number of workers.
    pub throughput: Vec<Throughput>,
    /// Time per start that the driver's loop adds between starts.
    pub gap_ns: Option<f64>,
    /// CPU time per start of the scope.
    pub cpu_ns: PerStart,
    /// CPU cycles per start of the scope.
    pub cpu_cycles: PerStart,
    /// CPU time per start of the client, where there is one.
    pub client_cpu_ns: PerStart,
    /// Bytes read per start, caches warm.
    pub read_bytes: PerStart,
    /// Bytes written per start, caches warm.
    pub write_bytes: PerStart,
    /// Bytes read by a start after the page caches were dropped.
    pub cold_read_bytes: PerStart,
    /// Bytes written by such a start.
    pub cold_write_bytes: PerStart,
    /// Wall time of such a start.
    pub cold_wall_ns: PerStart,
    /// Starts that failed.
    pub failed: u64,
    /// The error of the first of them.
    pub first_error: Option<String>,
}

/// Starts per second.
#[derive(Debug, Clone)]
pub struct Throughput {
    /// How many workers shared the starts.
    pub workers: u32,
    /// Starts of one batch.
    pub n: u64,
    /// Rate of each batch.
    pub rates: Vec<f64>,
    /// Their median.
    pub median: f64,
}

/// A quantity per start, from batch totals.
#[derive(Debug, Clone, Default)]
pub struct PerStart {
    /// Over the batches, each batch's total over its starts.
    pub summary: Option<Summary>,
    /// How many starts in all.
    pub starts: u64,
    /// Why there is none.
    pub unavailable: Option<String>,
}

/// Wall times of the good starts of a rung, one at a time, in the order in which they were made.
pub(crate) fn wall_times(samples: &RungSamples<'_>) -> Vec<f64> {
    numbers(single_starts(samples).filter(|s| s.phase == TOTAL && s.metric == Metric::WallNs))
}

/// The samples of starts with nothing beside them.
fn single_starts<'a>(samples: &RungSamples<'a>) -> impl Iterator<Item = &'a Sample> {
    let starts = samples.measured(&Measure::Start).iter().copied();
    starts.filter(|s| s.workers == 1)
}

fn numbers<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<f64> {
    samples
        .filter(|s| s.error.is_none())
        .filter_map(|s| s.value.number())
        .map(|value| value as f64)
        .collect()
}

/// What the samples say of `rung`; `None` without any of the time part. `reference` are the starts of
/// [`REFERENCE`].
pub(crate) fn time_row(
    rung: &str,
    samples: &RungSamples<'_>,
    reference: &[f64],
) -> Option<TimeRow> {
    use Measure::{Batch, Calibrate, Cpu, Disk, DropCaches, Start};
    let any = [Start, Batch, Cpu, Disk, DropCaches, Calibrate]
        .iter()
        .find_map(|measure| samples.measured(measure).first())?;
    let seed = any.seed;
    let walls = wall_times(samples);
    let failures: Vec<&Sample> = [Calibrate, Start, Cpu, Disk, DropCaches]
        .iter()
        .flat_map(|measure| samples.measured(measure).iter().copied())
        .filter(|s| s.error.is_some() && s.phase == TOTAL)
        .collect();
    let first = samples.measured(&Calibrate).iter().copied();
    let per = |measure, metric| PerStart::from_totals(samples.measured(measure), &metric, seed);
    Some(TimeRow {
        rung: rung.to_owned(),
        function: any.function.clone(),
        wall: Summary::from_values(&walls, seed),
        reference_over_this: median_ratio(reference, &walls, seed).filter(|_| rung != REFERENCE),
        flags: flags(&walls),
        phases: phases(samples, seed),
        first_ns: numbers(first.filter(|s| s.phase == TOTAL)).first().copied(),
        throughput: throughput(samples),
        gap_ns: gap_ns(samples),
        cpu_ns: per(&Cpu, Metric::CpuNs),
        cpu_cycles: per(&Cpu, Metric::CpuCycles),
        client_cpu_ns: per(&Cpu, Metric::ClientCpuNs),
        read_bytes: per(&Disk, Metric::ReadBytes),
        write_bytes: per(&Disk, Metric::WriteBytes),
        cold_read_bytes: per(&DropCaches, Metric::ReadBytes),
        cold_write_bytes: per(&DropCaches, Metric::WriteBytes),
        cold_wall_ns: per(&DropCaches, Metric::WallNs),
        failed: failures.len() as u64,
        first_error: failures.first().and_then(|s| s.error.clone()),
    })
}

fn phases(samples: &RungSamples<'_>, seed: u64) -> Vec<(String, Summary)> {
    let mut by_name: Vec<(&str, Vec<f64>)> = Vec::new();
    let parts = single_starts(samples)
        .filter(|s| s.phase != TOTAL && s.metric == Metric::WallNs && s.error.is_none());
    for sample in parts {
        let Some(value) = sample.value.number() else {
            continue;
        };
        match by_name.iter_mut().find(|(name, _)| *name == sample.phase) {
            Some((_, values)) => values.push(value as f64),
            None => by_name.push((&sample.phase, vec![value as f64])),
        }
    }
    by_name
        .into_iter()
        .filter_map(|(name, values)| Some((name.to_owned(), Summary::from_values(&values, seed)?)))
        .collect()
}

/// By the number of workers, the rates of the largest batches: in small ones the beginning and the end,
/// where not all workers are busy, weigh more.
fn throughput(samples: &RungSamples<'_>) -> Vec<Throughput> {
    let mut by_workers: BTreeMap<u32, Vec<&Sample>> = BTreeMap::new();
    let batches = samples.measured(&Measure::Batch).iter();
    for sample in batches.filter(|s| s.metric == Metric::WallNs && s.error.is_none()) {
        by_workers.entry(sample.workers).or_default().push(sample);
    }
    by_workers
        .into_iter()
        .filter_map(|(workers, batches)| {
            let n = batches.iter().map(|s| s.n).max()?;
            let rates: Vec<f64> = batches
                .iter()
                .filter(|s| s.n == n)
                .filter_map(|s| s.value.number().filter(|&ns| ns > 0))
                .map(|ns| n as f64 * 1e9 / ns as f64)
                .collect();
            Some(Throughput {
                workers,
                n,
                median: median(&rates)?,
                rates,
            })
        })
        .collect()
}

/// Median over the one-worker blocks of (batch - sum of its starts) / n.
fn gap_ns(samples: &RungSamples<'_>) -> Option<f64> {
    let mut starts: BTreeMap<u32, (u64, f64)> = BTreeMap::new();
    for sample in single_starts(samples).filter(|s| s.phase == TOTAL) {
        if let Some(ns) = sample.value.number() {
            let entry = starts.entry(sample.block).or_default();
            *entry = (entry.0 + 1, entry.1 + ns as f64);
        }
    }
    let batches = samples.measured(&Measure::Batch).iter();
    let gaps: Vec<f64> = batches
        .filter(|s| s.workers == 1 && s.n >= MIN_GAP_N && s.metric == Metric::WallNs)
        .filter_map(|batch| {
            let &(n, sum) = starts.get(&batch.block).filter(|(n, _)| *n == batch.n)?;
            Some((batch.value.number()? as f64 - sum) / n as f64)
        })
        .collect();
    median(&gaps)
}

impl PerStart {
    fn from_totals(samples: &[&Sample], metric: &Metric, seed: u64) -> Self {
        let (mut values, mut starts, mut unavailable) = (Vec::new(), 0, None);
        let totals = samples
            .iter()
            .filter(|s| s.metric == *metric && s.phase == TOTAL);
        for sample in totals {
            match &sample.value {
                Value::Value(value) if sample.error.is_none() && sample.n > 0 => {
                    values.push(*value as f64 / sample.n as f64);
                    starts += sample.n;
                }
                Value::Value(_) => {}
                Value::Unavailable(why) => {
                    unavailable.get_or_insert_with(|| why.clone());
                }
            }
        }
        Self {
            summary: Summary::from_values(&values, seed),
            starts,
            unavailable: unavailable.filter(|_| values.is_empty()),
        }
    }
}
