//! Histograms of latencies, and their form in records: HdrHistogram's V2, deflated, in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{
    DeserializeError, Deserializer, Serializer, V2DeflateSerializeError, V2DeflateSerializer,
};
use measure_core::contract::load_point::Hdr;
use stats::levels::CountedProcess;

/// Longest latency that is told from longer ones: an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Significant digits: a value is kept to 0.1 %.
const DIGITS: u8 = 3;

/// Nanoseconds, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies(hdrhistogram::Histogram<u64>);

/// What is wrong with a histogram.
#[derive(Debug, thiserror::Error)]
pub enum HdrError {
    /// None can be made.
    #[error("no histogram of 1 ns to an hour: {0}")]
    Create(#[from] hdrhistogram::CreationError),
    /// It cannot be written.
    #[error("a histogram cannot be written: {0}")]
    Serialize(#[from] V2DeflateSerializeError),
    /// No base64.
    #[error("a histogram is no base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// No histogram in it.
    #[error("no histogram: {0}")]
    Deserialize(#[from] DeserializeError),
    /// Two of them have different bounds.
    #[error("histograms of different kinds: {0}")]
    Add(#[from] hdrhistogram::AdditionError),
}

impl Latencies {
    /// An empty one.
    ///
    /// # Errors
    /// Never, with bounds that are constants.
    pub fn new() -> Result<Self, HdrError> {
        Ok(Self(hdrhistogram::Histogram::new_with_bounds(
            1, LONGEST_NS, DIGITS,
        )?))
    }

    /// Counts `ns`; above an hour as an hour.
    pub fn record_ns(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// Takes in what `other` counted.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn merge(&mut self, other: &Self) -> Result<(), HdrError> {
        Ok(self.0.add(&other.0)?)
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// How many values were `ns` or more, to the resolution of the histogram.
    #[must_use]
    pub fn count_from_ns(&self, ns: u64) -> u64 {
        self.0.count_between(ns, self.0.high())
    }

    /// The `q` quantile in nanoseconds; 0 of none.
    #[must_use]
    pub fn quantile_ns(&self, q: f64) -> u64 {
        self.0.value_at_quantile(q)
    }

    /// The largest value; 0 of none.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.0.max()
    }

    /// For statistics; `beyond` starts never came to a good end.
    #[must_use]
    pub fn counted(&self, beyond: u64) -> CountedProcess {
        let values = self.0.iter_recorded().map(|seen| {
            let middle = self.0.median_equivalent(seen.value_iterated_to());
            (middle as f64, seen.count_at_value())
        });
        CountedProcess::from_values(values, beyond)
    }

    /// As records have it.
    ///
    /// # Errors
    /// Never, as it is written to memory.
    pub fn encode(&self) -> Result<Hdr, HdrError> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes)?;
        Ok(STANDARD.encode(bytes))
    }

    /// From records.
    ///
    /// # Errors
    /// It is not what [`Latencies::encode`] writes.
    pub fn decode(text: &str) -> Result<Self, HdrError> {
        let bytes = STANDARD.decode(text)?;
        Ok(Self(
            Deserializer::new().deserialize(&mut bytes.as_slice())?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_histogram_says_so() {
        let error = |text| Latencies::decode(text).expect_err("refused").to_string();
        assert!(error("!").contains("base64"));
        assert!(error("AAAA").contains("no histogram"));
    }

    proptest! {
        #[test]
        fn histograms_survive_records_and_merge(
            first in prop::collection::vec(0..10_000_000_000_u64, 1..200),
            second in prop::collection::vec(0..10_000_000_u64, 0..200),
        ) {
            let made = |values: &[u64]| {
                let mut made = Latencies::new().expect("bounds");
                values.iter().for_each(|&ns| made.record_ns(ns));
                made
            };
            let mut merged = Latencies::decode(&made(&first).encode().expect("text")).expect("its own form");
            merged.merge(&made(&second)).expect("of one kind");
            prop_assert_eq!(merged.count(), (first.len() + second.len()) as u64);
            let most = first.iter().chain(&second).copied().max().unwrap_or(0);
            prop_assert!(merged.max_ns() >= most && merged.max_ns() as f64 <= most as f64 * 1.002 + 2.0);
            prop_assert_eq!(merged.counted(3).starts(), merged.count() + 3);
        }

        #[test]
        fn no_text_panics(text in "[A-Za-z0-9+/]{0,200}={0,2}") {
            let _ = Latencies::decode(&text);
        }
    }
}
