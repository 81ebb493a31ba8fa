//! Durations as users type them.

use std::time::Duration;

/// What is wrong with a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form.
    #[error("`{0}` is no duration: a number and us, ms, s, m or h, as in 100ms")]
    NoDuration(String),
    /// Zero.
    #[error("`{0}` is no time at all")]
    NoTime(String),
}

/// A number with one of the units us, ms, s, m, h, above zero.
///
/// # Errors
/// It has another form, is zero, or too long to be counted.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    const UNITS: [(&str, f64); 5] = [
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let refused = || DurationError::NoDuration(text.to_owned());
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, seconds) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(refused)?;
    let number: f64 = number.parse().map_err(|_| refused())?;
    let duration = Duration::try_from_secs_f64(number * seconds).map_err(|_| refused())?;
    if duration.is_zero() {
        return Err(DurationError::NoTime(text.to_owned()));
    }
    Ok(duration)
}

/// As [`parse_duration`]; a number alone is milliseconds.
///
/// # Errors
/// As of [`parse_duration`].
pub fn parse_duration_or_ms(text: &str) -> Result<Duration, DurationError> {
    if text.ends_with(|c: char| c.is_ascii_digit()) {
        return parse_duration(&format!("{text}ms"));
    }
    parse_duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_units() {
        let parsed = |text| parse_duration(text).ok();
        assert_eq!(parsed("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(parsed("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parsed("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parsed("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(parsed("250us"), Some(Duration::from_micros(250)));
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "0s",
            "1d",
            "1..2s",
            "1e400s",
            "99999999999999999999h",
            "1 s",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_number_alone_is_milliseconds_where_that_is_allowed() {
        let parsed = |text| parse_duration_or_ms(text).ok();
        assert_eq!(parsed("5"), Some(Duration::from_millis(5)));
        assert_eq!(parsed("0.5"), Some(Duration::from_micros(500)));
        assert_eq!(parsed("5s"), Some(Duration::from_secs(5)));
        for bad in ["", "0", "-1", "1e3", "5.", "x5"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn whole_milliseconds_are_exact(ms in 1u64..10_000_000) {
            prop_assert_eq!(parse_duration(&format!("{ms}ms")), Ok(Duration::from_millis(ms)));
        }
    }
}
