//! Whether what two programs write with `--raw` agrees.

use native_vs_wasm::Disagreement;

use crate::arrays::{Array, difference, parse};
use crate::gramschmidt;
use crate::kernels::Element;

/// Largest difference of two elements of `program` that agree, as a part of their size or, where that is
/// larger, of the root mean square of their array. One side fuses multiplications and additions where the
/// other does not, and vector code sums in another order. What that does grows with a kernel's condition:
/// in double up to 2e-11 on LARGE (trisolv), but 1e-8 for durbin, whose recursion is unstable for its input,
/// so much that in float nothing of it is determined beyond MINI.
pub(crate) fn tolerance(program: &str, element: Element) -> f64 {
    match (element, program.starts_with(UNSTABLE)) {
        (Element::Double, false) => 1e-9,
        (Element::Double, true) => 1e-5,
        (Element::Float, false) => 1e-3,
        (Element::Float, true) => 1e-2,
        (Element::Int, _) => 0.0,
    }
}

const UNSTABLE: &str = "poly_durbin";

/// Compares two outputs of `program` element by element, the first being the reference's; in words.
///
/// # Errors
/// They differ.
pub fn compare(program: &str, reference: &[u8], other: &[u8]) -> Result<String, Disagreement> {
    let reference = parse(reference)
        .map_err(|e| Disagreement(format!("cannot be compared: of the reference, {e}")))?;
    let other =
        parse(other).map_err(|e| Disagreement(format!("wrote something else than arrays: {e}")))?;
    let shapes = |arrays: &[Array]| -> Vec<String> {
        let shape = |a: &Array| format!("{} {} {}", a.name, a.element.name(), a.values.len());
        arrays.iter().map(shape).collect()
    };
    if shapes(&reference) != shapes(&other) {
        return Err(Disagreement(format!(
            "has other arrays ({}) than the reference ({})",
            shapes(&other).join(", "),
            shapes(&reference).join(", ")
        )));
    }
    if program.starts_with("poly_gramschmidt") {
        return gramschmidt::compare(&reference, &other, tolerance(program, reference[0].element));
    }
    let element = reference[0].element;
    let tolerance = tolerance(program, element);
    let mut largest = 0.0_f64;
    let mut count = 0;
    for (a, b) in reference.iter().zip(&other) {
        largest = largest.max(difference(a, b, tolerance)?);
        count += a.values.len();
    }
    Ok(if element == Element::Int {
        format!("agrees in all {count} elements exactly")
    } else {
        format!(
            "agrees in all {count} elements (largest relative difference {largest:.1e}, tolerance {tolerance:.0e})"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::tests::{doubles, floats, integers};
    use proptest::prelude::*;

    fn compare(reference: &[u8], other: &[u8]) -> Result<String, Disagreement> {
        super::compare("poly_x", reference, other)
    }

    #[test]
    fn rounding_agrees_and_errors_do_not() {
        let base = doubles("x", &[1.0, 1000.0, 0.0]);
        // Small against its array's size, though large against itself.
        let rounded = doubles("x", &[1.0 + 1e-10, 1000.0, 1e-7]);
        assert!(
            compare(&base, &rounded)
                .expect("agrees")
                .contains("3 elements")
        );
        let wrong = compare(&base, &doubles("x", &[1.0, 1000.1, 0.0]))
            .expect_err("differs")
            .to_string();
        assert!(wrong.contains("element 1"), "{wrong}");
        assert!(
            compare(&base, &doubles("y", &[1.0, 1000.0, 0.0]))
                .expect_err("name")
                .to_string()
                .contains("other arrays")
        );
        assert!(compare(&base, &doubles("x", &[1.0])).is_err());
        assert!(compare(&base, &integers(&[1, 1000, 0])).is_err());
        assert!(compare(&floats(&[1.0, 2.0]), &floats(&[1.0, 2.000_1])).is_ok());
        assert!(compare(&floats(&[1.0, 2.0]), &floats(&[1.0, 2.1])).is_err());
        assert!(compare(&integers(&[1_000_000]), &integers(&[1_000_001])).is_err());
        assert!(compare(&integers(&[1_000_000]), &integers(&[1_000_000])).is_ok());
    }

    #[test]
    fn what_is_not_a_number_agrees_with_nothing_else() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let of = |v: f64| doubles("x", &[v, 1.0]);
        for value in [nan, inf, -inf] {
            assert!(compare(&of(value), &of(value)).is_ok(), "{value}");
            for other in [nan, inf, -inf, 0.0, 1e300] {
                if other.to_bits() != value.to_bits() {
                    assert!(compare(&of(value), &of(other)).is_err(), "{value} {other}");
                    assert!(compare(&of(other), &of(value)).is_err(), "{other} {value}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_output_agrees_with_itself_and_not_with_one_off(
            values in prop::collection::vec(-1e6..1e6_f64, 1..50), at in any::<prop::sample::Index>(),
        ) {
            let bytes = doubles("x", &values);
            prop_assert!(compare(&bytes, &bytes).is_ok());
            let mut off = values.clone();
            let at = at.index(values.len());
            off[at] += 10.0 + values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            prop_assert!(compare(&bytes, &doubles("x", &off)).is_err());
            prop_assert!(compare(&doubles("x", &off), &bytes).is_err());
        }
    }
}
