//! A row, and what one run says of it.

use schemars::JsonSchema;
use serde::Serialize;
use stats::Interval;
use stats::levels::Estimate;

use crate::format::{bytes, duration_ns};

/// What a row's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// Nanoseconds of wall time.
    Ns,
    /// Bytes of memory.
    Bytes,
}

impl Quantity {
    /// A value with its unit.
    #[must_use]
    pub fn format(self) -> fn(f64) -> String {
        match self {
            Self::Ns => duration_ns,
            Self::Bytes => bytes,
        }
    }
}

/// What is the same from run to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct RowKey {
    /// The rung, or the column of a benchmark.
    pub row: String,
    /// Isolated, back to back, PSS of one more worker, or kernel.
    pub measure: String,
    /// `user/function`, or the benchmark.
    pub function: String,
    /// The unit of its values.
    pub quantity: Quantity,
}

impl RowKey {
    /// In a line.
    #[must_use]
    pub fn words(&self) -> String {
        let parts = [&self.row, &self.measure, &self.function];
        let known: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|p| !p.is_empty())
            .collect();
        known.join(", ")
    }
}

/// What one run found of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Value {
    /// Median, or slope.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
}

impl From<Estimate> for Value {
    fn from(estimate: Estimate) -> Self {
        Self {
            value: estimate.value,
            interval: estimate.interval.ok(),
        }
    }
}
