//! Where in a series of runs a value changed: E-divisive (Matteson & James, "A Nonparametric Approach for Multiple Change Point Analysis
//! of Multivariate Data", Journal of the American Statistical Association 109, 2014), which Hunter and MongoDB use on benchmarks
//! (Fleming et al., "Hunter: Using Change Point Detection to Hunt for Performance Regressions", ICPE 2023).
//!
//! A segment is split where the energy distance between what is left of the split and what is right of it, up to an end that is chosen as
//! well, is largest. Whether that is more than chance is told by permuting the segment, as Matteson & James do, and not by Hunter's t-test: a t-test of the best of all splits takes it
//! for one that was chosen beforehand, and calls changes in series without any far more often than it says. Permutations end early once
//! it is clear that chance does as well (Besag & Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991), or that it comes nowhere
//! near (by the tail of those made, after Knijnenburg et al., "Fewer permutations, more accurate P-values", Bioinformatics 25, 2009).

use crate::levels::{Estimate, Levels, ratio};
use crate::schedule::SplitMix64;

/// Fewest runs on either side of a change.
pub const MIN_SIDE: usize = 3;
/// Once so many permutations do as well as the series itself, it has no change.
const AS_GOOD: u32 = 10;
/// So many permutations are made before it is looked whether all of them stay far away, and what share of the level is far.
const PILOT: usize = 300;
const FAR: f64 = 0.1;
/// Of all permutations that are made so many may do as well where the p-value is the level.
const PERMUTATIONS_AT_LEVEL: f64 = 10.0;
/// And never fewer than these.
const LEAST_PERMUTATIONS: f64 = 999.0;

/// A change between two neighbours of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The place of the first value after it.
    pub at: usize,
    /// The values of its segment after it over those before, by their logarithms; its interval takes the place for one that was known
    /// beforehand.
    pub after_over_before: Estimate,
    /// How likely a permutation of the segment in which it was found is to part as far.
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
    let mut splits = Splits::of_length(logs.len());
    let Some((at, distance)) = splits.best(logs) else {
        return;
    };
    let p_value = permuted(&mut splits, logs, distance, level);
    if p_value > level {
        return;
    }
    found.push((offset + at, p_value));
    split(&logs[..at], offset, level, found);
    split(&logs[at..], offset + at, level, found);
}

/// What looking for a split needs room for, over and over.
struct Splits {
    /// By place of the split: the sum of differences within what is left of it, across it, and within what is right of it so far.
    left: Vec<f64>,
    across: Vec<f64>,
    right: Vec<f64>,
    /// The sum of the differences of one value from those before each place.
    before: Vec<f64>,
    /// One over each number.
    inverse: Vec<f64>,
}

impl Splits {
    fn of_length(count: usize) -> Self {
        let zeros = || vec![0.0; count + 1];
        Self {
            left: zeros(),
            across: zeros(),
            right: zeros(),
            before: zeros(),
            inverse: (0..=count).map(|n| 1.0 / n as f64).collect(),
        }
    }

    /// The place at which the energy distance, scaled by the sizes of both sides, is largest between all that is left of it and what is
    /// right of it up to some end, and that distance. Without the end a change that is taken back later would hide itself.
    fn best(&mut self, values: &[f64]) -> Option<(usize, f64)> {
        let count = values.len();
        self.across.fill(0.0);
        self.right.fill(0.0);
        let mut best: Option<(usize, f64)> = None;
        for (last, value) in values.iter().enumerate() {
            let mut sum = 0.0;
            for (before, other) in self.before.iter_mut().zip(&values[..last]) {
                *before = sum;
                sum += (value - other).abs();
            }
            self.before[last] = sum;
            self.left[last + 1] = self.left[last] + sum;
            let end = last + 1;
            let sides = self.across[..=last]
                .iter_mut()
                .zip(&mut self.right[..=last]);
            for ((across, right), before) in sides.zip(&self.before) {
                *across += before;
                *right += sum - before;
            }
            let mut most = f64::NEG_INFINITY;
            let mut place = 0;
            for at in MIN_SIDE..=end.saturating_sub(MIN_SIDE) {
                let (m, n) = (at, end - at);
                let within = self.left[at] * n as f64 * self.inverse[m - 1]
                    + self.right[at] * m as f64 * self.inverse[n - 1];
                let scaled = self.across[at] - within;
                if scaled > most {
                    (most, place) = (scaled, at);
                }
            }
            most *= 2.0 * self.inverse[end];
            if place > 0 && best.is_none_or(|(_, so_far)| most > so_far) {
                best = Some((place, most));
            }
        }
        best.filter(|_| count >= 2 * MIN_SIDE)
    }
}

