//! Numbers from one to another, as `-P NAME MIN MAX` has them: exact decimals, in the form in which they are given.

use super::error::UsageError;

/// Digits behind the point, at most; a number has twice as many in all.
const MAX_SCALE: usize = 18;

/// An exact decimal: `units` of ten to the minus `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decimal {
    units: i128,
    scale: usize,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        let fits = (1..=2 * MAX_SCALE).contains(&all.len()) && fraction.len() <= MAX_SCALE;
        if !fits || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let units: i128 = all.parse().ok()?;
        Some(Self {
            units: sign * units,
            scale: fraction.len(),
        })
    }

    /// The same number with `scale` digits behind the point, no fewer than it has.
    fn at_scale(self, scale: usize) -> i128 {
        let more = u32::try_from(scale.saturating_sub(self.scale)).unwrap_or(0);
        self.units.saturating_mul(10_i128.saturating_pow(more))
    }

    fn text(self) -> String {
        let sign = if self.units < 0 { "-" } else { "" };
        let digits = format!("{:0>1$}", self.units.unsigned_abs(), self.scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        match fraction.is_empty() {
            true => format!("{sign}{whole}"),
            false => format!("{sign}{whole}.{fraction}"),
        }
    }
}

/// All numbers from `min` to `max` by `step`, at most `most` and one. The first is as it was given, the others have as many
/// digits behind the point as the longer of `min` and `step`, as in hyperfine.
///
/// # Errors
/// One that is no number, or none between the two.
pub(super) fn values(
    name: &str,
    [min, max, step]: [&str; 3],
    most: usize,
) -> Result<Vec<String>, UsageError> {
    let number = |text: &str| {
        Decimal::parse(text).ok_or_else(|| UsageError::NoDecimal {
            name: name.to_owned(),
            text: text.to_owned(),
        })
    };
    let (first, last, by) = (number(min)?, number(max)?, number(step)?);
    let scale = first.scale.max(by.scale);
    let compared = scale.max(last.scale);
    if by.units <= 0 || first.at_scale(compared) > last.at_scale(compared) {
        return Err(UsageError::EmptyScan {
            name: name.to_owned(),
            min: min.to_owned(),
            max: max.to_owned(),
            step: step.to_owned(),
        });
    }
    let next = |at: &Decimal| {
        Some(Decimal {
            units: at.at_scale(scale).saturating_add(by.at_scale(scale)),
            scale,
        })
    };
    let is_within = |at: &Decimal| at.at_scale(compared) <= last.at_scale(compared);
    let all = std::iter::successors(Some(first), next).take_while(is_within);
    Ok(all.take(most + 1).map(Decimal::text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(given: [&str; 3]) -> String {
        values("d", given, 10).expect("numbers").join(" ")
    }

    #[test]
    fn numbers_are_those_of_hyperfine() {
        // As `hyperfine -P d MIN MAX -D STEP` 1.15 fills them in.
        assert_eq!(scanned(["1", "3", "0.5"]), "1 1.5 2.0 2.5 3.0");
        assert_eq!(scanned(["0.30", "0.75", "0.2"]), "0.30 0.50 0.70");
        assert_eq!(scanned(["-1", "1", "1"]), "-1 0 1");
        assert_eq!(scanned(["0.3", "0.30", "1"]), "0.3");
        assert_eq!(scanned(["-0.5", "0.5", "0.5"]), "-0.5 0.0 0.5");
    }

    #[test]
    fn a_step_is_exact_and_a_long_scan_is_cut() {
        let tenths = values("d", ["0", "1", "0.1"], 20).expect("numbers");
        assert_eq!(tenths.len(), 11);
        assert_eq!(tenths.last().map(String::as_str), Some("1.0"));
        let many = values("d", ["0", "1000000000000", "1"], 20).expect("numbers");
        assert_eq!(many.len(), 21);
    }

    #[test]
    fn what_is_no_scan_is_told() {
        for (given, says) in [
            (["3", "1", "1"], "no values"),
            (["1", "3", "0"], "no values"),
            (["1", "3", "-1"], "no values"),
            (["1", "x", "1"], "`x` is not a number"),
            (["", "3", "1"], "`` is not a number"),
            (["1e3", "3", "1"], "`1e3` is not a number"),
            (["1", "-", "1"], "`-` is not a number"),
            (["1", ".", "1"], "`.` is not a number"),
            (
                ["1", "9999999999999999999999999999999999999", "1"],
                "is not a number",
            ),
        ] {
            let error = values("d", given, 10).expect_err(says).to_string();
            assert!(error.contains(says), "{given:?}: {error}");
        }
    }
}
