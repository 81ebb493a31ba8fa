//! Ordinary least squares of y = a + b x with Student's t intervals (NIST/SEMATECH e-Handbook of
//! Statistical Methods, section 4.4.3; Montgomery, Peck & Vining, "Introduction to Linear Regression
//! Analysis", equations 2.39 and 2.40). It stands in for `scipy.stats.linregress`, against whose stored
//! results tests/scipy.rs holds it: statrs has the t distribution but no regression.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{CONFIDENCE, Interval, mean};

/// y = intercept + slope x.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LinearFit {
    /// How many points.
    pub n: usize,
    /// Of y per x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
    /// t interval of the slope, from three points on. It assumes independent residuals of one
    /// spread; plot the residuals before trusting it.
    pub slope_interval: Option<Interval>,
    /// t interval of the intercept, from three points on.
    pub intercept_interval: Option<Interval>,
    /// Standard deviation of the residuals, n - 2 degrees of freedom, from three points on.
    pub residual_sd: Option<f64>,
    /// Share of the variance of y that the line explains; `None` if y does not vary.
    pub r_squared: Option<f64>,
}

impl LinearFit {
    /// The line at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// The two-sided t quantile of [`CONFIDENCE`]; `None` with no degree of freedom.
pub(super) fn t_quantile(degrees: usize) -> Option<f64> {
    t_quantile_at(degrees as f64, CONFIDENCE)
}

/// The two-sided t quantile of `confidence`; `None` without a positive number of degrees of freedom.
pub(super) fn t_quantile_at(degrees: f64, confidence: f64) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, degrees).ok()?;
    Some(t.inverse_cdf(f64::midpoint(1.0, confidence)))
}

/// Fits a line to `points` of (x, y); `None` with fewer than two different x or a value that is not
/// finite.
#[must_use]
pub fn linear_fit(points: &[(f64, f64)]) -> Option<LinearFit> {
    let n = points.len();
    if n < 2 || !points.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
        return None;
    }
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (x_mean, y_mean) = (mean(&xs), mean(&ys));
    let sxx: f64 = xs.iter().map(|x| (x - x_mean).powi(2)).sum();
    let sxy: f64 = points
        .iter()
        .map(|(x, y)| (x - x_mean) * (y - y_mean))
        .sum();
    let syy: f64 = ys.iter().map(|y| (y - y_mean).powi(2)).sum();
    if sxx <= 0.0 {
        return None;
    }
    let slope = sxy / sxx;
    let intercept = y_mean - slope * x_mean;
    let residual: f64 = points
        .iter()
        .map(|(x, y)| (y - intercept - slope * x).powi(2))
        .sum();
    let spread = t_quantile(n - 2).map(|t| (t, (residual / (n - 2) as f64).sqrt()));
    let around = |centre: f64, half: f64| Interval {
        lo: centre - half,
        hi: centre + half,
    };
    Some(LinearFit {
        n,
        slope,
        intercept,
        slope_interval: spread.map(|(t, s)| around(slope, t * s / sxx.sqrt())),
        intercept_interval: spread.map(|(t, s)| {
            around(
                intercept,
                t * s * (1.0 / n as f64 + x_mean.powi(2) / sxx).sqrt(),
            )
        }),
        residual_sd: spread.map(|(_, s)| s),
        r_squared: (syy > 0.0).then(|| 1.0 - residual / syy),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn too_few_or_unfit_points_have_no_fit() {
        assert_eq!(linear_fit(&[]), None);
        assert_eq!(linear_fit(&[(1.0, 2.0)]), None);
        assert_eq!(linear_fit(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(linear_fit(&[(1.0, 2.0), (2.0, f64::NAN)]), None);
        let two = linear_fit(&[(1.0, 3.0), (2.0, 5.0)]).expect("a line");
        assert_eq!((two.slope, two.intercept), (2.0, 1.0));
        assert_eq!((two.slope_interval, two.residual_sd), (None, None));
    }

    /// The data of a worked example: x 1..5, y 2.1 3.9 6.2 7.8 10.1. By hand: Sxx = 10, Sxy = 19.9,
    /// slope 1.99, intercept 0.05, SSE 0.107, s = 0.18886, t(0.975, 3) = 3.18245.
    #[test]
    fn intervals_are_those_of_the_formula() {
        let points = [(1.0, 2.1), (2.0, 3.9), (3.0, 6.2), (4.0, 7.8), (5.0, 10.1)];
        let fit = linear_fit(&points).expect("a line");
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} is not {b}");
        near(fit.slope, 1.99);
        near(fit.intercept, 0.05);
        near(fit.residual_sd.expect("five points"), 0.188_856);
        let slope = fit.slope_interval.expect("five points");
        near(slope.hi - fit.slope, 3.182_446 * 0.188_856 / 10_f64.sqrt());
        let intercept = fit.intercept_interval.expect("five points");
        near(
            fit.intercept - intercept.lo,
            3.182_446 * 0.188_856 * (0.2_f64 + 0.9).sqrt(),
        );
    }

    proptest! {
        #[test]
        fn a_line_is_found_again(a in -1e6..1e6_f64, b in -1e3..1e3_f64, n in 3_usize..40) {
            let points: Vec<_> = (0..n).map(|i| (i as f64 * 10.0, a + b * i as f64 * 10.0)).collect();
            let fit = linear_fit(&points).expect("a line");
            prop_assert!((fit.slope - b).abs() < 1e-6);
            prop_assert!((fit.intercept - a).abs() < 1e-5);
            prop_assert!((fit.at(5.0) - (a + 5.0 * b)).abs() < 1e-5);
        }
    }
}
