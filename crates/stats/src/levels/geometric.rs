//! Geometric means over benchmarks.

use super::intervals::{around, exponential, log_ratio, mean_square_error};
use super::{Levels, Unchecked};
use crate::{CONFIDENCE, Interval, mean};

/// The geometric mean of ratios over benchmarks, with the intervals that answer two different questions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeometricMeans {
    /// How many benchmarks.
    pub n: usize,
    pub mean: f64,
    /// Where the mean lies were these very benchmarks measured again: each ratio's own standard error, by
    /// process, carried on. `Err` if one of them has none.
    pub these_again: Result<Interval, Unchecked>,
    /// Where it lies for benchmarks drawn like these: Student's t of the ratios' logarithms, from two on.
    pub drawn_like_these: Result<Interval, Unchecked>,
}

/// The geometric mean of [`super::ratio`] over `pairs` of numerator and denominator; `None` if there is none or
/// one has no ratio.
#[must_use]
pub fn geometric_mean(pairs: &[(&Levels, &Levels)]) -> Option<GeometricMeans> {
    let ratios: Vec<_> = pairs
        .iter()
        .map(|(top, bottom)| log_ratio(top, bottom))
        .collect::<Option<_>>()?;
    if ratios.is_empty() {
        return None;
    }
    let n = ratios.len();
    let logs: Vec<f64> = ratios.iter().map(|r| r.value).collect();
    let centre = mean(&logs);
    let errors: Result<Vec<(f64, f64)>, Unchecked> = ratios.iter().map(|r| r.error).collect();
    let drawn = if n < 2 {
        Err(Unchecked::TooFewValues {
            values: n,
            needed: 2,
        })
    } else {
        let error = mean_square_error(&logs).sqrt();
        Ok(exponential(around(
            centre,
            error,
            n as f64 - 1.0,
            CONFIDENCE,
        )))
    };
    Some(GeometricMeans {
        n,
        mean: centre.exp(),
        these_again: errors.map(|errors| again(centre, &errors)),
        drawn_like_these: drawn,
    })
}

/// The interval of a mean of independent values with these standard errors and degrees of freedom (Satterthwaite,
/// Biometrics Bulletin 2, 1946).
fn again(centre: f64, errors: &[(f64, f64)]) -> Interval {
    let squares: f64 = errors.iter().map(|(error, _)| error.powi(2)).sum();
    let fourth: f64 = errors
        .iter()
        .map(|(error, degrees)| error.powi(4) / degrees)
        .sum();
    let least = errors.iter().map(|(_, d)| *d).fold(f64::INFINITY, f64::min);
    let degrees = if fourth > 0.0 {
        squares.powi(2) / fourth
    } else {
        least
    };
    let error = squares.sqrt() / errors.len() as f64;
    exponential(around(centre, error, degrees, CONFIDENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(values: &[f64]) -> Levels {
        Levels::one_per_process(values).expect("values")
    }

    #[test]
    fn both_intervals_are_those_of_their_formulas() {
        let steady = levels(&[1.0; 6]);
        let (one, four) = (levels(&[1.0; 6]), levels(&[4.0; 6]));
        let means = geometric_mean(&[(&one, &steady), (&four, &steady)]).expect("ratios");
        assert!((means.mean - 2.0).abs() < 1e-12);
        // Nothing spreads, so the same benchmarks give the same again; t(0.975, 1) = 12.7062, error ln 2.
        let again = means.these_again.expect("six processes");
        assert!((again.lo - 2.0).abs() < 1e-9 && (again.hi - 2.0).abs() < 1e-9);
        let drawn = means.drawn_like_these.expect("two ratios");
        let half = 12.706_204_736 * 2_f64.ln();
        assert!((drawn.hi.ln() - (2_f64.ln() + half)).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_said_is_not() {
        assert_eq!(geometric_mean(&[]), None);
        let (few, zero) = (levels(&[1.0; 5]), levels(&[0.0; 6]));
        assert_eq!(geometric_mean(&[(&few, &zero)]), None);
        let alone = geometric_mean(&[(&few, &few)]).expect("a ratio");
        assert!(alone.these_again.is_err() && alone.drawn_like_these.is_err());
    }
}
