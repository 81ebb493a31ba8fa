//! The live-out arrays that a program writes with `--raw`, and whether two of them agree.

use native_vs_wasm::Disagreement;

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

/// A live-out array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// As in the source.
    pub name: String,
    /// Of its elements.
    pub element: Element,
    /// In row order; every type is exact in a double.
    pub values: Vec<f64>,
}

/// Why what a program wrote is no arrays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArraysError {
    /// No line of text where an array was to begin.
    #[error("array {0} has no header line")]
    NoHeader(usize),
    /// A line that is not `name type count`.
    #[error("`{}` is no array's header", .0.escape_debug())]
    Header(String),
    /// Fewer bytes than the header says.
    #[error("array {name} ends after {found} of {count} elements")]
    Short {
        /// As in the source.
        name: String,
        /// Whole elements that are there.
        found: usize,
        /// Elements by the header.
        count: usize,
    },
    /// Nothing was written.
    #[error("it wrote no array")]
    None,
}

/// Reads what `--raw` writes: for each array a line `name type count`, then the elements, little-endian.
///
/// # Errors
/// It is something else.
pub fn parse(mut bytes: &[u8]) -> Result<Vec<Array>, ArraysError> {
    let mut arrays = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().take(200).position(|&b| b == b'\n');
        let line = end
            .and_then(|end| std::str::from_utf8(&bytes[..end]).ok())
            .ok_or(ArraysError::NoHeader(arrays.len() + 1))?;
        let words: Vec<&str> = line.split(' ').collect();
        let header = match words[..] {
            [name, element, count] => element_of(element)
                .zip(count.parse::<usize>().ok())
                .map(|h| (name, h)),
            _ => None,
        };
        let (name, (element, count)) =
            header.ok_or_else(|| ArraysError::Header(line.to_owned()))?;
        let size = if element == Element::Double { 8 } else { 4 };
        bytes = &bytes[line.len() + 1..];
        let length = count.checked_mul(size).filter(|&n| n <= bytes.len());
        let (own, rest) = bytes.split_at(length.ok_or_else(|| ArraysError::Short {
            name: name.to_owned(),
            found: bytes.len() / size,
            count,
        })?);
        bytes = rest;
        arrays.push(Array {
            name: name.to_owned(),
            element,
            values: own.chunks_exact(size).map(|c| value(element, c)).collect(),
        });
    }
    if arrays.is_empty() {
        return Err(ArraysError::None);
    }
    Ok(arrays)
}

fn element_of(name: &str) -> Option<Element> {
    [Element::Double, Element::Float, Element::Int]
        .into_iter()
        .find(|element| element.name() == name)
}

fn value(element: Element, bytes: &[u8]) -> f64 {
    let four = || <[u8; 4]>::try_from(bytes).unwrap_or_default();
    match element {
        Element::Double => f64::from_le_bytes(bytes.try_into().unwrap_or_default()),
        Element::Float => f64::from(f32::from_le_bytes(four())),
        Element::Int => f64::from(i32::from_le_bytes(four())),
    }
}

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

/// The largest relative difference of two arrays of one shape.
pub(crate) fn difference(a: &Array, b: &Array, tolerance: f64) -> Result<f64, Disagreement> {
    let squares: f64 = a
        .values
        .iter()
        .map(|v| v * v)
        .filter(|v| v.is_finite())
        .sum();
    let size = (squares / a.values.len().max(1) as f64).sqrt();
    let mut largest = 0.0_f64;
    for (index, (&x, &y)) in a.values.iter().zip(&b.values).enumerate() {
        // The same number, infinity or not-a-number.
        if x == y || (x.is_nan() && y.is_nan()) {
            continue;
        }
        let relative = (x - y).abs() / x.abs().max(y.abs()).max(size);
        // A relative difference that is not a number is none that agrees.
        if relative.is_nan() || relative > tolerance {
            return Err(Disagreement(format!(
                "computes another {}: element {index} is {y:e}, the reference has {x:e} (tolerance {tolerance:.0e})",
                a.name,
            )));
        }
        largest = largest.max(relative);
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compare(reference: &[u8], other: &[u8]) -> Result<String, Disagreement> {
        super::compare("poly_x", reference, other)
    }

    fn doubles(name: &str, values: &[f64]) -> Vec<u8> {
        let mut bytes = format!("{name} double {}\n", values.len()).into_bytes();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        let mut bytes = format!("imgOut float {}\n", values.len()).into_bytes();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    fn integers(values: &[i32]) -> Vec<u8> {
        let mut bytes = format!("path int {}\n", values.len()).into_bytes();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    #[test]
    fn arrays_follow_each_other() {
        // The elements may hold any byte, a line's end among them.
        let mut bytes = doubles("x", &[1.5, f64::from_bits(0x0a0a_0a0a_0a0a_0a0a)]);
        bytes.extend(integers(&[-7, 10]));
        let arrays = parse(&bytes).expect("two arrays");
        assert_eq!(arrays.len(), 2);
        assert_eq!(arrays[0].values[0], 1.5);
        assert_eq!(
            (arrays[1].element, &arrays[1].values[..]),
            (Element::Int, &[-7.0, 10.0][..])
        );
    }

    #[test]
    fn what_is_no_array_is_told() {
        for (bytes, says) in [
            (&b""[..], "no array"),
            (b"x double 2\n12345678", "after 1 of 2"),
            (b"x double\n", "no array's header"),
            (b"x complex 0\n", "no array's header"),
            (b"x double -1\n", "no array's header"),
            (b"x double 18446744073709551615\n", "after 0 of"),
            (b"no end of line", "no header line"),
            (b"\xff\n", "no header line"),
        ] {
            let error = parse(bytes).expect_err("nonsense").to_string();
            assert!(error.contains(says), "{error}");
        }
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
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_header_panics(count in any::<u64>(), name in "[a-z ]{0,8}", element in "double|float|int|x") {
            let _ = parse(format!("{name} {element} {count}\nrest").as_bytes());
        }

        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(any::<f64>(), 0..50)) {
            let arrays = parse(&doubles("x", &values)).expect("an array");
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&arrays[0].values), bits(&values));
        }

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
