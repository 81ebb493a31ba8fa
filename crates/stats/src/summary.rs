//! A sample of independent draws in a few numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Interval, deviation, levels, mean, median_of_sorted, quantile_of_sorted, sorted};

/// Fewest values for a 90th percentile.
pub const MIN_P90_N: usize = 10;

/// Fewest values for a 99th percentile.
pub const MIN_P99_N: usize = 100;

/// A sample in brief, in the unit of its values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// How many values.
    pub n: usize,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
    pub median: f64,
    /// Median absolute deviation from the median, not scaled (times 1.4826 it estimates the standard
    /// deviation of a normal sample).
    pub mad: f64,
    /// 90th percentile, from [`MIN_P90_N`] values on.
    pub p90: Option<f64>,
    /// 99th percentile, from [`MIN_P99_N`] values on.
    pub p99: Option<f64>,
    /// Interval of the median between order statistics of the values, as of [`levels::median`], from [`levels::MIN_PROCESSES`] values on.
    pub interval: Option<Interval>,
}

impl Summary {
    /// Summarises `sample`, independent values in any order; `None` if it is empty or holds a value that is not finite.
    #[must_use]
    pub fn from_values(sample: &[f64]) -> Option<Self> {
        let sorted = sorted(sample)?;
        let median = median_of_sorted(&sorted);
        let n = sorted.len();
        Some(Self {
            n,
            min: sorted[0],
            max: sorted[n - 1],
            mean: mean(&sorted),
            median,
            mad: deviation(&sorted, median),
            p90: (n >= MIN_P90_N).then(|| quantile_of_sorted(&sorted, 0.90)),
            p99: (n >= MIN_P99_N).then(|| quantile_of_sorted(&sorted, 0.99)),
            interval: levels::order_statistics(&sorted).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_and_unfit_samples_say_what_they_can() {
        assert_eq!(Summary::from_values(&[]), None);
        assert_eq!(Summary::from_values(&[1.0, f64::NAN]), None);
        assert_eq!(Summary::from_values(&[f64::INFINITY]), None);
        let one = Summary::from_values(&[4.0]).expect("a value");
        assert_eq!((one.median, one.mad, one.interval), (4.0, 0.0, None));
        let two = Summary::from_values(&[4.0, 8.0]).expect("values");
        assert_eq!((two.median, two.mad, two.interval), (6.0, 2.0, None));
        assert_eq!((two.p90, two.p99), (None, None));
    }

    #[test]
    fn quantiles_interpolate_like_the_textbook() {
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        let summary = Summary::from_values(&ten).expect("values");
        assert!((summary.p90.expect("ten values") - 9.1).abs() < 1e-12);
        assert_eq!(summary.p99, None);
        assert_eq!(crate::quantile(&ten, 1.5), None);
        assert_eq!(crate::quantile(&ten, 0.0), Some(1.0));
        assert_eq!(crate::quantile(&ten, 1.0), Some(10.0));
    }

    proptest! {
        #[test]
        fn a_summary_is_ordered_and_does_not_depend_on_order(
            mut sample in prop::collection::vec(-1e12..1e12_f64, 1..300),
        ) {
            let a = Summary::from_values(&sample).expect("finite");
            prop_assert!(a.min <= a.median && a.median <= a.max);
            prop_assert!(a.mad >= 0.0 && a.mad <= a.max - a.min);
            prop_assert!(a.mean >= a.min - 1.0 && a.mean <= a.max + 1.0);
            if let (Some(p90), Some(p99)) = (a.p90, a.p99) {
                prop_assert!(a.median <= p90 && p90 <= p99 && p99 <= a.max);
            }
            if let Some(i) = a.interval {
                prop_assert!(a.min <= i.lo && i.lo <= i.hi && i.hi <= a.max);
                prop_assert!(i.contains(a.median));
            }
            sample.reverse();
            prop_assert_eq!(Summary::from_values(&sample), Some(a));
        }

        #[test]
        fn scaling_a_sample_scales_its_median_and_spread(
            sample in prop::collection::vec(1.0..1e6_f64, 1..50),
        ) {
            let doubled: Vec<f64> = sample.iter().map(|v| v * 2.0).collect();
            let (a, b) = (Summary::from_values(&sample).expect("finite"), Summary::from_values(&doubled).expect("finite"));
            prop_assert_eq!(b.median, 2.0 * a.median);
            prop_assert_eq!(b.mad, 2.0 * a.mad);
        }
    }
}
