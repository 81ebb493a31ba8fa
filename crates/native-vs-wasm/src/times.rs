//! The lines that a program writes of its kernel's times.

/// What a program wrote instead of its kernel's times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// Something else than a number of nanoseconds, or more of them than there are: its beginning.
    #[error("it was to write the kernel's nanoseconds and wrote `{}`", .0.escape_debug())]
    Nonsense(String),
    /// Too few times or too many.
    #[error("it was to write {wanted} times and wrote {written}: an old build of the program?")]
    Count {
        /// How often the kernel was to run.
        wanted: u64,
        /// Lines that it wrote.
        written: u64,
    },
    /// All of them are 0.
    #[error("its kernel took no time at all: was it optimised away?")]
    NoTime,
}

/// The sum of the nanoseconds of `repeats` lines.
///
/// # Errors
/// It is something else that was written.
pub fn parse(output: &[u8], repeats: u64) -> Result<u64, TimesError> {
    let each = parse_each(output, repeats)?;
    let sum = each.iter().try_fold(0_u64, |sum, &ns| sum.checked_add(ns));
    match sum.ok_or_else(|| TimesError::Nonsense(format!("{} times", each.len())))? {
        0 => Err(TimesError::NoTime),
        sum => Ok(sum),
    }
}

/// The nanoseconds of `repeats` lines, each.
///
/// # Errors
/// It is something else that was written.
pub fn parse_each(output: &[u8], repeats: u64) -> Result<Vec<u64>, TimesError> {
    let nonsense = |line: &str| TimesError::Nonsense(line.chars().take(60).collect());
    let text = std::str::from_utf8(output).map_err(|_| nonsense("bytes that are no text"))?;
    let each = text
        .lines()
        .map(|line| line.parse().map_err(|_| nonsense(line)));
    let each: Vec<u64> = each.collect::<Result<_, _>>()?;
    let written = each.len() as u64;
    if written != repeats {
        return Err(TimesError::Count {
            wanted: repeats,
            written,
        });
    }
    Ok(each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nonsense_is_told() {
        for (output, repeats, says) in [
            (&b""[..], 1, "wrote 0"),
            (b"12\n", 2, "wrote 1"),
            (b"12\n13\n14\n", 2, "wrote 3"),
            (b"12.5\n", 1, "`12.5`"),
            (b"-1\n", 1, "`-1`"),
            (b"\xff\n", 1, "no text"),
            (b"0\n0\n", 2, "no time"),
            (b"18446744073709551615\n1\n", 2, "`2 times`"),
        ] {
            let error = parse(output, repeats).expect_err("nonsense").to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn times_are_summed(times in prop::collection::vec(1..1u64 << 50, 1..50)) {
            let text: String = times.iter().map(|t| format!("{t}\n")).collect();
            prop_assert_eq!(parse(text.as_bytes(), times.len() as u64), Ok(times.iter().sum()));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), repeats in 0..5u64) {
            let _ = parse(&bytes, repeats);
        }
    }
}
