//! What two runs of gramschmidt have in common.
//!
//! Its input is singular: entry (i, j) depends on i j mod M, so the columns repeat after M of them, and the
//! N columns are more than the M rows anyway. Once no independent column is left, what remains of a column
//! is rounding errors, which the kernel normalises to a column of Q of full size: noise, different for every
//! order of operations, and so is all that is projected on it. What is determined, and compared here, is
//! the leading columns of Q and rows of R before the first such column, element by element, and the product
//! Q R, which is the input to within rounding whatever the noise (Björck, "Solving linear least squares
//! problems by Gram-Schmidt orthogonalization", BIT 7, 1967).

use native_vs_wasm::Disagreement;

use crate::arrays::{Array, difference};
use crate::kernels::Element;

/// A column of which less than this share is left after projection is not determined well enough.
const fn share_left(element: Element) -> f64 {
    match element {
        Element::Float => 1e-2,
        Element::Double | Element::Int => 1e-6,
    }
}

/// At most so many rows of Q R are computed: each takes N^2 operations.
const ROWS: usize = 100;

/// R (N x N) and Q (M x N).
struct Factors<'a> {
    n: usize,
    m: usize,
    r: &'a [f64],
    q: &'a [f64],
}

impl<'a> Factors<'a> {
    fn from_arrays(arrays: &'a [Array]) -> Result<Self, Disagreement> {
        let [r, q] = arrays else {
            return Err(Disagreement("wrote something else than R and Q".to_owned()));
        };
        let n = r.values.len().isqrt();
        if n == 0 || n * n != r.values.len() || q.values.len() % n != 0 {
            return Err(Disagreement(
                "wrote factors that do not fit together".to_owned(),
            ));
        }
        Ok(Self {
            n,
            m: q.values.len() / n,
            r: &r.values,
            q: &q.values,
        })
    }

    /// How many leading columns are determined.
    fn determined(&self, element: Element) -> usize {
        let left = |k: usize| {
            let column = (0..=k).map(|i| self.r[i * self.n + k]);
            let norm = column.map(|v| v * v).sum::<f64>().sqrt();
            self.r[k * self.n + k] / norm
        };
        (0..self.n)
            .take_while(|&k| left(k) > share_left(element))
            .count()
    }

    /// How many leading columns are numbers: what is left of a column may be nothing at all, which the
    /// kernel then divides by.
    fn finite(&self) -> usize {
        (0..self.n)
            .take_while(|&k| {
                let left = self.r[k * self.n + k];
                left.is_finite() && left > 0.0
            })
            .count()
    }

    fn leading(&self, columns: usize, element: Element) -> [Array; 2] {
        let array = |name: &str, values: Vec<f64>| Array {
            name: format!("{name} (of the {columns} columns that are determined)"),
            element,
            values,
        };
        let q = self.q.chunks_exact(self.n);
        [
            array("R", self.r[..columns * self.n].to_vec()),
            array("Q", q.flat_map(|row| &row[..columns]).copied().collect()),
        ]
    }

    /// Evenly spread rows of the first `columns` columns of Q R.
    fn product(&self, columns: usize, element: Element) -> Array {
        let step = self.m.div_ceil(ROWS).max(1);
        let mut values = Vec::new();
        for row in self.q.chunks_exact(self.n).step_by(step) {
            let mut sums = vec![0.0; columns];
            for (k, &q) in row[..columns].iter().enumerate() {
                let r = &self.r[k * self.n..][..columns];
                // R is upper triangular.
                for (sum, &r) in sums[k..].iter_mut().zip(&r[k..]) {
                    *sum += q * r;
                }
            }
            values.append(&mut sums);
        }
        Array {
            name: "Q R".to_owned(),
            element,
            values,
        }
    }
}

