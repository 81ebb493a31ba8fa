//! What a ramp's samples say: what one more start took beside so many parked workers, what these weighed, and what gave.

mod csv_file;
mod plot;
mod tables;

use std::collections::BTreeMap;

use measure_core::contract::sample::{Sample, Value};
use measure_core::contract::vocabulary::phase::{BEFORE, PARKED, PARKING, TOTAL};
use measure_core::contract::vocabulary::{Measure, Metric};
use stats::{Summary, quantile};

use crate::memory::BEYOND_PSS;
use crate::rung_samples::RungSamples;

pub(crate) use csv_file::rows as csv_rows;
pub(crate) use plot::{EMPTY_AT, FILE, svg};
pub(crate) use tables::{ABOUT, COLUMNS, headline, on_the_way, section, sentences};

/// A rung's ramp.
#[derive(Debug, Clone)]
pub struct CapacityRow {
    /// Ladder id.
    pub rung: String,
    /// By the number of parked workers, the empty host first.
    pub points: Vec<CapacityPoint>,
    /// What ended it; `None` if whoever made it was killed.
    pub gave: Option<GaveWay>,
}

/// What ended a ramp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaveWay {
    /// How many workers were parked.
    pub resident: u64,
    /// The word of the records.
    pub word: String,
    /// In a sentence.
    pub words: String,
}

/// One number of parked workers.
#[derive(Debug, Clone, Default)]
pub struct CapacityPoint {
    /// How many.
    pub resident: u64,
    /// What one more start took beside them.
    pub start_ns: Vec<f64>,
    /// PSS of all that holds them.
    pub pss_bytes: Option<f64>,
    /// What the kernel's own memory has grown by since none was parked: page tables, stacks, slabs, per-CPU areas.
    pub kernel_bytes: Option<f64>,
    /// By how much MemAvailable has fallen since.
    pub available_lost_bytes: Option<f64>,
    /// MemAvailable itself.
    pub available_bytes: Option<f64>,
    /// Processes that hold them.
    pub processes: Option<u64>,
    /// Parking one of those that came since the point before.
    pub parking_ns: Option<f64>,
}

impl CapacityPoint {
    /// Median of the starts, with its interval.
    #[must_use]
    pub fn start(&self) -> Option<Summary> {
        Summary::from_values(&self.start_ns)
    }

    /// The 99th percentile; of fewer than 100 starts it lies between the two largest.
    #[must_use]
    pub fn p99_ns(&self) -> Option<f64> {
        quantile(&self.start_ns, 0.99)
    }

    /// `bytes` of one parked worker.
    #[must_use]
    pub fn each(&self, bytes: Option<f64>) -> Option<f64> {
        bytes
            .filter(|_| self.resident > 0)
            .map(|bytes| bytes / self.resident as f64)
    }
}

impl CapacityRow {
    /// The empty host.
    #[must_use]
    pub fn empty(&self) -> Option<&CapacityPoint> {
        self.points.iter().find(|point| point.resident == 0)
    }

    /// The point with most parked workers.
    #[must_use]
    pub fn fullest(&self) -> Option<&CapacityPoint> {
        self.points.iter().rfind(|point| point.resident > 0)
    }

    /// The 99th percentile beside the most over that on the empty host.
    #[must_use]
    pub fn p99_over_empty(&self) -> Option<f64> {
        let fullest = self
            .points
            .iter()
            .rfind(|point| point.resident > 0 && !point.start_ns.is_empty());
        let ratio = fullest?.p99_ns()? / self.empty()?.p99_ns()?;
        ratio.is_finite().then_some(ratio)
    }
}

/// The ramp of `rung`; `None` without any sample of one.
pub(crate) fn capacity_row(rung: &str, samples: &RungSamples<'_>) -> Option<CapacityRow> {
    let starts = samples.measured(&Measure::OneMore);
    let parked = samples.measured(&Measure::Capacity);
    if starts.is_empty() && parked.is_empty() {
        return None;
    }
    let mut points: BTreeMap<u64, CapacityPoint> = BTreeMap::new();
    for sample in starts {
        let total = sample.phase == TOTAL && sample.error.is_none();
        if let Some(ns) = sample.value.number().filter(|_| total) {
            let point = points.entry(u64::from(sample.workers)).or_default();
            point.start_ns.push(ns as f64);
        }
    }
    let before = counters(parked.iter().copied().filter(|s| s.phase == BEFORE));
    let mut blocks: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
    for sample in parked {
        if [PARKED, PARKING].contains(&sample.phase.as_str()) {
            blocks
                .entry(u64::from(sample.workers))
                .or_default()
                .push(sample);
        }
    }
    for (resident, samples) in blocks {
        weigh(points.entry(resident).or_default(), &samples, &before);
    }
    for (resident, point) in &mut points {
        point.resident = *resident;
    }
    Some(CapacityRow {
        rung: rung.to_owned(),
        points: points.into_values().collect(),
        gave: parked.iter().rev().find_map(|sample| gave_way(sample)),
    })
}

fn gave_way(sample: &Sample) -> Option<GaveWay> {
    let words = sample.error.clone()?;
    if sample.metric != Metric::Resident {
        return None;
    }
    let resident = u64::try_from(sample.value.number()?).ok()?;
    Some(GaveWay {
        resident,
        word: sample.phase.clone(),
        words,
    })
}

fn counters<'a>(samples: impl Iterator<Item = &'a Sample>) -> BTreeMap<&'a Metric, f64> {
    samples
        .filter_map(|s| Some((&s.metric, s.value.number()? as f64)))
        .collect()
}

/// Fills in what was weighed at a point.
fn weigh(point: &mut CapacityPoint, samples: &[&Sample], before: &BTreeMap<&Metric, f64>) {
    let now = counters(samples.iter().copied().filter(|s| s.phase == PARKED));
    let grown = |metric: &Metric| Some(now.get(metric)? - before.get(metric)?);
    point.pss_bytes = now.get(&Metric::PssBytes).copied();
    let kernel: Vec<f64> = BEYOND_PSS.iter().filter_map(grown).collect();
    point.kernel_bytes = (!kernel.is_empty()).then(|| kernel.iter().sum());
    point.available_bytes = now.get(&Metric::MemAvailableBytes).copied();
    point.available_lost_bytes = grown(&Metric::MemAvailableBytes).map(|grown| -grown);
    point.processes = now.get(&Metric::Processes).map(|&count| count as u64);
    let parking = samples.iter().find(|s| s.phase == PARKING && s.n > 0);
    point.parking_ns = parking.and_then(|sample| match &sample.value {
        Value::Value(ns) => Some(*ns as f64 / sample.n as f64),
        Value::Unavailable(_) => None,
    });
}
