//! Where in a series of runs a value changed: E-divisive (Matteson & James, "A Nonparametric Approach for Multiple Change Point Analysis
//! of Multivariate Data", Journal of the American Statistical Association 109, 2014), which Hunter and MongoDB use on benchmarks
//! (Fleming et al., "Hunter: Using Change Point Detection to Hunt for Performance Regressions", ICPE 2023).
//!
//! A segment is split where the energy distance between what is left and what is right of the split is largest. Whether that is more than
//! chance is told by permuting the segment, as Matteson & James do, and not by Hunter's t-test: a t-test of the best of all splits takes it
//! for one that was chosen beforehand, and calls changes in series without any far more often than it says. Permutations end early once
//! it is clear that chance does as well (Besag & Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991).

use crate::levels::{Estimate, Levels, ratio};
use crate::schedule::SplitMix64;

/// Fewest runs on either side of a change.
pub const MIN_SIDE: usize = 3;
/// Once so many permutations do as well as the series itself, it has no change.
const AS_GOOD: u32 = 10;
/// Of all permutations that are made so many may do as well where the p-value is the level.
const PERMUTATIONS_AT_LEVEL: f64 = 10.0;
/// The permutations' own seed: the same series give the same changes.
const SEED: u64 = 0x6368_616e_6765;

/// A change between two neighbours of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The place of the first value after it.
    pub at: usize,
    /// The values of its segment after it over those before, by their logarithms; its interval takes the place for one that was known
    /// beforehand.
    pub after_over_before: Estimate,
    /// The share of permutations of the segment in which it was found that part as far.
    pub p_value: f64,
}

