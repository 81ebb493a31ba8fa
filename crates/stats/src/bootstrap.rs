//! Bootstrap percentile intervals of a ratio of medians (Efron & Tibshirani, "An
//! Introduction to the Bootstrap", 1993, chapter 13). They stand in for `scipy.stats.bootstrap`, against whose
//! stored results tests/scipy.rs holds them: no crate was found that has the short cut below.
//!
//! The median of a resample is drawn without making the resample. Resampling a sorted sample x of n
//! with replacement is drawing n uniform numbers U and taking `x[floor(n U)]`; its k-th smallest
//! value is `x[floor(n U_(k))]`, and the k-th smallest of n uniform numbers is Beta(k, n + 1 - k)
//! distributed. So one draw from a Beta distribution stands for n draws and a selection, exactly, and
//! 10 000 resamples of any sample cost about a millisecond.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Beta, Distribution};

use super::{CONFIDENCE, Interval, Ratio, median_of_sorted, sorted};

/// Resamples per interval.
const RESAMPLES: usize = 10_000;
/// Fewest values on either side for an interval.
const MIN_RESAMPLED_N: usize = 5;

/// Draws the median of a resample of a sorted sample.
struct Resampler<'a> {
    sorted: &'a [f64],
    /// Distribution of the k-th smallest of n uniform numbers, k = (n + 1) / 2 rounded down.
    lower: Beta<f64>,
    /// Numbers above the k-th.
    above: usize,
}

impl<'a> Resampler<'a> {
    fn new(sorted: &'a [f64]) -> Option<Self> {
        let n = sorted.len();
        if n < MIN_RESAMPLED_N {
            return None;
        }
        let k = n.div_ceil(2);
        let lower = Beta::new(k as f64, (n + 1 - k) as f64).ok()?;
        Some(Self {
            sorted,
            lower,
            above: n - k,
        })
    }

    fn at(&self, uniform: f64) -> f64 {
        let n = self.sorted.len();
        self.sorted[((uniform * n as f64) as usize).min(n - 1)]
    }

    fn median(&self, rng: &mut Xoshiro256PlusPlus) -> f64 {
        let lower = self.lower.sample(rng);
        if self.sorted.len() % 2 == 1 {
            return self.at(lower);
        }
        // The next one up is the smallest of `above` uniform numbers between `lower` and 1.
        let v: f64 = rng.random();
        let upper = lower + (1.0 - lower) * (1.0 - v.powf(1.0 / self.above as f64));
        f64::midpoint(self.at(lower), self.at(upper))
    }
}

fn percentile_interval(mut values: Vec<f64>) -> Option<Interval> {
    if values.is_empty() || !values.iter().all(|v| v.is_finite()) {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let cut = (tail * values.len() as f64).floor() as usize;
    Some(Interval {
        lo: values[cut],
        hi: values[values.len() - 1 - cut],
    })
}

/// The ratio of the medians of two samples of independent values, each resampled on its own: blocks of one process, which
/// alternate and stand for themselves. What processes make is compared by [`crate::levels::ratio`]. `None` if one is
/// empty or not finite throughout, or the median of the second is not positive.
#[must_use]
pub fn median_ratio(numerator: &[f64], denominator: &[f64], seed: u64) -> Option<Ratio> {
    let (top, bottom) = (sorted(numerator)?, sorted(denominator)?);
    let below = median_of_sorted(&bottom);
    if below <= 0.0 {
        return None;
    }
    let interval = if bottom[0] > 0.0 {
        ratio_interval(&top, &bottom, seed)
    } else {
        None
    };
    Some(Ratio {
        ratio: median_of_sorted(&top) / below,
        interval,
    })
}

fn ratio_interval(top: &[f64], bottom: &[f64], seed: u64) -> Option<Interval> {
    let (top, bottom) = (Resampler::new(top)?, Resampler::new(bottom)?);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    percentile_interval(
        (0..RESAMPLES)
            .map(|_| top.median(&mut rng) / bottom.median(&mut rng))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Resampling as the textbook has it, to check the short cut against.
    fn plain_medians(sorted: &[f64], rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let mut resample: Vec<f64> = (0..sorted.len())
                    .map(|_| sorted[rng.random_range(0..sorted.len())])
                    .collect();
                resample.sort_unstable_by(f64::total_cmp);
                median_of_sorted(&resample)
            })
            .collect();
        medians.sort_unstable_by(f64::total_cmp);
        medians
    }

    #[test]
    fn the_short_cut_has_the_distribution_of_plain_resampling() {
        for n in [5_usize, 8, 21, 60] {
            let sample: Vec<f64> = (0..n).map(|i| (i * i) as f64).collect();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
            let plain = plain_medians(&sample, &mut rng);
            let resampler = Resampler::new(&sample).expect("enough values");
            let mut short: Vec<f64> = (0..RESAMPLES).map(|_| resampler.median(&mut rng)).collect();
            short.sort_unstable_by(f64::total_cmp);
            // Kolmogorov-Smirnov distance of two samples of 10 000; 0.0275 is its 99.9 % point.
            let rank = |values: &[f64], v: f64| {
                values.partition_point(|x| *x <= v) as f64 / RESAMPLES as f64
            };
            let distance = plain
                .iter()
                .chain(&short)
                .map(|&v| (rank(&plain, v) - rank(&short, v)).abs())
                .fold(0.0, f64::max);
            assert!(distance < 0.0275, "n {n}: {distance}");
        }
    }

    #[test]
    fn a_ratio_needs_a_positive_denominator_and_enough_values() {
        let five = [2.0, 2.1, 2.2, 2.3, 2.4];
        assert_eq!(median_ratio(&five, &[], 1), None);
        assert_eq!(median_ratio(&five, &[0.0], 1), None);
        assert_eq!(median_ratio(&[f64::NAN], &five, 1), None);
        let few = median_ratio(&five, &[1.1], 1).expect("a ratio");
        assert_eq!((few.ratio, few.interval), (2.2 / 1.1, None));
        let mixed = median_ratio(&five, &[-1.0, 1.0, 1.0, 1.0, 1.0], 1).expect("a ratio");
        assert_eq!(mixed.interval, None);
        let same = median_ratio(&five, &five, 1).expect("a ratio");
        assert!(same.interval.expect("enough").contains(1.0));
    }

    proptest! {
        #[test]
        fn the_seed_decides(sample in prop::collection::vec(1.0..1e9_f64, 5..100), seed: u64) {
            prop_assert_eq!(median_ratio(&sample, &sample, seed), median_ratio(&sample, &sample, seed));
        }

        #[test]
        fn equal_values_have_an_interval_of_one_point(value in 1.0..1e9_f64, n in 5_usize..50) {
            let found = median_ratio(&vec![value; n], &vec![1.0; n], 1).expect("positive");
            let i = found.interval.expect("enough");
            prop_assert_eq!((i.lo, i.hi), (value, value));
        }
    }
}
