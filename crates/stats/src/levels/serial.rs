//! Processes that follow one another and are alike for it: a host that drifts by some per cent within a run makes each process
//! resemble the one before, so that thirty are worth fewer, and an interval that takes them for independent is too narrow.

use statrs::distribution::{ContinuousCDF, Normal};

use super::intervals::{around, mean_square_error};
use crate::{CONFIDENCE, Interval, sorted};

/// Groups of consecutive processes that stand for independent ones. Few, as each must last longer than what drifts.
const GROUPS: usize = 5;

/// Fewest values that are looked at: two in each group.
const LEAST: usize = 2 * GROUPS;

/// This share of samples in which nothing drifts are taken for such that do. The price of those is a wider interval,
/// that of a drift which is missed one that does not hold: so it is larger than a flag's.
const FALSE_ALARMS: f64 = 0.2;

/// Whether `values`, in order of time, resemble their neighbours more than chance allows (Bartels, "The rank version of von
/// Neumann's ratio test for randomness", Journal of the American Statistical Association 77, 1982; one-sided, by
/// its normal approximation).
fn resemble_neighbours(values: &[f64]) -> bool {
    let Some(in_order) = sorted(values) else {
        return false;
    };
    let n = values.len() as f64;
    // Of equal values the mean of their ranks.
    let rank = |value: f64| {
        let below = in_order.partition_point(|&other| other < value);
        let up_to = in_order.partition_point(|&other| other <= value);
        (below + up_to) as f64 / 2.0
    };
    let ranks: Vec<f64> = values.iter().map(|&value| rank(value)).collect();
    let steps: f64 = ranks.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum();
    let squares = mean_square_error(&ranks) * n * (n - 1.0);
    let variance =
        4.0 * (n - 2.0) * (5.0 * n * n - 2.0 * n - 9.0) / (5.0 * n * (n + 1.0) * (n - 1.0).powi(2));
    let limit = Normal::standard().inverse_cdf(1.0 - FALSE_ALARMS);
    squares > 0.0 && (2.0 - steps / squares) / variance.sqrt() > limit
}

/// What each of [`GROUPS`] consecutive groups of `values`, in order of time, comes to, where these are not independent;
/// `None` where they may be, or are too few to tell.
pub(super) fn dependent_groups(values: &[f64], centre: fn(&[f64]) -> f64) -> Option<Vec<f64>> {
    if values.len() < LEAST || !resemble_neighbours(values) {
        return None;
    }
    let end = |group: usize| group * values.len() / GROUPS;
    let groups = (0..GROUPS).map(|group| centre(&values[end(group)..end(group + 1)]));
    Some(groups.collect())
}

/// `interval` of `value`, reaching as far as Student's t over the groups' `centre` does, where `values` are not independent
/// (batch means: Law & Kelton, "Simulation Modeling and Analysis", chapter 9).
pub(super) fn reach(
    interval: Interval,
    value: f64,
    values: &[f64],
    centre: fn(&[f64]) -> f64,
) -> Interval {
    let Some(groups) = dependent_groups(values, centre) else {
        return interval;
    };
    let error = mean_square_error(&groups).sqrt();
    let wide = around(value, error, GROUPS as f64 - 1.0, CONFIDENCE);
    Interval {
        lo: interval.lo.min(wide.lo),
        hi: interval.hi.max(wide.hi),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::seq::SliceRandom;

    fn near(ours: f64, theirs: f64) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} is not {theirs}");
    }

    /// By hand: the means of pairs of 1 to 10 are 1.5 to 9.5, their standard error sqrt(10 / 5) = 1.414214, t(0.975, 4) = 2.776445.
    #[test]
    fn what_rises_reaches_as_far_as_its_groups_say() {
        let rising: Vec<f64> = (1..=10).map(f64::from).collect();
        let narrow = Interval { lo: 5.0, hi: 6.0 };
        let found = reach(narrow, 5.5, &rising, mean);
        near(found.hi, 5.5 + 2.776_445_1 * 2_f64.sqrt());
        near(found.lo, 5.5 - 2.776_445_1 * 2_f64.sqrt());
        let wide = Interval { lo: -9.0, hi: 20.0 };
        assert_eq!(reach(wide, 5.5, &rising, mean), wide);
    }

    #[test]
    fn nothing_is_said_of_few_of_equal_or_of_alternating_values() {
        let narrow = Interval { lo: 5.0, hi: 6.0 };
        let nine: Vec<f64> = (1..=9).map(f64::from).collect();
        let alternating = [1.0, 2.0].repeat(10);
        for values in [&nine[..], &[5.5; 20], &alternating] {
            assert_eq!(reach(narrow, 5.5, values, mean), narrow);
        }
    }

    #[test]
    fn a_fifth_of_what_does_not_drift_is_taken_for_what_does() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for n in [10, 15, 40] {
            let mut values: Vec<f64> = (0..n).map(f64::from).collect();
            let draws = 4000;
            let alarms = (0..draws)
                .filter(|_| {
                    values.shuffle(&mut rng);
                    resemble_neighbours(&values)
                })
                .count();
            // Three standard deviations of chance are 0.019.
            let share = alarms as f64 / f64::from(draws);
            assert!((share - FALSE_ALARMS).abs() < 0.025, "{n}: {share}");
        }
    }
}
