//! The universal scalability law (Gunther, "A General Theory of Computational Scalability Based on Rational Functions", 2008,
//! arXiv:0808.1431): what `n` workers do together, `x(n) = rate n / (1 + contention (n - 1) + coherence n (n - 1))`.
//!
//! `n / x(n)` is linear in its three unknowns, so it is fitted by least squares, each point weighted by its own size: rates are taken to
//! scatter by a share of themselves. Neither coefficient may be negative; with two of them all four cases are tried. It stands in for
//! the package `usl` of R, which fits the same by non-linear least squares; there is no such crate.

use serde::{Deserialize, Serialize};

/// How a rate grows with workers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScalabilityFit {
    /// What one worker does, in the unit of the rates.
    pub rate: f64,
    /// Share of the work that one worker at a time does (sigma); 0 to 1 where it makes sense.
    pub contention: f64,
    /// What each pair of workers adds for keeping in step (kappa), as a share of the work.
    pub coherence: f64,
    /// Root of the mean square of (measured over fitted - 1).
    pub relative_residual: f64,
}

impl ScalabilityFit {
    /// What `workers` do together.
    #[must_use]
    pub fn rate_at(&self, workers: f64) -> f64 {
        let n = workers;
        self.rate * n / (1.0 + self.contention * (n - 1.0) + self.coherence * n * (n - 1.0))
    }

    /// The number of workers beyond which more of them do less together; `None` if there is none.
    #[must_use]
    pub fn best_workers(&self) -> Option<f64> {
        let best = ((1.0 - self.contention) / self.coherence).sqrt();
        best.is_finite().then_some(best.max(1.0))
    }
}

/// Fewest different numbers of workers: as many as there are unknowns.
pub const MIN_SCALABILITY_POINTS: usize = 3;

/// Fits points of (workers, rate); `None` with fewer than three different numbers of workers, or a number that is not positive and
/// finite.
#[must_use]
pub fn scalability_fit(points: &[(f64, f64)]) -> Option<ScalabilityFit> {
    let is_fit = |v: f64| v.is_finite() && v > 0.0;
    let mut workers: Vec<f64> = points.iter().map(|point| point.0).collect();
    workers.sort_unstable_by(f64::total_cmp);
    workers.dedup();
    if workers.len() < MIN_SCALABILITY_POINTS
        || !points.iter().all(|&(n, x)| is_fit(n) && is_fit(x))
    {
        return None;
    }
    let cases = [&[0, 1, 2][..], &[0, 1], &[0, 2], &[0]];
    let fits = cases.into_iter().filter_map(|free| fit_of(points, free));
    fits.min_by(|a, b| a.relative_residual.total_cmp(&b.relative_residual))
}

/// The fit with the coefficients `free`, of rate, contention, coherence, and the others 0; `None` if one is negative.
fn fit_of(points: &[(f64, f64)], free: &[usize]) -> Option<ScalabilityFit> {
    // Of each point its row over its own n / x, so that the right side is 1.
    let row = |(n, x): (f64, f64)| {
        let size = n / x;
        [1.0 / size, (n - 1.0) / size, n * (n - 1.0) / size]
    };
    let mut equations = [[0.0; 4]; 3];
    for &point in points {
        let terms = row(point);
        for (i, &a) in free.iter().enumerate() {
            for (j, &b) in free.iter().enumerate() {
                equations[i][j] += terms[a] * terms[b];
            }
            equations[i][3] += terms[a];
        }
    }
    let solved = solve(&mut equations, free.len())?;
    let mut coefficients = [0.0; 3];
    for (&at, value) in free.iter().zip(solved) {
        coefficients[at] = value;
    }
    let [inverse, contention, coherence] = coefficients;
    if inverse <= 0.0 || contention < 0.0 || coherence < 0.0 {
        return None;
    }
    let mut fit = ScalabilityFit {
        rate: 1.0 / inverse,
        contention: contention / inverse,
        coherence: coherence / inverse,
        relative_residual: 0.0,
    };
    let squares = points
        .iter()
        .map(|&(n, x)| (x / fit.rate_at(n) - 1.0).powi(2));
    fit.relative_residual = (squares.sum::<f64>() / points.len() as f64).sqrt();
    fit.relative_residual.is_finite().then_some(fit)
}

