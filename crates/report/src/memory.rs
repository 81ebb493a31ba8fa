//! What the mem part's samples say of each rung: what one more parked worker costs, and what is fixed.

use std::collections::{BTreeMap, BTreeSet};

use measure_core::contract::sample::{Sample, Value};
use stats::{LinearFit, linear_fit, median};

use crate::records::Records;
use measure_core::contract::vocabulary::{BEFORE, HOLD, MEM_AVAILABLE_BYTES, PARKED, PEAK};

/// One rung and one quantity of the mem part.
#[derive(Debug, Clone)]
pub struct MemoryRow {
    /// Ladder id.
    pub rung: String,
    /// What is weighed: the metric of the samples, with `peak_` before it for the largest value over
    /// the scope's life, and `host_` for a change of a counter of the whole host.
    pub measure: String,
    /// Number of workers and bytes of the whole scope, one per measured point.
    pub points: Vec<(u64, f64)>,
    /// Slope: one more worker. Intercept: what is there with none.
    pub fit: Option<LinearFit>,
    /// Why there is none.
    pub unavailable: Option<String>,
}

/// How a quantity is read from the samples of one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Median of the values while parked.
    Parked,
    /// The value of phase `peak`.
    Peak,
    /// The host's counter while parked less the one before.
    Host,
}

/// The mem rows of `records`: the rungs in the order of the ladder, of each its quantities in the order
/// in which they were recorded.
#[must_use]
pub fn memory_rows(records: &Records) -> Vec<MemoryRow> {
    records
        .rungs()
        .iter()
        .flat_map(|rung| rows_of(records, rung))
        .collect()
}

/// The samples of one block, which holds one number of workers.
#[derive(Default)]
struct Point {
    workers: u64,
    values: Vec<f64>,
    before: Vec<f64>,
}

fn rows_of(records: &Records, rung: &str) -> Vec<MemoryRow> {
    // Counters that were read before the driver was there are the whole host's.
    let host: BTreeSet<&str> = records
        .of(rung, HOLD)
        .filter(|s| s.phase == BEFORE)
        .map(|s| s.metric.as_str())
        .collect();
    let mut order: Vec<(Kind, &str)> = Vec::new();
    let mut points: BTreeMap<(Kind, &str), BTreeMap<u32, Point>> = BTreeMap::new();
    let mut reasons: BTreeMap<(Kind, &str), String> = BTreeMap::new();
    let weights = |s: &&Sample| s.error.is_none() && s.metric.ends_with("_bytes");
    for sample in records.of(rung, HOLD).filter(weights) {
        let Some(kind) = kind(sample, &host) else {
            continue;
        };
        let key = (kind, sample.metric.as_str());
        if !order.contains(&key) {
            order.push(key);
        }
        match &sample.value {
            Value::Unavailable(why) => {
                reasons.entry(key).or_insert_with(|| why.clone());
            }
            Value::Value(value) => {
                let point = points
                    .entry(key)
                    .or_default()
                    .entry(sample.block)
                    .or_default();
                if sample.phase == BEFORE {
                    point.before.push(*value as f64);
                } else {
                    point.workers = sample.n;
                    point.values.push(*value as f64);
                }
            }
        }
    }
    order
        .into_iter()
        .map(|key| {
            let points: Vec<(u64, f64)> = points
                .remove(&key)
                .unwrap_or_default()
                .into_values()
                .filter_map(|point| value_of(key, &point))
                .collect();
            let line: Vec<(f64, f64)> = points.iter().map(|&(n, y)| (n as f64, y)).collect();
            MemoryRow {
                rung: rung.to_owned(),
                measure: name(key),
                fit: linear_fit(&line),
                unavailable: reasons.remove(&key).filter(|_| points.is_empty()),
                points,
            }
        })
        .collect()
}

/// How to read `sample`; `None` for phases that no row is made of.
fn kind(sample: &Sample, host: &BTreeSet<&str>) -> Option<Kind> {
    match sample.phase.as_str() {
        PEAK => Some(Kind::Peak),
        BEFORE => Some(Kind::Host),
        PARKED if host.contains(sample.metric.as_str()) => Some(Kind::Host),
        PARKED => Some(Kind::Parked),
        _ => None,
    }
}

fn name((kind, metric): (Kind, &str)) -> String {
    match kind {
        Kind::Peak if !metric.contains("peak") => format!("peak_{metric}"),
        Kind::Parked | Kind::Peak => metric.to_owned(),
        Kind::Host if metric == MEM_AVAILABLE_BYTES => format!("host_{metric}_lost"),
        Kind::Host => format!("host_{metric}_gained"),
    }
}

fn value_of((kind, metric): (Kind, &str), point: &Point) -> Option<(u64, f64)> {
    let value = median(&point.values)?;
    let value = match kind {
        Kind::Parked | Kind::Peak => value,
        Kind::Host if metric == MEM_AVAILABLE_BYTES => median(&point.before)? - value,
        Kind::Host => value - median(&point.before)?,
    };
    Some((point.workers, value))
}
