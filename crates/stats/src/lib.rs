//! Medians, spread, intervals, verdicts, linear fits, and what is odd about a sample.
//!
//! What driver processes made is summarised by [`levels`], whose intervals have the process as their unit and hold what they say.
//! The rest takes the values of a sample for independent draws, as runs of a command are.
//!
//! Everything is an `Option`: an empty sample, or one with a value that is not finite, has no summary,
//! and a sample that is too small has no interval. Nothing is dropped or trimmed.

pub mod aa;
pub mod agreement;
mod bootstrap;
pub mod changes;
mod fit;
mod flags;
pub mod levels;
mod scalability;
pub mod schedule;
mod summary;
pub mod verdict;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bootstrap::median_ratio;
pub use fit::{LinearFit, linear_fit};
pub use flags::{Flag, flags};
pub use scalability::{MIN_SCALABILITY_POINTS, ScalabilityFit, scalability_fit};
pub use summary::{MIN_P90_N, MIN_P99_N, Summary};

/// Confidence of every interval in this module.
pub const CONFIDENCE: f64 = 0.95;

/// An interval of [`CONFIDENCE`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// Whether `value` lies inside, ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }
}

/// A ratio of two medians and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Median of the first sample over median of the second.
    pub ratio: f64,
    /// Its interval, if both samples have five values and those of the second are positive.
    pub interval: Option<Interval>,
}

/// The median; `None` if `sample` is empty or holds a value that is not finite.
#[must_use]
pub fn median(sample: &[f64]) -> Option<f64> {
    sorted(sample).map(|sorted| median_of_sorted(&sorted))
}

/// The median absolute deviation from the median, not scaled (times 1.4826 it estimates the standard deviation of a normal
/// sample); `None` as for [`median`].
#[must_use]
pub fn mad(sample: &[f64]) -> Option<f64> {
    let centre = median(sample)?;
    let deviations: Vec<f64> = sample.iter().map(|v| (v - centre).abs()).collect();
    median(&deviations)
}

/// The `q` quantile, `q` from 0 to 1, interpolated linearly between order statistics (definition 7 of
/// Hyndman & Fan, "Sample Quantiles in Statistical Packages", 1996); `None` as for [`median`].
#[must_use]
pub fn quantile(sample: &[f64], q: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&q) {
        return None;
    }
    sorted(sample).map(|sorted| quantile_of_sorted(&sorted, q))
}

/// A sorted copy; `None` if empty or not finite throughout.
fn sorted(sample: &[f64]) -> Option<Vec<f64>> {
    if sample.is_empty() || !sample.iter().all(|v| v.is_finite()) {
        return None;
    }
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(sorted)
}

/// Divides before it sums, so that large values do not overflow.
fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    values.iter().map(|v| v / n).sum()
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])
}

/// Median absolute deviation from `centre`.
fn deviation(values: &[f64], centre: f64) -> f64 {
    let mut deviations: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
    deviations.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&deviations)
}

fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let part = position - below as f64;
    sorted[below] * (1.0 - part) + sorted[above] * part
}
