//! Medians, their ratios, and means, with intervals from the processes.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Estimate, Levels, Unchecked, enough_processes};
use crate::fit::t_quantile_at;
use crate::{CONFIDENCE, Interval, mean, sorted};

/// The median of the processes' medians, with the interval between order statistics of these, interpolated to
/// the confidence (Hettmansperger & Sheather, "Confidence intervals based on interpolated order
/// statistics", Statistics & Probability Letters 4, 1986). It assumes nothing of how processes differ.
#[must_use]
pub fn median(levels: &Levels) -> Estimate {
    let mut medians = levels.process_medians();
    medians.sort_unstable_by(f64::total_cmp);
    let value = crate::median_of_sorted(&medians);
    levels.estimate(value, order_statistics(&medians))
}

/// The interval of the median of which `sorted` are draws.
pub(crate) fn order_statistics(sorted: &[f64]) -> Result<Interval, Unchecked> {
    let n = sorted.len();
    enough_processes(n)?;
    // With probability `covers(d)` the median lies between the d-th value from below and from above.
    let below = Binomial::new(0.5, n as u64).ok();
    let covers = |d: usize| {
        let tail = below.map_or(0.5, |b| b.cdf(d as u64 - 1));
        1.0 - 2.0 * tail
    };
    let mut d = 1;
    while d < n / 2 && covers(d + 1) >= CONFIDENCE {
        d += 1;
    }
    let part = (covers(d) - CONFIDENCE) / (covers(d) - covers(d + 1));
    let part = part.clamp(0.0, 1.0);
    let weight = (n - d) as f64 * part / (d as f64 + (n as f64 - 2.0 * d as f64) * part);
    let between = |outer: f64, inner: f64| outer * (1.0 - weight) + inner * weight;
    Ok(Interval {
        lo: between(sorted[d - 1], sorted[d]),
        hi: between(sorted[n - d], sorted[n - d - 1]),
    })
}

/// How one typical process of `numerator` compares with one of `denominator`: the ratio of the geometric
/// means of the processes' medians, with Welch's t interval of the difference of their logarithms (Welch, Biometrika
/// 34, 1947). Where processes have two modes it differs from the quotient of the two medians, which has
/// no such interval. `None` if a process's median is not positive.
#[must_use]
pub fn ratio(numerator: &Levels, denominator: &Levels) -> Option<Estimate> {
    let found = log_ratio(numerator, denominator)?;
    Some(Estimate {
        value: found.value.exp(),
        interval: found.interval(CONFIDENCE).map(exponential),
        processes: numerator.processes.len().min(denominator.processes.len()),
        starts: numerator.starts().min(denominator.starts()),
    })
}

/// A logarithm of a ratio, and how uncertain it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRatio {
    /// The logarithm.
    pub value: f64,
    /// Its standard error and the degrees of freedom of that.
    pub error: Result<(f64, f64), Unchecked>,
}

impl LogRatio {
    /// Its t interval, still on the logarithmic scale.
    pub fn interval(&self, confidence: f64) -> Result<Interval, Unchecked> {
        self.error
            .map(|(error, degrees)| around(self.value, error, degrees, confidence))
    }
}

/// [`ratio`] on the logarithmic scale; `None` as there.
pub(crate) fn log_ratio(numerator: &Levels, denominator: &Levels) -> Option<LogRatio> {
    let logs = |levels: &Levels| -> Option<Vec<f64>> {
        let medians = levels.process_medians();
        let log = |value: f64| (value > 0.0).then(|| value.ln());
        medians.into_iter().map(log).collect()
    };
    let (top, bottom) = (logs(numerator)?, logs(denominator)?);
    Some(LogRatio {
        value: mean(&top) - mean(&bottom),
        error: enough_processes(top.len().min(bottom.len())).map(|()| {
            welch(
                (mean_square_error(&top), top.len()),
                (mean_square_error(&bottom), bottom.len()),
            )
        }),
    })
}

/// The squared standard error of the mean of at least two values.
pub(crate) fn mean_square_error(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    let n = values.len() as f64;
    squares / (n - 1.0) / n
}

/// Standard error of a difference of two means from their squared errors and counts, and its degrees of freedom after
/// Welch and Satterthwaite; where neither side spreads, those of the smaller one.
fn welch(first: (f64, usize), second: (f64, usize)) -> (f64, f64) {
    let whole = first.0 + second.0;
    let share = |(square, n): (f64, usize)| square.powi(2) / (n as f64 - 1.0);
    let below = share(first) + share(second);
    let least = first.1.min(second.1) as f64 - 1.0;
    let degrees = if below > 0.0 {
        (whole.powi(2) / below).max(least)
    } else {
        least
    };
    (whole.sqrt(), degrees)
}

pub(crate) fn around(centre: f64, error: f64, degrees: f64, confidence: f64) -> Interval {
    // Degrees are at least 1 wherever this is called; without a quantile nothing would be known.
    let half = t_quantile_at(degrees, confidence).map_or(f64::INFINITY, |t| t * error);
    Interval {
        lo: centre - half,
        hi: centre + half,
    }
}

