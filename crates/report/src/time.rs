//! What the time part's samples say of each rung.

use std::collections::BTreeMap;

use measure_core::contract::sample::{Sample, TOTAL, Value};
use stats::{Flag, Ratio, Summary, flags, median, median_ratio};

use crate::records::Records;
use measure_core::contract::vocabulary::{
    BATCH, CALIBRATE, CLIENT_CPU_NS, CPU, CPU_CYCLES, CPU_NS, DISK, DROP_CACHES, READ_BYTES, START,
    WALL_NS, WRITE_BYTES,
};

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

/// The time rows of `records`, in the order of the ladder; rungs without any time sample are left out.
#[must_use]
pub fn time_rows(records: &Records) -> Vec<TimeRow> {
    let reference = walls(records, REFERENCE);
    records
        .rungs()
        .iter()
        .filter_map(|rung| time_row(records, rung, &reference))
        .collect()
}

/// Wall times of the good starts of `rung`, one at a time, in the order in which they were made.
fn walls(records: &Records, rung: &str) -> Vec<f64> {
    numbers(
        records
            .of(rung, START)
            .filter(|s| s.workers == 1 && s.phase == TOTAL && s.metric == WALL_NS),
    )
}

fn numbers<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<f64> {
    samples
        .filter(|s| s.error.is_none())
        .filter_map(|s| s.value.number())
        .map(|value| value as f64)
        .collect()
}

fn time_row(records: &Records, rung: &str, reference: &[f64]) -> Option<TimeRow> {
    let any = [START, BATCH, CPU, DISK, DROP_CACHES, CALIBRATE]
        .iter()
        .find_map(|measure| records.of(rung, measure).next())?;
    let seed = any.seed;
    let walls = walls(records, rung);
    let failures: Vec<&Sample> = [CALIBRATE, START, CPU, DISK, DROP_CACHES]
        .iter()
        .flat_map(|measure| records.of(rung, measure))
        .filter(|s| s.error.is_some() && s.phase == TOTAL)
        .collect();
    let per = |measure, metric| per_start(records, rung, measure, metric, seed);
    Some(TimeRow {
        rung: rung.to_owned(),
        function: any.function.clone(),
        wall: Summary::of(&walls, seed),
        reference_over_this: median_ratio(reference, &walls, seed).filter(|_| rung != REFERENCE),
        flags: flags(&walls),
        phases: phases(records, rung, seed),
        first_ns: numbers(records.of(rung, CALIBRATE).filter(|s| s.phase == TOTAL))
            .first()
            .copied(),
        throughput: throughput(records, rung),
        gap_ns: gap_ns(records, rung),
        cpu_ns: per(CPU, CPU_NS),
        cpu_cycles: per(CPU, CPU_CYCLES),
        client_cpu_ns: per(CPU, CLIENT_CPU_NS),
        read_bytes: per(DISK, READ_BYTES),
        write_bytes: per(DISK, WRITE_BYTES),
        cold_read_bytes: per(DROP_CACHES, READ_BYTES),
        cold_write_bytes: per(DROP_CACHES, WRITE_BYTES),
        cold_wall_ns: per(DROP_CACHES, WALL_NS),
        failed: failures.len() as u64,
        first_error: failures.first().and_then(|s| s.error.clone()),
    })
}

fn phases(records: &Records, rung: &str, seed: u64) -> Vec<(String, Summary)> {
    let mut by_name: Vec<(&str, Vec<f64>)> = Vec::new();
    let singles = records
        .of(rung, START)
        .filter(|s| s.workers == 1 && s.phase != TOTAL && s.metric == WALL_NS && s.error.is_none());
    for sample in singles {
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
        .filter_map(|(name, values)| Some((name.to_owned(), Summary::of(&values, seed)?)))
        .collect()
}

/// By the number of workers, the rates of the largest batches: in small ones the beginning and the end,
/// where not all workers are busy, weigh more.
fn throughput(records: &Records, rung: &str) -> Vec<Throughput> {
    let mut by_workers: BTreeMap<u32, Vec<&Sample>> = BTreeMap::new();
    let batches = records
        .of(rung, BATCH)
        .filter(|s| s.metric == WALL_NS && s.error.is_none());
    for sample in batches {
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
fn gap_ns(records: &Records, rung: &str) -> Option<f64> {
    let mut starts: BTreeMap<u32, (u64, f64)> = BTreeMap::new();
    let totals = records
        .of(rung, START)
        .filter(|s| s.workers == 1 && s.phase == TOTAL);
    for sample in totals {
        if let Some(ns) = sample.value.number() {
            let entry = starts.entry(sample.block).or_default();
            *entry = (entry.0 + 1, entry.1 + ns as f64);
        }
    }
    let gaps: Vec<f64> = records
        .of(rung, BATCH)
        .filter(|s| s.workers == 1 && s.n >= MIN_GAP_N && s.metric == WALL_NS)
        .filter_map(|batch| {
            let &(n, sum) = starts.get(&batch.block).filter(|(n, _)| *n == batch.n)?;
            Some((batch.value.number()? as f64 - sum) / n as f64)
        })
        .collect();
    median(&gaps)
}

fn per_start(records: &Records, rung: &str, measure: &str, metric: &str, seed: u64) -> PerStart {
    let (mut values, mut starts, mut unavailable) = (Vec::new(), 0, None);
    for sample in records
        .of(rung, measure)
        .filter(|s| s.metric == metric && s.phase == TOTAL)
    {
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
    PerStart {
        summary: Summary::of(&values, seed),
        starts,
        unavailable: unavailable.filter(|_| values.is_empty()),
    }
}
