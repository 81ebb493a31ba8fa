//! What the mem part's samples say of each rung: what one more parked worker costs, and what is fixed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use measure_core::contract::sample::{Sample, Value};
use measure_core::contract::vocabulary::phase::{BEFORE, PARKED, PEAK};
use measure_core::contract::vocabulary::{Measure, Metric, Unit};
use stats::{Interval, LinearFit, linear_fit, median};

use crate::format::{UNCHECKED, bytes, percent_off};
use crate::rung_samples::RungSamples;

/// One rung and one quantity of the mem part.
#[derive(Debug, Clone)]
pub struct MemoryRow {
    /// Ladder id.
    pub rung: String,
    /// What is weighed.
    pub quantity: Quantity,
    /// Number of workers and bytes of the whole scope, one per measured point.
    pub points: Vec<(u64, f64)>,
    /// Slope: one more worker. Intercept: what is there with none.
    pub fit: Option<LinearFit>,
    /// Why there is none.
    pub unavailable: Option<String>,
}

/// The host's counters that add up to what one more worker costs beyond PSS.
pub(crate) const BEYOND_PSS: [Metric; 5] = [
    Metric::PageTablesBytes,
    Metric::KernelStacksBytes,
    Metric::SlabReclaimableBytes,
    Metric::SlabUnreclaimableBytes,
    Metric::PercpuBytes,
];

/// How a quantity is read from the samples of one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// Median of the values while parked.
    Parked,
    /// The largest value over the scope's life.
    Peak,
    /// A counter of the whole host while parked less the one before; of MemAvailable, which falls, the reverse.
    HostChange,
}

/// What is weighed. Shown as the metric of the samples, with `peak_` before it for a peak, and as
/// `host_<metric>_gained` (or `_lost`) for a change of the host's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    /// When, and against what.
    pub reading: Reading,
    /// Of the samples.
    pub metric: Metric,
}

impl Quantity {
    /// What a worker weighs first of all.
    pub const PSS: Self = Self {
        reading: Reading::Parked,
        metric: Metric::PssBytes,
    };

    pub(crate) const fn host_change(metric: Metric) -> Self {
        Self {
            reading: Reading::HostChange,
            metric,
        }
    }

    /// How to read `sample`; `None` for phases that no row is made of. Of the metrics in `host` the whole host's
    /// counter was read.
    fn read_from(sample: &Sample, host: &BTreeSet<&Metric>) -> Option<Self> {
        let reading = match sample.phase.as_str() {
            PEAK => Reading::Peak,
            BEFORE => Reading::HostChange,
            PARKED if host.contains(&sample.metric) => Reading::HostChange,
            PARKED => Reading::Parked,
            _ => return None,
        };
        Some(Self {
            reading,
            metric: sample.metric.clone(),
        })
    }

    fn value_at(&self, point: &Point) -> Option<(u64, f64)> {
        let value = median(&point.values)?;
        let value = match self.reading {
            Reading::Parked | Reading::Peak => value,
            Reading::HostChange if self.metric == Metric::MemAvailableBytes => {
                median(&point.before)? - value
            }
            Reading::HostChange => value - median(&point.before)?,
        };
        Some((point.workers, value))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.metric.as_str();
        match self.reading {
            Reading::Peak if !metric.contains("peak") => write!(f, "peak_{metric}"),
            Reading::Parked | Reading::Peak => f.write_str(metric),
            Reading::HostChange if self.metric == Metric::MemAvailableBytes => {
                write!(f, "host_{metric}_lost")
            }
            Reading::HostChange => write!(f, "host_{metric}_gained"),
        }
    }
}

/// Fewest points of a sweep for an interval: three sweeps of two sizes.
pub(crate) const MIN_FIT_POINTS: usize = 6;

/// The interval of the slope, from [`MIN_FIT_POINTS`] points on.
pub(crate) fn slope_interval(fit: &LinearFit) -> Option<Interval> {
    fit.slope_interval.filter(|_| fit.n >= MIN_FIT_POINTS)
}

/// The slope with how far the ends of its interval lie off: `20.6 KiB +-1%`.
pub(crate) fn fit_off_by(fit: &LinearFit) -> String {
    let off = slope_interval(fit).map_or(UNCHECKED.to_owned(), |i| percent_off(fit.slope, i));
    format!("{} {off}", bytes(fit.slope))
}

/// The samples of one block, which holds one number of workers.
#[derive(Default)]
struct Point {
    workers: u64,
    values: Vec<f64>,
    before: Vec<f64>,
}

/// What was weighed: its samples by block, and why some has no value.
#[derive(Default)]
struct Weighed {
    points: BTreeMap<u32, Point>,
    unavailable: Option<String>,
}

/// The rows of `rung`, in the order in which the quantities were recorded.
pub(crate) fn memory_rows(rung: &str, samples: &RungSamples<'_>) -> Vec<MemoryRow> {
    let held = samples.measured(&Measure::Hold);
    // Counters that were read before the driver was there are the whole host's.
    let before = held.iter().filter(|s| s.phase == BEFORE);
    let host: BTreeSet<&Metric> = before.map(|s| &s.metric).collect();
    let mut order: Vec<Quantity> = Vec::new();
    let mut found: BTreeMap<Quantity, Weighed> = BTreeMap::new();
    let weights = |s: &&&Sample| s.error.is_none() && s.metric.unit() == Unit::Bytes;
    for sample in held.iter().filter(weights) {
        let Some(quantity) = Quantity::read_from(sample, &host) else {
            continue;
        };
        let weighed = found.entry(quantity.clone()).or_insert_with(|| {
            order.push(quantity);
            Weighed::default()
        });
        match &sample.value {
            Value::Unavailable(why) => {
                weighed.unavailable.get_or_insert_with(|| why.clone());
            }
            Value::Value(value) => {
                let point = weighed.points.entry(sample.block).or_default();
                if sample.phase == BEFORE {
                    point.before.push(*value as f64);
                } else {
                    point.workers = sample.n;
                    point.values.push(*value as f64);
                }
            }
        }
    }
    let row = |quantity: Quantity| {
        let weighed = found.remove(&quantity).unwrap_or_default();
        let points: Vec<(u64, f64)> = weighed
            .points
            .values()
            .filter_map(|point| quantity.value_at(point))
            .collect();
        let line: Vec<(f64, f64)> = points.iter().map(|&(n, y)| (n as f64, y)).collect();
        MemoryRow {
            rung: rung.to_owned(),
            quantity,
            fit: linear_fit(&line),
            unavailable: weighed.unavailable.filter(|_| points.is_empty()),
            points,
        }
    };
    order.into_iter().map(row).collect()
}

/// The slope with its interval.
pub(crate) fn fit_bytes(fit: &LinearFit) -> String {
    with_range(fit.slope, slope_interval(fit))
}

/// `20.6 KiB [20.5 KiB, 20.7 KiB]`, or `20.6 KiB unchecked`.
pub(crate) fn with_range(value: f64, interval: Option<Interval>) -> String {
    let value = bytes(value);
    match interval {
        Some(i) => format!("{value} [{}, {}]", bytes(i.lo), bytes(i.hi)),
        None => format!("{value} {UNCHECKED}"),
    }
}
