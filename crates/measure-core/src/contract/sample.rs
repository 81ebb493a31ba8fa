//! One measured value, as it is written to `samples.jsonl`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vocabulary::{Measure, Metric};

/// Version of [`Sample`]'s form; a reader refuses what is newer.
///
/// 2: [`Sample::process`], and the designs [`Measure::Isolated`] and [`Measure::BackToBack`] in place of
/// [`Measure::Start`], which pooled both. Lines of schema 1 are read as they were meant.
pub const SCHEMA: u32 = 2;

/// A value as measured, or why there is none. Never zero in place of "unknown".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// In [`Metric::unit`].
    Value(i64),
    /// Why it could not be measured, and how to mend it.
    Unavailable(String),
}

impl Value {
    /// The number, if there is one.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Value(number) => Some(*number),
            Self::Unavailable(_) => None,
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Value(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<E: std::fmt::Display> From<Result<u64, E>> for Value {
    fn from(result: Result<u64, E>) -> Self {
        match result {
            Ok(number) => number.into(),
            Err(why) => Self::Unavailable(why.to_string()),
        }
    }
}

/// One line of `samples.jsonl`: a raw total over `n` starts (or workers), never divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run directory's name.
    pub run: String,
    /// Ladder id.
    pub rung: String,
    /// `user/function`.
    pub function: String,
    /// What was being done.
    pub measure: Measure,
    /// [`super::vocabulary::phase::TOTAL`] or the name of a phase of it.
    pub phase: String,
    /// What the value is of.
    pub metric: Metric,
    /// The raw total.
    #[serde(flatten)]
    pub value: Value,
    /// How many starts (or parked workers) the total covers.
    pub n: u64,
    /// How many worked at once.
    pub workers: u32,
    /// Which driver process of its rung (or run of its column) made it, from 1; 0 where the record does not say.
    #[serde(default)]
    pub process: u32,
    /// Position of the block in the interleaved schedule.
    pub block: u32,
    /// Position of the start within its block.
    pub order: u64,
    /// The schedule's seed.
    pub seed: u64,
    /// An unmeasured start before the measured ones; kept, never summarised.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warmup: bool,
    /// Why this start failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::vocabulary::phase;

    #[test]
    fn a_value_or_its_absence_survives_a_line() {
        let mut sample = Sample {
            schema: SCHEMA,
            run: "r".into(),
            rung: "wasm".into(),
            function: "demo/noop".into(),
            measure: Measure::Start,
            phase: phase::TOTAL.into(),
            metric: Metric::WallNs,
            value: Value::Value(12_600),
            n: 1,
            workers: 1,
            process: 0,
            block: 0,
            order: 0,
            seed: 7,
            warmup: false,
            error: None,
        };
        let line = serde_json::to_string(&sample).expect("a line");
        assert!(line.contains(r#""value":12600"#), "{line}");
        assert_eq!(
            serde_json::from_str::<Sample>(&line).expect("a sample"),
            sample
        );
        sample.value = Value::Unavailable("no PMU".into());
        let line = serde_json::to_string(&sample).expect("a line");
        assert!(line.contains(r#""unavailable":"no PMU""#), "{line}");
        assert_eq!(
            serde_json::from_str::<Sample>(&line).expect("a sample"),
            sample
        );
    }
}