/// How likely permutations of `values` are to be parted by `distance` or more: the share of those made that are, the series itself among
/// them; or, where all of the first ones stay far from it, what an exponential tail as wide as they spread says, which is
/// wider than that of the largest of many such distances.
fn permuted(splits: &mut Splits, values: &[f64], distance: f64, level: f64) -> f64 {
    let most = (PERMUTATIONS_AT_LEVEL / level)
        .ceil()
        .clamp(LEAST_PERMUTATIONS, 19_999.0) as u32;
    let mut random = SplitMix64::new(seed_of(values));
    let mut shuffled = values.to_vec();
    let mut as_good = 0;
    let mut first = Vec::with_capacity(PILOT);
    for made in 1..=most {
        random.shuffle(&mut shuffled);
        let Some((_, found)) = splits.best(&shuffled) else {
            return 1.0;
        };
        // Sums in another order may differ in their last digits.
        as_good += u32::from(found >= distance * (1.0 - 1e-9));
        if as_good == AS_GOOD {
            return f64::from(as_good) / f64::from(made);
        }
        if first.len() < PILOT {
            first.push(found);
            if first.len() == PILOT && as_good == 0 {
                let tail = tail_beyond(&first, distance);
                if tail <= level * FAR {
                    return tail;
                }
            }
        }
    }
    f64::from(as_good + 1) / f64::from(most + 1)
}

/// The same series are permuted alike, others in other ways: permutations that happen to be unlucky are not so for all rows at once.
fn seed_of(values: &[f64]) -> u64 {
    values.iter().fold(0, |seed, value| {
        SplitMix64::new(seed ^ value.to_bits()).next_u64()
    })
}

/// The share beyond `value` of an exponential distribution that begins at the mean of `sample` and is as wide as it spreads.
fn tail_beyond(sample: &[f64], value: f64) -> f64 {
    let count = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let variance = sample.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (-(value - mean) / variance.sqrt()).exp().min(1.0)
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
    fn by_definition(values: &[f64]) -> Option<f64> {
        let mean = |pairs: Vec<f64>| pairs.iter().sum::<f64>() / pairs.len() as f64;
        let within = |side: &[f64]| {
            let pairs = side.iter().enumerate();
            mean(
                pairs
                    .flat_map(|(i, a)| side[i + 1..].iter().map(move |b| (a - b).abs()))
                    .collect(),
            )
        };
        let distance = |at: usize, end: usize| {
            let (left, right) = (&values[..at], &values[at..end]);
            let across = left
                .iter()
                .flat_map(|a| right.iter().map(move |b| (a - b).abs()));
            let (m, n) = (left.len() as f64, right.len() as f64);
            m * n / (m + n) * (2.0 * mean(across.collect()) - within(left) - within(right))
        };
        let ends = 2 * MIN_SIDE..=values.len();
        let all = ends.flat_map(|end| (MIN_SIDE..=end - MIN_SIDE).map(move |at| (at, end)));
        all.map(|(at, end)| distance(at, end))
            .max_by(f64::total_cmp)
    }

    #[test]
    fn a_change_that_is_taken_back_is_two() {
        let bump = |at: usize| if (20..40).contains(&at) { 1.15 } else { 1.0 };
        let found = changes(&series(3, 60, 0.02, bump), 0.0005, 0.03);
        assert_eq!(found.iter().map(|c| c.at).collect::<Vec<_>>(), [20, 40]);
    }

    proptest! {
        #[test]
        fn the_best_split_is_the_one_of_the_definition(values in prop::collection::vec(-10.0..10.0_f64, 6..40)) {
            let ours = Splits::of_length(values.len()).best(&values).expect("long enough");
            let theirs = by_definition(&values).expect("long enough");
            prop_assert!((ours.1 - theirs).abs() < 1e-6, "{:?} {:?}", ours, theirs);
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
