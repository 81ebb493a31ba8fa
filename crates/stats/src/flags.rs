//! What is odd about a sample in the order in which it was measured. Flags never remove a value.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{deviation, median_of_sorted, sorted};

/// Modified z-score from which a value is an outlier (Iglewicz & Hoaglin, "How to Detect and Handle
/// Outliers", 1993).
pub const OUTLIER_Z: f64 = 3.5;
/// Fewest values to look for outliers and a slow first run in.
const MIN_OUTLIER_N: usize = 5;
/// A slow first run is at least this much above the median of the others, besides being an outlier.
const SLOW_FIRST_RATIO: f64 = 1.1;
/// Fewest values to look for drift in.
const MIN_DRIFT_N: usize = 10;
/// A drift has at least this rank correlation with the order: with many values even a drift that
/// does not matter is significant.
const DRIFT_RHO: f64 = 0.3;
/// And a two-sided p-value below this.
const DRIFT_P: f64 = 0.01;
/// Fewest values to look for two modes in.
pub(crate) const MIN_MODES_N: usize = 30;
/// Each mode holds at least this share of the values, and five of them.
const MODE_SHARE: f64 = 0.1;
/// Ashman's D from which two groups are two modes. Well above the 2 of Ashman, Bird & Zepf (1994),
/// because cutting one mode in two already gives 2.3 (normal) to 3.5 (uniform).
const MODES_D: f64 = 6.0;
/// And the modes lie apart by at least this share of the median.
const MODES_APART: f64 = 0.05;

/// Something odd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "flag", rename_all = "kebab-case")]
pub enum Flag {
    /// Values whose modified z-score is beyond 3.5.
    Outliers {
        /// Their positions in the order of measurement.
        positions: Vec<usize>,
    },
    /// The first value is an outlier above the rest.
    SlowFirst {
        /// First value over the median of the others.
        ratio: f64,
    },
    /// Values rise or fall with the order (Spearman's rank correlation, t approximation).
    Drift {
        /// Rank correlation, -1 to 1; positive: values rise.
        rho: f64,
        /// Two-sided p-value.
        p: f64,
    },
    /// Two groups far apart (best split into two, Ashman's D from medians and scaled MADs).
    Bimodal {
        /// Median of the lower group.
        low: f64,
        /// Median of the upper group.
        high: f64,
        /// Share of the values in the upper group.
        high_share: f64,
    },
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(|value| format!("{value:.4}")))
    }
}

impl Flag {
    /// In words, with values written by `number`.
    #[must_use]
    pub fn describe(&self, number: impl Fn(f64) -> String) -> String {
        match self {
            Self::Outliers { positions } => format!(
                "{} outlier{} (modified z-score above {OUTLIER_Z}), in the order of measurement {}: other load, or a long tail",
                positions.len(),
                if positions.len() == 1 { "" } else { "s" },
                first_positions(positions)
            ),
            Self::SlowFirst { ratio } => format!(
                "the first run took {ratio:.2} times the median of the others: caches were cold, add warm-up or report it apart"
            ),
            Self::Drift { rho, p } => format!(
                "values {} with time (Spearman rho {rho:.2}, p {p:.1e}): state builds up, or the machine's speed changes",
                if *rho > 0.0 { "rise" } else { "fall" }
            ),
            Self::Bimodal {
                low,
                high,
                high_share,
            } => format!(
                "two modes, near {} and {} ({:.0} % in the upper one): the median hides one of them",
                number(*low),
                number(*high),
                100.0 * high_share
            ),
        }
    }
}

/// The first few of `positions`, counted from 1.
fn first_positions(positions: &[usize]) -> String {
    const NAMED: usize = 5;
    let named = positions.iter().take(NAMED);
    let mut words: Vec<String> = named.map(|at| format!("number {}", at + 1)).collect();
    if let Some(more) = positions.len().checked_sub(NAMED + 1) {
        words.push(format!("{} more", more + 1));
    }
    words.join(", ")
}

