//! Percentiles of all starts, whatever process made them.

use statrs::distribution::{Beta, ContinuousCDF};

use super::{Estimate, Levels, Unchecked, enough_processes};
use crate::fit::t_quantile_at;
use crate::{CONFIDENCE, Interval, quantile_of_sorted};

/// Fewest starts that are to be expected beyond a percentile.
const BEYOND: f64 = 5.0;

/// Fewest starts for the `q` quantile: 10 for the median, 50 for p90, 500 for p99.
#[must_use]
pub fn starts_needed(q: f64) -> usize {
    let tail = q.min(1.0 - q).max(f64::EPSILON);
    // A tail such as 1 - 0.99 is no round number.
    (BEYOND / tail - 1e-6).ceil() as usize
}

/// The `q` quantile, `q` from 0 to 1, of all starts, with an interval between two quantiles (Woodruff, JASA 47, 1952): the
/// share of starts below the estimate varies between processes, so as many starts are worth as fewer
/// independent ones, for which Clopper and Pearson's limits of the share hold (Korn & Graubard, Survey Methodology 24,
/// 1998). Needs [`starts_needed`] starts.
///
/// Of a mode that few of all processes have, a few processes may show none: there no interval holds.
#[must_use]
pub fn quantile(levels: &Levels, q: f64) -> Estimate {
    let q = q.clamp(0.0, 1.0);
    let mut sorted = levels.values();
    sorted.sort_unstable_by(f64::total_cmp);
    let value = quantile_of_sorted(&sorted, q);
    levels.estimate(value, quantile_interval(levels, &sorted, q, value))
}

fn quantile_interval(
    levels: &Levels,
    sorted: &[f64],
    q: f64,
    value: f64,
) -> Result<Interval, Unchecked> {
    let below = levels.processes.iter().map(|process| {
        let values = process.values();
        (values.len() as f64, share_below(&values, value))
    });
    let (lo, hi) = shares(below, q)?;
    Ok(Interval {
        lo: at_expected_share(sorted, lo),
        hi: at_expected_share(sorted, hi),
    })
}

/// Between which shares of all starts the `q` quantile lies, from how many starts each process made and how many of them lie
/// below the estimate.
pub(super) fn shares(
    below: impl Iterator<Item = (f64, f64)> + Clone,
    q: f64,
) -> Result<(f64, f64), Unchecked> {
    let starts: f64 = below.clone().map(|(n, _)| n).sum();
    let needed = starts_needed(q);
    if (starts as usize) < needed {
        return Err(Unchecked::TooFewStarts {
            quantile: q,
            starts: starts as usize,
            needed,
        });
    }
    enough_processes(below.clone().count())?;
    let worth = effective_starts(below, q, starts);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let successes = worth * q;
    let limit = |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(q, |beta| beta.inverse_cdf(p));
    Ok((
        limit(successes, worth - successes + 1.0, tail),
        limit(successes + 1.0, worth - successes, 1.0 - tail),
    ))
}

/// As many independent starts would tell the share below the estimate as well as these `n` do, with the t distribution's
/// allowance for a variance from few processes. By chance processes may be more alike than independent starts are; that is
/// believed up to twice their number.
fn effective_starts(below: impl Iterator<Item = (f64, f64)> + Clone, q: f64, n: f64) -> f64 {
    let processes = below.clone().count() as f64;
    let squares: f64 = below.map(|(made, below)| (below - q * made).powi(2)).sum();
    let between = squares / n.powi(2) * processes / (processes - 1.0);
    let allowance = t_quantile_at(n - 1.0, CONFIDENCE)
        .zip(t_quantile_at(processes - 1.0, CONFIDENCE))
        .map_or(0.0, |(many, few)| (many / few).powi(2));
    (q * (1.0 - q) / between * allowance).min(2.0 * n)
}

/// The value below which `share` of all is expected, where the i-th of n values is expected at i / (n + 1).
fn at_expected_share(sorted: &[f64], share: f64) -> f64 {
    let last = (sorted.len() - 1) as f64;
    let position = (share * (last + 2.0) - 1.0).clamp(0.0, last);
    quantile_of_sorted(sorted, position / last)
}

/// How many of `values` lie below `value`, those equal to it counted half.
fn share_below(values: &[f64], value: f64) -> f64 {
    let counted = values.iter().map(|v| match v.total_cmp(&value) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 0.0,
    });
    counted.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(processes: u32, starts: u32) -> Levels {
        let seen = (0..processes * starts).map(|i| (i % processes, 0, f64::from(i * i % 1009)));
        Levels::from_observations(seen).expect("values")
    }

    #[test]
    fn a_percentile_says_how_many_starts_it_needs() {
        assert_eq!([0.5, 0.9, 0.99].map(starts_needed), [10, 50, 500]);
        let p99 = quantile(&spread(10, 49), 0.99);
        let why = p99.interval.expect_err("490 starts").to_string();
        assert_eq!(why, "p99 needs 500 starts, there are 490");
        let few = quantile(&spread(5, 200), 0.5);
        assert!(matches!(
            few.interval,
            Err(Unchecked::TooFewProcesses { .. })
        ));
    }

    #[test]
    fn an_interval_lies_around_its_percentile() {
        for q in [0.5, 0.9, 0.99] {
            let found = quantile(&spread(10, 60), q);
            let interval = found.interval.expect("enough");
            assert!(
                interval.lo <= found.value && found.value <= interval.hi,
                "{q}: {found:?}"
            );
        }
    }
}
