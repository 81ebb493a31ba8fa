//! Whether a number that a user gave is one that makes sense.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A number out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, it must be {least} to {most}{unit}")]
pub struct OutOfRange {
    name: String,
    value: String,
    least: String,
    most: String,
    unit: String,
}

impl OutOfRange {
    /// Adds the unit of the bounds to the message, as in `0.1 to 3600 (seconds)`.
    #[must_use]
    pub fn in_unit(mut self, unit: &str) -> Self {
        self.unit = format!(" ({unit})");
        self
    }
}

/// Whether `value` of the option or field `name` is within `range`; what is no number is within none.
///
/// # Errors
/// [`OutOfRange`], with the bounds in its message.
pub fn in_range<T>(name: &str, value: T, range: RangeInclusive<T>) -> Result<(), OutOfRange>
where
    T: PartialOrd + Display,
{
    if range.contains(&value) {
        return Ok(());
    }
    Err(OutOfRange {
        name: name.to_owned(),
        value: value.to_string(),
        least: range.start().to_string(),
        most: range.end().to_string(),
        unit: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_range_and_the_message_names_them() {
        assert_eq!(in_range("N", 1, 1..=3), Ok(()));
        assert_eq!(in_range("N", 3, 1..=3), Ok(()));
        let error = in_range("N", 4, 1..=3).expect_err("too many");
        assert_eq!(error.to_string(), "N is 4, it must be 1 to 3");
        for seconds in [0.05, 3601.0, f64::NAN, f64::INFINITY] {
            let error = in_range("--timeout", seconds, 0.1..=3600.0).expect_err("no time");
            let said = format!("--timeout is {seconds}, it must be 0.1 to 3600 (seconds)");
            assert_eq!(error.in_unit("seconds").to_string(), said);
        }
    }
}