/// Everything odd about `ordered`, which is in the order of measurement. Empty if there is nothing, if
/// the sample is too small to tell, or if it holds a value that is not finite.
#[must_use]
pub fn flags(ordered: &[f64]) -> Vec<Flag> {
    let Some(sorted) = sorted(ordered) else {
        return Vec::new();
    };
    [
        outliers(ordered, &sorted),
        slow_first(ordered),
        drift(ordered),
        bimodal(&sorted),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Median and the factor that turns a distance from it into a modified z-score: 0.6745 / MAD, or, where
/// more than half of the values are equal and the MAD is 0, 0.7979 / mean absolute deviation.
fn scale(sorted: &[f64]) -> Option<(f64, f64)> {
    let centre = median_of_sorted(sorted);
    let mad = deviation(sorted, centre);
    if mad > 0.0 {
        return Some((centre, 0.6745 / mad));
    }
    let mean_deviation =
        sorted.iter().map(|v| (v - centre).abs()).sum::<f64>() / sorted.len() as f64;
    (mean_deviation > 0.0).then(|| (centre, 0.7979 / mean_deviation))
}

fn outliers(ordered: &[f64], sorted: &[f64]) -> Option<Flag> {
    if ordered.len() < MIN_OUTLIER_N {
        return None;
    }
    let (centre, factor) = scale(sorted)?;
    let positions: Vec<usize> = (0..ordered.len())
        .filter(|&i| (ordered[i] - centre).abs() * factor > OUTLIER_Z)
        .collect();
    (!positions.is_empty()).then_some(Flag::Outliers { positions })
}

fn slow_first(ordered: &[f64]) -> Option<Flag> {
    let (&first, rest) = ordered.split_first()?;
    if ordered.len() < MIN_OUTLIER_N {
        return None;
    }
    let rest = sorted(rest)?;
    let centre = median_of_sorted(&rest);
    let outlying = match scale(&rest) {
        Some((centre, factor)) => (first - centre) * factor > OUTLIER_Z,
        None => first > centre,
    };
    let ratio = first / centre;
    (outlying && centre > 0.0 && ratio >= SLOW_FIRST_RATIO).then_some(Flag::SlowFirst { ratio })
}

/// Ranks from 1, equal values sharing their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let value = values[order[from]];
        let ties = order[from..]
            .iter()
            .take_while(|&&i| values[i].total_cmp(&value).is_eq())
            .count();
        for &i in &order[from..from + ties] {
            ranks[i] = from as f64 + (ties + 1) as f64 / 2.0;
        }
        from += ties;
    }
    ranks
}

fn drift(ordered: &[f64]) -> Option<Flag> {
    let n = ordered.len();
    if n < MIN_DRIFT_N {
        return None;
    }
    let centre = (n + 1) as f64 / 2.0;
    let (mut sxy, mut sxx, mut syy) = (0.0, 0.0, 0.0);
    for (position, rank) in ranks(ordered).into_iter().enumerate() {
        let (x, y) = (position as f64 + 1.0 - centre, rank - centre);
        sxy += x * y;
        sxx += x * x;
        syy += y * y;
    }
    if syy <= 0.0 {
        return None;
    }
    let rho = sxy / (sxx * syy).sqrt();
    let degrees = (n - 2) as f64;
    let p = if rho.abs() >= 1.0 {
        0.0
    } else {
        let t = rho.abs() * (degrees / (1.0 - rho * rho)).sqrt();
        2.0 * StudentsT::new(0.0, 1.0, degrees).ok()?.sf(t)
    };
    (rho.abs() >= DRIFT_RHO && p < DRIFT_P).then_some(Flag::Drift { rho, p })
}

/// Where to cut a sorted sample so that the squares within both parts are least (two-means, exact in
/// one dimension).
fn best_split(sorted: &[f64], least: usize) -> Option<usize> {
    let n = sorted.len();
    // Distances from the median: sums of squares of large, close values would lose all digits.
    let centre = median_of_sorted(sorted);
    let total: f64 = sorted.iter().map(|v| v - centre).sum();
    let mut below = 0.0;
    let mut best: Option<(f64, usize)> = None;
    for cut in 1..n {
        below += sorted[cut - 1] - centre;
        if cut < least || n - cut < least {
            continue;
        }
        let between = below * below / cut as f64 + (total - below).powi(2) / (n - cut) as f64;
        if best.is_none_or(|(most, _)| between > most) {
            best = Some((between, cut));
        }
    }
    best.map(|(_, cut)| cut)
}

/// Medians of two groups far apart and the share of the values in the upper one, of a sorted sample.
pub(crate) fn modes(sorted: &[f64]) -> Option<(f64, f64, f64)> {
    let n = sorted.len();
    if n < MIN_MODES_N {
        return None;
    }
    let least = ((n as f64 * MODE_SHARE).ceil() as usize).max(5);
    let (lower, upper) = sorted.split_at(best_split(sorted, least)?);
    let (low, high) = (median_of_sorted(lower), median_of_sorted(upper));
    let variance = |group: &[f64], centre: f64| (1.4826 * deviation(group, centre)).powi(2);
    let spread = (variance(lower, low) + variance(upper, high)).sqrt();
    let apart = high - low;
    let far = std::f64::consts::SQRT_2 * apart > MODES_D * spread
        && apart > MODES_APART * median_of_sorted(sorted).abs();
    far.then_some((low, high, upper.len() as f64 / n as f64))
}