/// Compares two outputs of one shape; in words.
///
/// # Errors
/// They differ.
pub(crate) fn compare(
    reference: &[Array],
    other: &[Array],
    tolerance: f64,
) -> Result<String, Disagreement> {
    let (a, b) = (
        Factors::from_arrays(reference)?,
        Factors::from_arrays(other)?,
    );
    let element = reference[0].element;
    let columns = a.determined(element).min(b.determined(element));
    if columns == 0 {
        return Err(Disagreement(
            "computes no column that is determined".to_owned(),
        ));
    }
    let finite = a.finite().min(b.finite());
    let mut largest = difference(
        &a.product(finite, element),
        &b.product(finite, element),
        tolerance,
    )?;
    for (x, y) in a
        .leading(columns, element)
        .iter()
        .zip(&b.leading(columns, element))
    {
        largest = largest.max(difference(x, y, tolerance)?);
    }
    Ok(format!(
        "agrees in Q R and in the {columns} of {} columns that the singular input determines (largest relative difference {largest:.1e}, tolerance {tolerance:.0e})",
        a.n,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: f64 = 1e-9;

    fn compare(a: &[Array], b: &[Array]) -> Result<String, Disagreement> {
        super::compare(a, b, TOLERANCE)
    }

    /// The kernel, summing from the first or from the last row: as two compilers might.
    fn factors(m: usize, n: usize, backwards: bool) -> Vec<Array> {
        let mut a: Vec<f64> = (0..m * n)
            .map(|x| ((x / n) * (x % n) % m) as f64 / m as f64 * 100.0 + 10.0)
            .collect();
        let (mut q, mut r) = (vec![0.0; m * n], vec![0.0; n * n]);
        let rows: Vec<usize> = if backwards {
            (0..m).rev().collect()
        } else {
            (0..m).collect()
        };
        for k in 0..n {
            let squares: f64 = rows.iter().map(|&i| a[i * n + k] * a[i * n + k]).sum();
            r[k * n + k] = squares.sqrt();
            for i in 0..m {
                q[i * n + k] = a[i * n + k] / r[k * n + k];
            }
            for j in k + 1..n {
                r[k * n + j] = rows.iter().map(|&i| q[i * n + k] * a[i * n + j]).sum();
                for i in 0..m {
                    a[i * n + j] -= q[i * n + k] * r[k * n + j];
                }
            }
        }
        let array = |name: &str, values| Array {
            name: name.to_owned(),
            element: Element::Double,
            values,
        };
        vec![array("R", r), array("Q", q)]
    }

    #[test]
    fn two_orders_of_summation_agree_although_most_elements_do_not() {
        let (a, b) = (factors(20, 30, false), factors(20, 30, true));
        assert!(
            difference(&a[1], &b[1], TOLERANCE).is_err(),
            "the noise is there"
        );
        let how = compare(&a, &b).expect("agrees");
        assert!(how.contains("of 30 columns"), "{how}");
    }

    #[test]
    fn an_error_in_what_is_determined_is_found() {
        let a = factors(20, 30, false);
        for (array, at, by) in [
            (0, 0, 1e-3),
            (0, 31, 1e-3),
            (1, 0, 1e-3),
            (1, 31, 1e-3),
            (0, 29, 1.0),
        ] {
            let mut b = factors(20, 30, true);
            b[array].values[at] += by;
            assert!(compare(&a, &b).is_err(), "array {array}, element {at}");
        }
        // Noise of another size is no factorisation of the input.
        let last = Factors::from_arrays(&a).expect("factors").finite() - 1;
        let mut b = a.clone();
        b[1].values[last] += 1.0;
        b[0].values[last * 30 + last] += 1.0;
        assert!(compare(&a, &b).is_err());
        assert!(compare(&a[..1], &b[..1]).is_err());
    }

    #[test]
    fn factors_that_are_none_are_refused() {
        let mut a = factors(20, 30, false);
        a[0].values.pop();
        assert!(compare(&a, &a).is_err());
        let mut zero = factors(20, 30, false);
        zero.iter_mut().for_each(|array| array.values.fill(0.0));
        assert!(compare(&zero, &zero).is_err());
    }
}
