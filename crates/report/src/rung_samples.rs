//! The samples of one rung.

use std::collections::BTreeMap;

use measure_core::contract::sample::{Sample, Value};
use measure_core::contract::vocabulary::Measure;

/// The samples of one rung that count (no warm-up), by what was being done, in the order of measurement.
#[derive(Debug, Default)]
pub(crate) struct RungSamples<'a>(BTreeMap<&'a Measure, Vec<&'a Sample>>);

impl<'a> RungSamples<'a> {
    /// Those of `measure`.
    pub(crate) fn measured(&self, measure: &Measure) -> &[&'a Sample] {
        self.0.get(measure).map_or(&[], Vec::as_slice)
    }

    /// One more, a later one.
    pub(crate) fn push(&mut self, sample: &'a Sample) {
        self.0.entry(&sample.measure).or_default().push(sample);
    }

    /// Why the rung never could run, if it says so.
    pub(crate) fn unavailable(&self) -> Option<&'a str> {
        let probes = self.measured(&Measure::Probe).iter();
        probes.copied().find_map(|s| match &s.value {
            Value::Unavailable(why) => Some(why.as_str()),
            Value::Value(_) => None,
        })
    }
}
