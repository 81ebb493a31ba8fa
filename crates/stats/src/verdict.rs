//! What to say of rows that were measured twice: faster, slower, no difference that matters, or that it
//! cannot be told.

use std::fmt;

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::levels::{Levels, LogRatio, MIN_PROCESSES, Unchecked, exponential, log_ratio_of_same};
use crate::{CONFIDENCE, Interval};

/// No more processes than this are ever asked for.
const MOST_MORE: f64 = 10_000.0;

/// What is said of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The second side takes less: the interval lies below 1 and the ratio beyond the margin.
    Faster,
    /// The second side takes more, likewise.
    Slower,
    /// The whole interval lies within the margin.
    NoDifference,
    /// Neither.
    CannotTell {
        /// How many more processes on each side would settle it if ratio and spread stay; `None` where it is more than
        /// 10 000 (the ratio lies at the edge of the margin) or nobody can know.
        more_processes: Option<u32>,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faster => f.write_str("faster"),
            Self::Slower => f.write_str("slower"),
            Self::NoDifference => f.write_str("no difference"),
            Self::CannotTell {
                more_processes: Some(more),
            } => {
                let plural = if *more == 1 { "" } else { "es" };
                write!(f, "cannot tell, {more} more process{plural} would")
            }
            Self::CannotTell {
                more_processes: None,
            } => f.write_str("cannot tell"),
        }
    }
}

/// A row compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Second side over first, as [`crate::levels::ratio`]; `None` if a value is not positive.
    pub ratio: Option<f64>,
    /// Its interval, of [`Compared::confidence`].
    pub interval: Result<Interval, Unchecked>,
    /// Confidence of the interval, widened for the number of rows.
    pub confidence: f64,
    /// Two-sided p-value of the test that both sides are equal, of this row alone.
    pub p_value: Option<f64>,
    /// What follows.
    pub verdict: Verdict,
}

/// Compares the two sides, first and second, of all `rows` at once. `margin` is the share from which a difference
/// matters (0.05).
///
/// Rows are tested by t on the logarithms of process medians, with Welch's error or that of a variance that both sides share,
/// whichever is larger: a run makes more processes where they spread more. Their number is accounted for after Holm
/// (Scandinavian Journal of Statistics 6, 1979): if no row differs, the probability that any is said to is at most
/// 5 %. Each interval has the confidence at which its row was tested, so it holds 1 exactly where the test does not
/// reject, and agrees with the verdict.
#[must_use]
pub fn compare(rows: &[(&Levels, &Levels)], margin: f64) -> Vec<Compared> {
    let ratios: Vec<Option<LogRatio>> = rows
        .iter()
        .map(|(first, second)| log_ratio_of_same(second, first))
        .collect();
    let p_values: Vec<Option<f64>> = ratios.iter().map(|r| r.and_then(p_value)).collect();
    let confidences = holm(&p_values);
    rows.iter()
        .zip(ratios)
        .zip(p_values.into_iter().zip(confidences))
        .map(|((sides, ratio), (p_value, confidence))| {
            let processes = sides.0.processes().len().min(sides.1.processes().len());
            compare_row(ratio, processes, p_value, confidence, margin)
        })
        .collect()
}

fn compare_row(
    ratio: Option<LogRatio>,
    processes: usize,
    p_value: Option<f64>,
    confidence: f64,
    margin: f64,
) -> Compared {
    let logs = ratio.map_or(Err(Unchecked::NotPositive), |r| r.interval(confidence));
    let verdict = match (ratio, logs) {
        (Some(ratio), Ok(logs)) => judge_ratio(ratio.value, logs, processes, margin),
        (Some(_), Err(_)) => Verdict::CannotTell {
            more_processes: u32::try_from(MIN_PROCESSES.saturating_sub(processes)).ok(),
        },
        (None, _) => Verdict::CannotTell {
            more_processes: None,
        },
    };
    Compared {
        ratio: ratio.map(|r| r.value.exp()),
        interval: logs.map(exponential),
        confidence,
        p_value,
        verdict,
    }
}

fn judge_ratio(log_ratio: f64, logs: Interval, processes: usize, margin: f64) -> Verdict {
    let margin = margin.max(0.0).ln_1p();
    if -margin <= logs.lo && logs.hi <= margin {
        return Verdict::NoDifference;
    }
    let matters = log_ratio.abs() > margin;
    if matters && logs.hi < 0.0 {
        return Verdict::Faster;
    }
    if matters && logs.lo > 0.0 {
        return Verdict::Slower;
    }
    let settled = if matters {
        log_ratio.abs()
    } else {
        margin - log_ratio.abs()
    };
    let half = (logs.hi - logs.lo) / 2.0;
    let needed = (processes as f64 * (half / settled).powi(2)).ceil();
    let more = (needed - processes as f64).max(1.0);
    Verdict::CannotTell {
        more_processes: (more <= MOST_MORE).then_some(more as u32),
    }
}

fn p_value(ratio: LogRatio) -> Option<f64> {
    let (error, degrees) = ratio.error.ok()?;
    let t = ratio.value.abs() / error;
    if t.is_nan() {
        // Neither side spreads, and both are equal.
        return Some(1.0);
    }
    Some(2.0 * StudentsT::new(0.0, 1.0, degrees).ok()?.sf(t))
}

