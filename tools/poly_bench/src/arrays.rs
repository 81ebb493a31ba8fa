//! The live-out arrays that a program writes with `--raw`.

use native_vs_wasm::Disagreement;

use crate::kernels::Element;

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
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn doubles(name: &str, values: &[f64]) -> Vec<u8> {
        let mut bytes = format!("{name} double {}\n", values.len()).into_bytes();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
        let mut bytes = format!("imgOut float {}\n", values.len()).into_bytes();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    pub(crate) fn integers(values: &[i32]) -> Vec<u8> {
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
    }
}
