//! Percentiles of all starts, whatever process made them.

use super::intervals::around;
use super::{Estimate, Levels, Unchecked, enough_processes};
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

/// The `q` quantile, `q` from 0 to 1, of all starts, with Woodruff's interval (JASA 47, 1952): the share of starts
/// below the estimate has a variance between processes, as shares of clusters have; its t interval on the
/// logit scale is turned back into two quantiles. Needs [`starts_needed`] starts.
///
/// At the very edge of a mode that some processes have and others have not, no interval is known that holds.
#[must_use]
pub fn quantile(levels: &Levels, q: f64) -> Estimate {
    let q = q.clamp(0.0, 1.0);
    let mut sorted = levels.values();
    sorted.sort_unstable_by(f64::total_cmp);
    let value = quantile_of_sorted(&sorted, q);
    levels.estimate(value, woodruff(levels, &sorted, q, value))
}

fn woodruff(levels: &Levels, sorted: &[f64], q: f64, value: f64) -> Result<Interval, Unchecked> {
    let processes = levels.processes.len();
    enough_processes(processes)?;
    let (starts, needed) = (sorted.len(), starts_needed(q));
    if starts < needed {
        return Err(Unchecked::TooFewStarts {
            quantile: q,
            starts,
            needed,
        });
    }
    let squares: f64 = levels
        .processes
        .iter()
        .map(|process| {
            let values = process.values();
            (share_below(&values, value) - q * values.len() as f64).powi(2)
        })
        .sum();
    let n = starts as f64;
    let clusters = processes as f64;
    let between = squares / n.powi(2) * clusters / (clusters - 1.0);
    let error = between.sqrt() / (q * (1.0 - q));
    let logits = around((q / (1.0 - q)).ln(), error, clusters - 1.0, CONFIDENCE);
    let at = |logit: f64| quantile_of_sorted(sorted, 1.0 / (1.0 + (-logit).exp()));
    Ok(Interval {
        lo: at(logits.lo),
        hi: at(logits.hi),
    })
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