/// Where positive `values`, in order of time, change by at least the share `margin`: places at each of which a test of level `level` rejects that the
/// segment is all one. Fewer than two times [`MIN_SIDE`] values, or one that is not positive, have none.
#[must_use]
pub fn changes(values: &[f64], level: f64, margin: f64) -> Vec<Change> {
    let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    if !logs.iter().all(|log| log.is_finite()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    split(&logs, 0, level, &mut found);
    found.sort_unstable_by_key(|(at, _)| *at);
    large_ones(values, found, margin)
}

/// The smallest p-value that `count` values could have: of the permutations of a segment so many part it as well as the best one
/// does. Where it is above the level nothing can be found.
#[must_use]
pub fn least_p_value(count: usize) -> f64 {
    let half = count / 2;
    if half < MIN_SIDE {
        return 1.0;
    }
    // Two of all ways to choose one half: the one that is all left, and the one that is all right.
    let ways: f64 = (1..=half)
        .map(|i| (count - half + i) as f64 / i as f64)
        .product();
    2.0 / ways
}

/// Splits `logs`, which begin at `offset`, for as long as it is more than chance.
fn split(logs: &[f64], offset: usize, level: f64, found: &mut Vec<(usize, f64)>) {
    if logs.len() < 2 * MIN_SIDE || least_p_value(logs.len()) > level {
        return;
    }
    let Some((at, distance)) = best_split(logs) else {
        return;
    };
    let p_value = permuted(logs, distance, level);
    if p_value > level {
        return;
    }
    found.push((offset + at, p_value));
    split(&logs[..at], offset, level, found);
    split(&logs[at..], offset + at, level, found);
}

/// The place at which the energy distance between both sides, scaled by their sizes, is largest, and that.
fn best_split(values: &[f64]) -> Option<(usize, f64)> {
    let count = values.len();
    let difference = |i: usize, j: usize| (values[i] - values[j]).abs();
    // With nothing left of the split, all differences are within the right side.
    let (mut left, mut across) = (0.0, 0.0);
    let mut right: f64 = (0..count)
        .map(|i| (i + 1..count).map(|j| difference(i, j)).sum::<f64>())
        .sum();
    let mut best: Option<(usize, f64)> = None;
    for at in 1..count {
        // The value before the split goes from the right side to the left one.
        let moved = at - 1;
        let to_left: f64 = (0..moved).map(|i| difference(i, moved)).sum();
        let to_right: f64 = (at..count).map(|j| difference(moved, j)).sum();
        left += to_left;
        right -= to_right;
        across += to_right - to_left;
        if at < MIN_SIDE || count - at < MIN_SIDE {
            continue;
        }
        let (m, n) = (at as f64, (count - at) as f64);
        let pairs = |of: f64| of * (of - 1.0) / 2.0;
        let energy = 2.0 * across / (m * n) - left / pairs(m) - right / pairs(n);
        let scaled = m * n / (m + n) * energy;
        if best.is_none_or(|(_, most)| scaled > most) {
            best = Some((at, scaled));
        }
    }
    best
}

/// The share of permutations of `values` whose best split parts them by `distance` or more, the series itself among them.
fn permuted(values: &[f64], distance: f64, level: f64) -> f64 {
    let most = (PERMUTATIONS_AT_LEVEL / level)
        .ceil()
        .clamp(199.0, 19_999.0) as u32;
    let mut random = SplitMix64::new(SEED);
    let mut shuffled = values.to_vec();
    let mut as_good = 0;
    for made in 1..=most {
        random.shuffle(&mut shuffled);
        // Sums in another order may differ in their last digits.
        let reached =
            best_split(&shuffled).is_some_and(|(_, found)| found >= distance * (1.0 - 1e-9));
        as_good += u32::from(reached);
        if as_good == AS_GOOD {
            return f64::from(as_good) / f64::from(made);
        }
    }
    f64::from(as_good + 1) / f64::from(most + 1)
}

/// The changes by at least `margin`. A smaller one is none, the smallest first, and what it parted is one segment then.
fn large_ones(values: &[f64], mut places: Vec<(usize, f64)>, margin: f64) -> Vec<Change> {
    loop {
        let found = sized(values, &places);
        let size = |change: &Change| change.after_over_before.value.ln().abs();
        let smallest =
            (0..found.len()).min_by(|a, b| size(&found[*a]).total_cmp(&size(&found[*b])));
        match smallest {
            Some(at) if size(&found[at]) < margin.max(0.0).ln_1p() => {
                places.remove(at);
            }
            _ => return found,
        }
    }
}

fn sized(values: &[f64], places: &[(usize, f64)]) -> Vec<Change> {
    let ends = places
        .iter()
        .map(|(at, _)| *at)
        .skip(1)
        .chain([values.len()]);
    let mut begin = 0;
    let mut found = Vec::new();
    for (&(at, p_value), end) in places.iter().zip(ends) {
        let before = Levels::one_per_process(&values[begin..at]);
        let after = Levels::one_per_process(&values[at..end]);
        let over = after
            .zip(before)
            .and_then(|(after, before)| ratio(&after, &before));
        found.extend(over.map(|after_over_before| Change {
            at,
            after_over_before,
            p_value,
        }));
        begin = at;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand_distr::{Distribution, LogNormal};

    /// Values around 1 that spread by `spread`, times what `level` says of each place.
    fn series(seed: u64, count: usize, spread: f64, level: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let noise = LogNormal::new(0.0, spread).expect("a spread");
        (0..count)
            .map(|at| level(at) * noise.sample(&mut random))
            .collect()
    }

    #[test]
    fn steps_are_found_where_they_are_with_their_size() {
        let step = |at: usize| {
            if at < 20 {
                100.0
            } else if at < 35 {
                110.0
            } else {
                90.0
            }
        };
        let values = series(1, 50, 0.01, step);
        let found = changes(&values, 0.001, 0.02);
        let places: Vec<usize> = found.iter().map(|c| c.at).collect();
        assert_eq!(places, [20, 35]);
        for (change, size) in found.iter().zip([1.1, 90.0 / 110.0]) {
            let interval = change.after_over_before.interval.expect("enough runs");
            assert!(interval.contains(size), "{change:?}");
            assert!(change.p_value <= 0.001);
        }
        // A margin that one of them does not reach leaves the other, over all that it parts.
        let large = changes(&values, 0.001, 0.15);
        assert_eq!(large.iter().map(|c| c.at).collect::<Vec<_>>(), [35]);
    }

    #[test]
    fn series_without_a_change_have_one_as_rarely_as_the_level_says() {
        let level = 0.05;
        let rejected = (0..400).filter(|&seed| {
            let values = series(seed, 24, 0.05, |_| 50.0);
            !changes(&values, level, 0.0).is_empty()
        });
        // Of 400 there are 20 to be expected; more than 40 come by chance once in 100 000.
        let rejected = rejected.count();
        assert!((4..=40).contains(&rejected), "{rejected} of 400");
    }

    #[test]
    fn few_values_and_values_that_are_none_have_no_change() {
        assert!(changes(&[1.0, 1.0, 1.0, 9.0, 9.0], 0.05, 0.0).is_empty());
        assert!(changes(&[1.0, 0.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0], 0.05, 0.0).is_empty());
        assert!(changes(&[5.0; 40], 0.05, 0.0).is_empty());
        assert_eq!(least_p_value(4), 1.0);
        assert!((least_p_value(8) - 2.0 / 70.0).abs() < 1e-12);
        assert!((least_p_value(6) - 0.1).abs() < 1e-12);
    }

    /// The energy distance as it is defined, by every pair.
    fn by_definition(values: &[f64]) -> Option<(usize, f64)> {
        let mean = |pairs: Vec<f64>| pairs.iter().sum::<f64>() / pairs.len() as f64;
        let within = |side: &[f64]| {
            let pairs = side.iter().enumerate();
            mean(
                pairs
                    .flat_map(|(i, a)| side[i + 1..].iter().map(move |b| (a - b).abs()))
                    .collect(),
            )
        };
        let places = MIN_SIDE..=values.len().checked_sub(MIN_SIDE)?;
        let scaled = places.map(|at| {
            let (left, right) = values.split_at(at);
            let across = mean(
                left.iter()
                    .flat_map(|a| right.iter().map(move |b| (a - b).abs()))
                    .collect(),
            );
            let (m, n) = (left.len() as f64, right.len() as f64);
            (
                at,
                m * n / (m + n) * (2.0 * across - within(left) - within(right)),
            )
        });
        scaled.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }

    proptest! {
        #[test]
        fn the_best_split_is_the_one_of_the_definition(values in prop::collection::vec(-10.0..10.0_f64, 6..40)) {
            let (ours, theirs) = (best_split(&values).expect("long enough"), by_definition(&values).expect("long enough"));
            prop_assert!((ours.1 - theirs.1).abs() < 1e-6, "{:?} {:?}", ours, theirs);
        }

        #[test]
        fn scaling_a_series_moves_no_change(seed in 0_u64..50, factor in 0.01..1000.0_f64) {
            let values = series(seed, 30, 0.02, |at| if at < 15 { 1.0 } else { 1.3 });
            let scaled: Vec<f64> = values.iter().map(|v| v * factor).collect();
            let places = |values: &[f64]| changes(values, 0.01, 0.05).iter().map(|c| c.at).collect::<Vec<_>>();
            prop_assert_eq!(places(&values), places(&scaled));
        }
    }
}