pub(crate) fn exponential(logs: Interval) -> Interval {
    Interval {
        lo: logs.lo.exp(),
        hi: logs.hi.exp(),
    }
}

/// The mean of `by_process`, one value for each process (a throughput, a weight, CPU time per start), with
/// Student's t interval. `None` if there is none or one is not finite.
#[must_use]
pub fn mean_t(by_process: &[f64]) -> Option<Estimate> {
    sorted(by_process)?;
    let value = mean(by_process);
    let n = by_process.len();
    let interval = enough_processes(n).map(|()| {
        let error = mean_square_error(by_process).sqrt();
        around(value, error, n as f64 - 1.0, CONFIDENCE)
    });
    Some(Estimate {
        value,
        interval,
        processes: n,
        starts: n,
    })
}

/// The ratio of two means, each of one value for each process, with the interval of its logarithm by relative
/// errors (the delta method) and Welch's degrees of freedom. `None` as for [`mean_t`], or if a mean is
/// not positive.
#[must_use]
pub fn mean_ratio(numerator: &[f64], denominator: &[f64]) -> Option<Estimate> {
    sorted(numerator).and(sorted(denominator))?;
    let (top, bottom) = (mean(numerator), mean(denominator));
    if top <= 0.0 || bottom <= 0.0 {
        return None;
    }
    let processes = numerator.len().min(denominator.len());
    let value = top / bottom;
    let interval = enough_processes(processes).map(|()| {
        let (error, degrees) = welch(
            (mean_square_error(numerator) / top.powi(2), numerator.len()),
            (
                mean_square_error(denominator) / bottom.powi(2),
                denominator.len(),
            ),
        );
        exponential(around(value.ln(), error, degrees, CONFIDENCE))
    });
    Some(Estimate {
        value,
        interval,
        processes,
        starts: processes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(ours: f64, theirs: f64) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} is not {theirs}");
    }

    fn one_each(values: &[f64]) -> Levels {
        Levels::one_per_process(values).expect("values")
    }

    /// By hand, n = 6: between the outermost values lie 96.875 %, between the next 78.125 %; a tenth of the way,
    /// weight 5 x 0.1 / (1 + 4 x 0.1).
    #[test]
    fn the_median_has_interpolated_order_statistics() {
        let found = median(&one_each(&[6.0, 1.0, 2.0, 5.0, 3.0, 4.0]));
        let interval = found.interval.expect("six processes");
        near(found.value, 3.5);
        near(interval.lo, 1.0 + 0.5 / 1.4);
        near(interval.hi, 6.0 - 0.5 / 1.4);
        assert_eq!((found.processes, found.starts), (6, 6));
    }

    #[test]
    fn five_processes_have_no_interval_however_many_their_starts() {
        let seen = (0..500).map(|i| (i % 5, i, f64::from(i)));
        let found = median(&Levels::from_observations(seen).expect("values"));
        let why = found.interval.expect_err("five processes");
        assert_eq!(why.to_string(), "5 processes, 6 are needed");
        assert_eq!((found.processes, found.starts), (5, 500));
    }

    #[test]
    fn ratios_need_positive_values_and_six_processes_on_either_side() {
        let (six, five) = ([2.0, 2.1, 2.2, 1.9, 1.8, 2.0], [1.0, 1.1, 0.9, 1.0, 1.0]);
        assert!(ratio(&one_each(&six), &one_each(&[0.0, 1.0])).is_none());
        let few = ratio(&one_each(&six), &one_each(&five)).expect("a ratio");
        assert!(few.interval.is_err());
        assert!(mean_ratio(&six, &[0.0; 6]).is_none());
        let same = ratio(&one_each(&six), &one_each(&six)).expect("a ratio");
        near(same.value, 1.0);
        assert!(same.interval.expect("six").contains(1.0));
    }

    #[test]
    fn what_does_not_spread_has_an_interval_of_one_point() {
        let steady = ratio(&one_each(&[4.0; 6]), &one_each(&[2.0; 7])).expect("a ratio");
        let interval = steady.interval.expect("enough");
        near(interval.lo, 2.0);
        near(interval.hi, 2.0);
    }

    proptest! {
        #[test]
        fn intervals_hold_their_values_and_turn_over(
            a in prop::collection::vec(1e-3..1e9_f64, 6..30), b in prop::collection::vec(1e-3..1e9_f64, 6..30),
        ) {
            let (a, b) = (one_each(&a), one_each(&b));
            let centre = median(&a);
            prop_assert!(centre.interval.expect("enough").contains(centre.value));
            let (there, back) = (ratio(&a, &b).expect("a ratio"), ratio(&b, &a).expect("a ratio"));
            let (i, j) = (there.interval.expect("enough"), back.interval.expect("enough"));
            prop_assert!(i.contains(there.value));
            prop_assert!((i.lo * j.hi - 1.0).abs() < 1e-6);
        }
    }
}