/// The confidence at which each row is judged. The smallest p-value is held against alpha / m, the next against
/// alpha / (m - 1), until one fails: that row's share of alpha is then that of all that are left.
fn holm(p_values: &[Option<f64>]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = p_values
        .iter()
        .enumerate()
        .filter_map(|(row, p)| p.map(|p| (p, row)))
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut confidences = vec![CONFIDENCE; p_values.len()];
    let mut left = order.len();
    for (p, row) in order {
        let share = (1.0 - CONFIDENCE) / left as f64;
        confidences[row] = 1.0 - share;
        // All behind the first that fails have p-values at least as large, and are judged alike.
        if p <= share && left > 1 {
            left -= 1;
        }
    }
    confidences
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand_distr::{Distribution, Normal};

    /// Processes whose medians spread by `deviation` on the logarithmic scale.
    fn side(rng: &mut Xoshiro256PlusPlus, centre: f64, deviation: f64, processes: u32) -> Levels {
        let normal = Normal::new(centre.ln(), deviation).expect("a distribution");
        let seen = (0..processes).map(|process| (process, 0, normal.sample(rng).exp()));
        Levels::from_observations(seen).expect("values")
    }

    fn one_row(first: &Levels, second: &Levels) -> Compared {
        compare(&[(first, second)], 0.05)[0]
    }

    #[test]
    fn a_slow_down_of_ten_percent_is_called_slower() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let called = |rng: &mut Xoshiro256PlusPlus, factor: f64, verdict| {
            let compared = (0..20).map(|_| {
                let (a, b) = (
                    side(rng, 100.0, 0.05, 10),
                    side(rng, 100.0 * factor, 0.05, 10),
                );
                one_row(&a, &b).verdict
            });
            compared.filter(|found| *found == verdict).count()
        };
        assert!(called(&mut rng, 1.1, Verdict::Slower) >= 16);
        assert!(called(&mut rng, 1.0 / 1.1, Verdict::Faster) >= 16);
        // Binomial(20, 0.025): three or more once in 75 times.
        assert!(called(&mut rng, 1.0, Verdict::Slower) <= 2);
    }

    #[test]
    fn many_equal_rows_are_seldom_said_to_differ() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let families = 300;
        let wrong = (0..families)
            .filter(|_| {
                let sides: Vec<(Levels, Levels)> = (0..20)
                    .map(|_| (side(&mut rng, 5.0, 0.2, 6), side(&mut rng, 5.0, 0.2, 8)))
                    .collect();
                let rows: Vec<_> = sides.iter().map(|(a, b)| (a, b)).collect();
                let judged = compare(&rows, 0.0);
                judged
                    .iter()
                    .any(|row| row.interval.is_ok_and(|i| !i.contains(1.0)))
            })
            .count();
        // Binomial(300, 0.05): 15 and three standard deviations of 3.8.
        assert!(wrong <= 26, "{wrong} of {families}");
    }

    #[test]
    fn intervals_agree_with_the_test_of_holm() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let sides: Vec<(Levels, Levels)> = (0..12)
            .map(|row| {
                let factor = 1.0 + f64::from(row) / 50.0;
                (
                    side(&mut rng, 1.0, 0.05, 8),
                    side(&mut rng, factor, 0.05, 8),
                )
            })
            .collect();
        let rows: Vec<_> = sides.iter().map(|(a, b)| (a, b)).collect();
        let found = compare(&rows, 0.05);
        let mut p_values: Vec<f64> = found.iter().filter_map(|c| c.p_value).collect();
        p_values.sort_unstable_by(f64::total_cmp);
        let rejected = (0..12)
            .take_while(|&i| p_values[i] <= 0.05 / (12 - i) as f64)
            .count();
        let excluded = found
            .iter()
            .filter(|c| c.interval.is_ok_and(|i| !i.contains(1.0)))
            .count();
        assert!(rejected > 1 && rejected < 12, "{rejected}");
        assert_eq!(rejected, excluded);
    }

    #[test]
    fn what_cannot_be_told_says_how_many_more_would() {
        let few = Levels::one_per_process(&[1.0; 4]).expect("values");
        let verdict = one_row(&few, &few).verdict;
        assert_eq!(verdict.to_string(), "cannot tell, 2 more processes would");
        let steady = Levels::one_per_process(&[1.0; 6]).expect("values");
        assert_eq!(one_row(&steady, &steady).verdict, Verdict::NoDifference);
        let double = Levels::one_per_process(&[2.0; 6]).expect("values");
        assert_eq!(one_row(&steady, &double).verdict, Verdict::Slower);
        let zero = Levels::one_per_process(&[0.0; 6]).expect("values");
        let impossible = one_row(&steady, &zero);
        assert_eq!(impossible.interval, Err(Unchecked::NotPositive));
        assert_eq!(impossible.verdict.to_string(), "cannot tell");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
        let wide = (side(&mut rng, 1.0, 0.4, 6), side(&mut rng, 1.2, 0.4, 6));
        assert!(matches!(
            one_row(&wide.0, &wide.1).verdict,
            Verdict::CannotTell {
                more_processes: Some(1..)
            }
        ));
    }

    #[test]
    fn no_row_needs_no_verdict() {
        assert!(compare(&[], 0.05).is_empty());
    }
}
