//! What the records say of each rung, from one look through them: every table is made of this.

use std::collections::BTreeMap;

use measure_core::contract::run_info::RungInfo;
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::Measure;
use stats::LinearFit;

use crate::capacity::{CapacityRow, capacity_row};
use crate::host::Disturbance;
use crate::load::{self, RungLoad};
use crate::memory::{MemoryRow, Quantity, memory_rows};
use crate::prices::Prices;
use crate::records::Records;
use crate::rung_samples::RungSamples;
use crate::time::{REFERENCE, Reference, TimeRow, time_row};

/// A run in brief.
#[derive(Debug)]
pub struct RunSummary<'a> {
    /// What it was made from, for the words that go with the numbers.
    pub records: &'a Records,
    /// In the order of the ladder where it is known, else of appearance; a pooled rung right behind its twin.
    pub rungs: Vec<RungSummary<'a>>,
    /// What open loops found, by rung and function.
    pub loads: Vec<RungLoad>,
    /// Whether reports are to show the figures that Faasm's authors published beside it; they do as well where the run was asked for it.
    pub with_paper: bool,
    /// At which reports are to say what starts and parked workers cost.
    pub prices: Option<Prices>,
}

/// A rung in brief.
#[derive(Debug)]
pub struct RungSummary<'a> {
    /// Ladder id.
    pub rung: &'a str,
    /// What the run says of it.
    pub info: Option<&'a RungInfo>,
    /// The first reason why it has nothing to show, if it never could run.
    pub unavailable: Option<&'a str>,
    /// How long starts take; `None` without any sample of the time part.
    pub time: Option<TimeRow>,
    /// What parked workers weigh, a row per quantity in the order in which they were recorded.
    pub memory: Vec<MemoryRow>,
    /// How many parked workers the host held.
    pub capacity: Option<CapacityRow>,
    /// What all this was made from.
    pub(crate) samples: RungSamples<'a>,
}

impl<'a> RunSummary<'a> {
    /// Looks through `records`.
    #[must_use]
    pub fn from_records(records: &'a Records) -> Self {
        let known = records.info.rungs();
        let mut order: Vec<&str> = known.iter().map(|r| r.description.rung.as_str()).collect();
        let mut sorted: BTreeMap<&str, RungSamples<'a>> = BTreeMap::new();
        let about_rungs = |s: &&Sample| s.measure != Measure::Host;
        for sample in records.samples.iter().filter(about_rungs) {
            let rung = sorted.entry(&sample.rung).or_insert_with(|| {
                if !order.contains(&sample.rung.as_str()) {
                    order.push(&sample.rung);
                }
                RungSamples::default()
            });
            if !sample.warmup {
                rung.push(sample);
            }
        }
        let reference = sorted.get(REFERENCE).map(Reference::from_samples);
        let reference = reference.unwrap_or_default();
        let rungs = behind_their_twins(&order).into_iter().map(|rung| {
            let samples = sorted.remove(rung).unwrap_or_default();
            RungSummary {
                rung,
                info: known.iter().copied().find(|r| r.description.rung == rung),
                unavailable: samples.unavailable(),
                time: time_row(rung, &samples, &reference),
                memory: memory_rows(rung, &samples),
                capacity: capacity_row(rung, &samples),
                samples,
            }
        });
        Self {
            records,
            rungs: rungs.collect(),
            loads: load::rungs(&records.loads),
            with_paper: false,
            prices: None,
        }
    }

    /// The rung `id`.
    #[must_use]
    pub fn rung(&self, id: &str) -> Option<&RungSummary<'a>> {
        self.rungs.iter().find(|rung| rung.rung == id)
    }

    /// The rows of the time part.
    pub fn times(&self) -> impl Iterator<Item = &TimeRow> {
        self.rungs.iter().filter_map(|rung| rung.time.as_ref())
    }

    /// The ramps.
    pub fn ramps(&self) -> impl Iterator<Item = &CapacityRow> {
        let rungs = self.rungs.iter();
        rungs.filter_map(|rung| rung.capacity.as_ref())
    }

    /// The rows of the mem part.
    pub fn memories(&self) -> impl Iterator<Item = &MemoryRow> {
        self.rungs.iter().flat_map(|rung| &rung.memory)
    }

    /// What else the host did, by the rung whose blocks were watched; of blocks that rungs share under an empty name.
    pub(crate) fn disturbances(&self) -> BTreeMap<&str, Disturbance> {
        Disturbance::by(&self.records.samples, |sample| &sample.rung)
    }

    pub(crate) fn has_times(&self) -> bool {
        self.times().next().is_some()
    }

    pub(crate) fn has_memories(&self) -> bool {
        self.memories().next().is_some()
    }
}

fn behind_their_twins<'a>(found: &[&'a str]) -> Vec<&'a str> {
    let twin_of = |rung: &'a str| {
        let twin = rung.strip_suffix("-pooled")?;
        found.contains(&twin).then_some(twin)
    };
    let mut ordered = Vec::with_capacity(found.len());
    for &rung in found.iter().filter(|rung| twin_of(rung).is_none()) {
        ordered.push(rung);
        ordered.extend(found.iter().filter(|other| twin_of(other) == Some(rung)));
    }
    ordered
}

impl RungSummary<'_> {
    /// The line over the workers of `quantity`.
    #[must_use]
    pub fn fit(&self, quantity: &Quantity) -> Option<LinearFit> {
        let row = self.memory.iter().find(|row| row.quantity == *quantity);
        row.and_then(|row| row.fit)
    }
}