fn bimodal(sorted: &[f64]) -> Option<Flag> {
    modes(sorted).map(|(low, high, high_share)| Flag::Bimodal {
        low,
        high,
        high_share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};
    use rand_distr::{Distribution, Exp1, LogNormal, Normal, Uniform};

    fn kinds(ordered: &[f64]) -> Vec<&'static str> {
        flags(ordered)
            .iter()
            .map(|flag| match flag {
                Flag::Outliers { .. } => "outliers",
                Flag::SlowFirst { .. } => "slow-first",
                Flag::Drift { .. } => "drift",
                Flag::Bimodal { .. } => "bimodal",
            })
            .collect()
    }

    #[test]
    fn nothing_is_odd_about_nothing_or_too_little() {
        for sample in [&[][..], &[1.0], &[1.0, 9.0], &[f64::NAN; 30], &[3.0; 30]] {
            assert_eq!(flags(sample), Vec::new(), "{sample:?}");
        }
    }

    #[test]
    fn a_slow_first_run_is_told_from_a_slow_middle_one() {
        let mut sample = vec![10.0, 10.1, 9.9, 10.05, 9.95, 10.0, 10.1, 9.9];
        sample[0] = 30.0;
        assert_eq!(kinds(&sample), ["outliers", "slow-first"]);
        sample.swap(0, 4);
        let found = flags(&sample);
        assert_eq!(found, [Flag::Outliers { positions: vec![4] }]);
        assert!(found[0].to_string().contains("number 5:"), "{}", found[0]);
    }

    #[test]
    fn a_drift_is_seen_in_both_directions() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let up: Vec<f64> = (0..40)
            .map(|i| 100.0 + f64::from(i) + 10.0 * rng.random::<f64>())
            .collect();
        assert_eq!(kinds(&up), ["drift"]);
        let down: Vec<f64> = up.iter().rev().copied().collect();
        let found = flags(&down);
        assert!(
            matches!(found[0], Flag::Drift { rho, .. } if rho < -0.8),
            "{found:?}"
        );
        assert!(found[0].to_string().contains("fall"));
    }

    #[test]
    fn two_modes_are_seen_whatever_the_order() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let sample: Vec<f64> = (0..60)
            .map(|i| if i % 3 == 0 { 150.0 } else { 100.0 } + 4.0 * rng.random::<f64>())
            .collect();
        let found = flags(&sample);
        assert!(
            found.iter().any(|f| matches!(f, Flag::Bimodal { high_share, .. } if (high_share - 1.0 / 3.0).abs() < 0.01)),
            "{found:?}"
        );
    }

    /// How often each shape with one mode and no drift raises a flag that it should not.
    #[test]
    fn false_alarms_are_rare() {
        type Draw = Box<dyn Fn(&mut Xoshiro256PlusPlus) -> f64>;
        let normal = Normal::new(100.0, 3.0).expect("a distribution");
        let log_normal = LogNormal::new(0.0, 0.5).expect("a distribution");
        let uniform = Uniform::new(90.0, 110.0).expect("a distribution");
        let shapes: [(&str, Draw); 4] = [
            ("normal", Box::new(move |r| normal.sample(r))),
            (
                "log-normal",
                Box::new(move |r| 50.0 + 10.0 * log_normal.sample(r)),
            ),
            ("uniform", Box::new(move |r| uniform.sample(r))),
            (
                "exponential",
                Box::new(|r| {
                    let e: f64 = Exp1.sample(r);
                    50.0 + e
                }),
            ),
        ];
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        for (name, draw) in &shapes {
            for n in [30, 50, 200] {
                let trials = 500;
                let (mut bimodal, mut drift) = (0, 0);
                for _ in 0..trials {
                    let sample: Vec<f64> = (0..n).map(|_| draw(&mut rng)).collect();
                    let kinds = kinds(&sample);
                    bimodal += usize::from(kinds.contains(&"bimodal"));
                    drift += usize::from(kinds.contains(&"drift"));
                }
                eprintln!("{name} n {n}: bimodal {bimodal}, drift {drift} of {trials}");
                assert!(bimodal <= trials / 20, "{name} n {n}: bimodal {bimodal}");
                assert!(drift <= trials / 40, "{name} n {n}: drift {drift}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_sample_panics(sample in prop::collection::vec(prop::num::f64::ANY, 0..80)) {
            for flag in flags(&sample) {
                prop_assert!(!flag.to_string().is_empty());
            }
        }

        #[test]
        fn ranks_sum_to_those_of_distinct_values(sample in prop::collection::vec(0_u8..9, 1..60)) {
            let values: Vec<f64> = sample.iter().map(|&v| f64::from(v)).collect();
            let n = values.len() as f64;
            prop_assert!((ranks(&values).iter().sum::<f64>() - n * (n + 1.0) / 2.0).abs() < 1e-9);
        }
    }
}