/// Solves the first `size` of `equations`, whose last column is the right side, by elimination with row pivots.
fn solve(equations: &mut [[f64; 4]; 3], size: usize) -> Option<[f64; 3]> {
    for column in 0..size {
        let pivot = (column..size).max_by(|&a, &b| {
            equations[a][column]
                .abs()
                .total_cmp(&equations[b][column].abs())
        })?;
        if equations[pivot][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        equations.swap(column, pivot);
        for row in 0..size {
            if row != column {
                let factor = equations[row][column] / equations[column][column];
                let from = equations[column];
                for (cell, value) in equations[row].iter_mut().zip(from) {
                    *cell -= factor * value;
                }
            }
        }
    }
    let mut found = [0.0; 3];
    for (row, value) in found.iter_mut().enumerate().take(size) {
        *value = equations[row][3] / equations[row][row];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(rate: f64, contention: f64, coherence: f64, workers: &[f64]) -> Vec<(f64, f64)> {
        let law = ScalabilityFit {
            rate,
            contention,
            coherence,
            relative_residual: 0.0,
        };
        workers.iter().map(|&n| (n, law.rate_at(n))).collect()
    }

    #[test]
    fn too_few_or_unfit_points_have_no_fit() {
        assert_eq!(scalability_fit(&[]), None);
        assert_eq!(
            scalability_fit(&[(1.0, 10.0), (2.0, 19.0), (2.0, 18.0)]),
            None
        );
        assert_eq!(
            scalability_fit(&[(1.0, 10.0), (2.0, 19.0), (4.0, 0.0)]),
            None
        );
        assert_eq!(
            scalability_fit(&[(1.0, 10.0), (2.0, f64::NAN), (4.0, 30.0)]),
            None
        );
    }

    /// A published example of the law: SPEC SDM91 throughput on a Sun SPARCcenter 2000, in scripts per hour by users (Gunther,
    /// "Guerrilla Capacity Planning", 2007). The package `usl`, which gives the large rates more weight, has contention 0.0277, coherence
    /// 0.000104 and the most at 96.5 users.
    #[test]
    fn a_published_example_has_its_peak_where_others_find_it() {
        let points = [
            (1.0, 64.9),
            (18.0, 995.9),
            (36.0, 1652.4),
            (72.0, 1853.2),
            (108.0, 1828.9),
            (144.0, 1775.0),
            (216.0, 1702.2),
        ];
        let fit = scalability_fit(&points).expect("a fit");
        assert!((0.005..0.03).contains(&fit.contention), "{fit:?}");
        assert!((fit.coherence / 0.000_104 - 1.0).abs() < 0.15, "{fit:?}");
        let best = fit.best_workers().expect("a peak");
        assert!((best / 96.5 - 1.0).abs() < 0.05, "{best}");
    }

    #[test]
    fn what_cannot_be_negative_is_nought() {
        // Two do more than twice as much as one.
        let fit = scalability_fit(&[(1.0, 10.0), (2.0, 21.0), (4.0, 42.0)]).expect("a fit");
        assert_eq!((fit.contention, fit.coherence), (0.0, 0.0));
        assert_eq!(fit.best_workers(), None);
        assert!((fit.rate_at(2.0) / 20.7 - 1.0).abs() < 0.02, "{fit:?}");
    }

    proptest! {
        #[test]
        fn a_law_is_found_again(rate in 1.0..1e6_f64, contention in 0.0..0.9_f64, coherence in 0.0..0.1_f64) {
            let points = made(rate, contention, coherence, &[1.0, 2.0, 4.0, 8.0, 16.0]);
            let fit = scalability_fit(&points).expect("a fit");
            prop_assert!((fit.rate / rate - 1.0).abs() < 1e-4, "{fit:?}");
            prop_assert!((fit.contention - contention).abs() < 1e-4, "{fit:?}");
            prop_assert!((fit.coherence - coherence).abs() < 1e-4, "{fit:?}");
        }

        #[test]
        fn noise_of_a_few_per_cent_moves_it_little(seed in prop::collection::vec(-0.02..0.02_f64, 5)) {
            let mut points = made(1000.0, 0.1, 0.01, &[1.0, 2.0, 4.0, 8.0, 16.0]);
            for (point, off) in points.iter_mut().zip(&seed) {
                point.1 *= 1.0 + off;
            }
            let fit = scalability_fit(&points).expect("a fit");
            prop_assert!((fit.contention - 0.1).abs() < 0.08, "{fit:?}");
            prop_assert!((fit.coherence - 0.01).abs() < 0.006, "{fit:?}");
            prop_assert!(fit.relative_residual < 0.03, "{fit:?}");
        }

        #[test]
        fn no_points_panic(points in prop::collection::vec((0.0..1e3_f64, 0.0..1e9_f64), 0..8)) {
            if let Some(fit) = scalability_fit(&points) {
                prop_assert!(fit.contention >= 0.0 && fit.coherence >= 0.0);
            }
        }
    }
}
