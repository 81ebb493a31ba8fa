//! Medians, their ratios, and means, with intervals from the processes.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Estimate, Levels, Unchecked, enough_processes, serial};
use crate::fit::t_quantile_at;
use crate::{CONFIDENCE, Interval, mean, sorted};

/// The median of the processes' medians, with the interval between order statistics of these, interpolated to
/// the confidence (Hettmansperger & Sheather, "Confidence intervals based on interpolated order
/// statistics", Statistics & Probability Letters 4, 1986). It assumes nothing of how processes differ, but that none depends
/// on the one before: from ten processes on it reaches further where they do (Student's t over five groups of
/// consecutive ones).
#[must_use]
pub fn median(levels: &Levels) -> Estimate {
    let in_time = levels.process_medians();
    let mut medians = in_time.clone();
    medians.sort_unstable_by(f64::total_cmp);
    let value = crate::median_of_sorted(&medians);
    let group = |values: &[f64]| super::median_of_unsorted(values.to_vec());
    let interval = order_statistics(&medians);
    let interval = interval.map(|found| serial::reach(found, value, &in_time, group));
    levels.estimate(value, interval)
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

/// Squared standard error of a mean, and of how many values.
type SquaredError = (f64, usize);

fn squared_error(values: &[f64]) -> SquaredError {
    (mean_square_error(values), values.len())
}

/// [`ratio`] on the logarithmic scale; `None` as there.
pub(crate) fn log_ratio(numerator: &Levels, denominator: &Levels) -> Option<LogRatio> {
    log_ratio_by(numerator, denominator, |top, bottom| {
        welch(squared_error(top), squared_error(bottom))
    })
}

/// The same of two samples of what may be one thing, made at two times. One of them may have more processes because they spread
/// more: there Welch's error is too small, that of the side with few processes, which happened to be alike. So the
/// error is at least Student's, of a variance that both sides share; with as many processes on either side both are the same.
/// And where the processes of a side depend on the ones before, it is at least that of five groups of consecutive ones: what
/// a host drifts while the one is measured it will have drifted before the other.
pub(crate) fn log_ratio_of_same(numerator: &Levels, denominator: &Levels) -> Option<LogRatio> {
    log_ratio_by(numerator, denominator, |top, bottom| {
        let sides = (squared_error(top), squared_error(bottom));
        let drifting = welch(
            squared_error_in_time(top, sides.0),
            squared_error_in_time(bottom, sides.1),
        );
        wider(
            wider(welch(sides.0, sides.1), pooled(sides.0, sides.1)),
            drifting,
        )
    })
}

/// That of two errors, with their degrees of freedom, by which an interval reaches further; else the first.
fn wider(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let reach = |(error, degrees)| around(0.0, error, degrees, CONFIDENCE).hi;
    if reach(other) > reach(one) {
        other
    } else {
        one
    }
}

/// `own`, the error of `values`, or that of their groups where that is larger.
fn squared_error_in_time(values: &[f64], own: SquaredError) -> SquaredError {
    let groups = serial::dependent_groups(values, mean).map(|groups| squared_error(&groups));
    groups.filter(|found| found.0 > own.0).unwrap_or(own)
}

fn log_ratio_by(
    numerator: &Levels,
    denominator: &Levels,
    error: fn(&[f64], &[f64]) -> (f64, f64),
) -> Option<LogRatio> {
    let logs = |levels: &Levels| -> Option<Vec<f64>> {
        let medians = levels.process_medians();
        let log = |value: f64| (value > 0.0).then(|| value.ln());
        medians.into_iter().map(log).collect()
    };
    let (top, bottom) = (logs(numerator)?, logs(denominator)?);
    Some(LogRatio {
        value: mean(&top) - mean(&bottom),
        error: enough_processes(top.len().min(bottom.len())).map(|()| error(&top, &bottom)),
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
fn welch(first: SquaredError, second: SquaredError) -> (f64, f64) {
    let whole = first.0 + second.0;
    let share = |(square, n): SquaredError| square.powi(2) / (n as f64 - 1.0);
    let below = share(first) + share(second);
    let least = first.1.min(second.1) as f64 - 1.0;
    let degrees = if below > 0.0 {
        (whole.powi(2) / below).max(least)
    } else {
        least
    };
    (whole.sqrt(), degrees)
}

/// The same with one variance of both, and Student's degrees of freedom.
fn pooled(first: SquaredError, second: SquaredError) -> (f64, f64) {
    let squares = |(square, n): SquaredError| square * n as f64 * (n as f64 - 1.0);
    let degrees = first.1 as f64 + second.1 as f64 - 2.0;
    let variance = (squares(first) + squares(second)) / degrees;
    let whole = variance * (1.0 / first.1 as f64 + 1.0 / second.1 as f64);
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

/// Fewest starts of each process for an interval of a mean: fewer take along too much of their skewness.
const MIN_STARTS_IN_PROCESS: usize = 3;

/// The mean of `by_process`, one value for each process in order of time (a throughput, CPU time per start), all of which made `starts`. Its interval reaches at
/// each end as far as the farther of two: Student's t, and t of the values' skewness taken out (Hall, "On the removal of skewness
/// by transformation", Journal of the Royal Statistical Society B 54, 1992), estimated without bias for normal values. Where values are skewed the former is too short at one
/// end, and by the latter alone some ends of few values would be. `None` if there is none or one is not finite.
#[must_use]
pub fn mean_by_process(by_process: &[f64], starts: usize) -> Option<Estimate> {
    sorted(by_process)?;
    let value = mean(by_process);
    let n = by_process.len();
    let interval = enough_processes(n).and_then(|()| enough_starts(starts / n));
    let interval = interval.map(|()| {
        let error = mean_square_error(by_process).sqrt();
        let t = around(value, error, n as f64 - 1.0, CONFIDENCE);
        let deviation = error * (n as f64).sqrt();
        if deviation <= 0.0 {
            return t;
        }
        let t = serial::reach(t, value, by_process, mean);
        let skewness = skewness(by_process, value);
        let end = |of_t: f64| {
            let off = (value - of_t) / deviation;
            value - deviation * with_skewness(off, skewness, n as f64)
        };
        Interval {
            lo: t.lo.min(end(t.lo)),
            hi: t.hi.max(end(t.hi)),
        }
    });
    Some(Estimate {
        value,
        interval,
        processes: n,
        starts,
    })
}

fn enough_starts(in_process: usize) -> Result<(), Unchecked> {
    if in_process < MIN_STARTS_IN_PROCESS {
        return Err(Unchecked::TooFewStartsInProcess {
            starts: in_process,
            needed: MIN_STARTS_IN_PROCESS,
        });
    }
    Ok(())
}

/// The inverse of Hall's transformation: how far off a mean of `n` values of this skewness lies, in standard deviations, if one of
/// values without any lies as far as `off`.
fn with_skewness(off: f64, skewness: f64, n: f64) -> f64 {
    if skewness.abs() < 1e-6 {
        return off;
    }
    let transformed = 1.0 + skewness * (off - skewness / (6.0 * n));
    3.0 / skewness * (transformed.cbrt() - 1.0)
}

/// The third central moment over the third power of the standard deviation, adjusted for the number of values (three or more); 0
/// where nothing spreads.
fn skewness(values: &[f64], centre: f64) -> f64 {
    let moment = |power| -> f64 {
        let each: Vec<f64> = values.iter().map(|v| (v - centre).powi(power)).collect();
        mean(&each)
    };
    let n = values.len() as f64;
    let adjusted = (n * (n - 1.0)).sqrt() / (n - 2.0);
    let found = adjusted * moment(3) / moment(2).powf(1.5);
    if found.is_finite() { found } else { 0.0 }
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

    /// By hand: mean 2, deviations -1 (five times) and 5, moments 5 and 20, skewness 20 / 5^1.5 x sqrt(30) / 4 = 2.449490, standard
    /// deviation sqrt(6), t(0.975, 5) = 2.570582, so t reaches 1.049436 deviations; 1 + 2.449490 x (-1.049436 - 2.449490 / 36) =
    /// -1.737249, whose cube root is -1.202137; 3 / 2.449490 x -2.202137 = -2.697056 deviations.
    #[test]
    fn a_mean_of_skewed_values_reaches_further_to_their_side() {
        let found = mean_by_process(&[1.0, 1.0, 1.0, 1.0, 1.0, 7.0], 600).expect("values");
        let interval = found.interval.expect("six");
        let deviation = 6_f64.sqrt();
        near(found.value, 2.0);
        near(interval.lo, 2.0 - 1.049_435_8 * deviation);
        let hi = (interval.hi - 2.0) / deviation;
        assert!((hi - 2.697_056).abs() < 1e-4, "{hi}");
        let even = mean_by_process(&[1.0, 2.0, 3.0, 3.0, 4.0, 5.0], 600).expect("values");
        let interval = even.interval.expect("six");
        near(interval.lo + interval.hi, 6.0);
        let steady = mean_by_process(&[2.0; 6], 600).expect("values").interval;
        let steady = steady.expect("six");
        near(steady.lo, 2.0);
        near(steady.hi, 2.0);
    }

    #[test]
    fn a_mean_of_single_starts_has_no_interval() {
        let found = mean_by_process(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 12).expect("values");
        let why = found.interval.expect_err("two starts each").to_string();
        assert_eq!(why, "2 starts of each process, 3 are needed");
        let few = mean_by_process(&[1.0; 5], 500).expect("values").interval;
        assert_eq!(few.expect_err("five").found(), Some(5));
        assert_eq!(mean_by_process(&[], 0), None);
        assert_eq!(mean_by_process(&[f64::NAN], 3), None);
    }

    #[test]
    fn the_error_of_the_same_twice_is_that_of_a_shared_variance_if_larger() {
        let (few, many) = (
            one_each(&[1.0, 1.01, 0.99, 1.0, 1.01, 0.99]),
            [0.5, 1.0, 2.0].repeat(10),
        );
        let many = one_each(&many);
        let error = |found: Option<LogRatio>| found.expect("positive").error.expect("six").0;
        let (apart, same) = (log_ratio(&few, &many), log_ratio_of_same(&few, &many));
        assert!(error(same) > 1.5 * error(apart), "{same:?} {apart:?}");
        let equal = one_each(&[0.5, 1.0, 2.0, 0.5, 1.0, 2.0]);
        let (apart, same) = (log_ratio(&few, &equal), log_ratio_of_same(&few, &equal));
        near(error(same), error(apart));
    }

    proptest! {
        #[test]
        fn a_mean_lies_within_its_interval_wherever_values_lie(values in prop::collection::vec(-1e9..1e9_f64, 6..30)) {
            let found = mean_by_process(&values, 3 * values.len()).expect("values");
            let interval = found.interval.expect("enough");
            prop_assert!(interval.lo.is_finite() && interval.hi.is_finite());
            prop_assert!(interval.contains(found.value));
        }

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
