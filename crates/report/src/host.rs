//! What else the host did while something was measured.

use std::collections::BTreeMap;

use measure_core::contract::sample::{Sample, Value};
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::contract::vocabulary::{Measure, Metric};

/// How many of the blocks of a rung or benchmark were disturbed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// Blocks that were watched.
    pub blocks: u64,
    /// Of these, disturbed.
    pub disturbed: u64,
    /// Of these, too short to tell.
    pub too_short: u64,
    /// How many blocks each reason disturbed.
    pub reasons: BTreeMap<String, u64>,
}

impl Disturbance {
    /// What `samples` say, by `what` they are about.
    pub fn by(samples: &[Sample], what: fn(&Sample) -> &str) -> BTreeMap<&str, Self> {
        let mut found: BTreeMap<&str, Self> = BTreeMap::new();
        let verdicts = |s: &&Sample| s.measure == Measure::Host && s.metric == Metric::Disturbed;
        for sample in samples.iter().filter(verdicts) {
            let entry = found.entry(what(sample)).or_default();
            if sample.phase == TOTAL {
                entry.blocks += 1;
                match sample.value {
                    Value::Value(0) => {}
                    Value::Value(_) => entry.disturbed += 1,
                    Value::Unavailable(_) => entry.too_short += 1,
                }
            } else if sample.value != Value::Value(0) {
                *entry.reasons.entry(sample.phase.clone()).or_default() += 1;
            }
        }
        found
    }
}
