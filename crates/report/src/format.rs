//! Numbers with units, three significant digits, and with their intervals.

use stats::Interval;
use stats::levels::Estimate;

/// `value` with three significant digits, never in scientific notation.
fn significant(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = if magnitude == 0.0 || magnitude >= 99.95 {
        0
    } else if magnitude >= 9.995 {
        1
    } else if magnitude >= 0.9995 {
        2
    } else {
        3
    };
    format!("{value:.decimals$}")
}

/// Picks the largest unit in which `value` is at least 1 after rounding.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = |&&(size, _): &&(f64, &str)| value.abs() >= size * 0.9995;
    let (size, unit) = units
        .iter()
        .rev()
        .find(fits)
        .or(units.first())
        .copied()
        .unwrap_or((1.0, ""));
    format!("{} {unit}", significant(value / size))
        .trim_end()
        .to_owned()
}

/// A duration in nanoseconds as `12.6 us`.
#[must_use]
pub fn duration_ns(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")])
}

/// A size in bytes as `33.6 KiB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    const K: f64 = 1024.0;
    scaled(
        bytes,
        &[(1.0, "B"), (K, "KiB"), (K * K, "MiB"), (K * K * K, "GiB")],
    )
}

/// A plain number as `4.1 k`.
#[must_use]
pub fn count(value: f64) -> String {
    scaled(value, &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")])
}

/// A ratio as `6100` or `1.07`.
#[must_use]
pub fn ratio(value: f64) -> String {
    significant(value)
}

/// A reason as a row shows it; an error of a driver says the word itself.
pub(crate) fn unavailable_because(why: &str) -> String {
    if why.starts_with("unavailable") {
        return why.to_owned();
    }
    format!("unavailable: {why}")
}

/// What stands in place of an interval that there are too few processes, starts or points for.
pub(crate) const UNCHECKED: &str = "unchecked";

/// `82.1 us [80.3 us, 84.0 us]`, or `82.1 us unchecked`.
pub(crate) fn with_interval(estimate: &Estimate, format: fn(f64) -> String) -> String {
    let value = format(estimate.value);
    match estimate.interval {
        Ok(i) => format!("{value} [{}, {}]", format(i.lo), format(i.hi)),
        Err(_) => format!("{value} {UNCHECKED}"),
    }
}

/// `82.1 us -2+3%`, or `82.1 us unchecked`.
pub(crate) fn value_off_by(estimate: &Estimate, format: fn(f64) -> String) -> String {
    let off = match estimate.interval {
        Ok(interval) => percent_off(estimate.value, interval),
        Err(_) => UNCHECKED.to_owned(),
    };
    format!("{} {off}", format(estimate.value))
}

/// How far the ends of the interval lie off the value: `-2+3%`, or `+-2%` where both are as far.
pub(crate) fn percent_off(value: f64, interval: Interval) -> String {
    let percent = |end: f64| {
        let off = 100.0 * (end / value - 1.0).abs();
        if off < 0.95 {
            format!("{off:.1}")
        } else {
            format!("{off:.0}")
        }
    };
    let (below, above) = (percent(interval.lo), percent(interval.hi));
    if below == above {
        return format!("+-{below}%");
    }
    format!("-{below}+{above}%")
}

/// Lines of words are as long as this where the terminal is wider, or is none.
const LEGEND_CHARS: usize = 120;

/// `line` [`wrapped`] for a terminal of `width` characters, if there is one.
pub(crate) fn legend_line(line: &str, width: Option<usize>) -> String {
    wrapped(line, width.unwrap_or(LEGEND_CHARS).min(LEGEND_CHARS))
}

/// `line` in lines of at most `chars` where words allow, the second and following ones indented.
fn wrapped(line: &str, chars: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    for word in line.split(' ') {
        let wide = word.chars().count();
        if used > 0 && used + 1 + wide > chars {
            text += "\n  ";
            used = 2;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text += word;
        used += wide;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_digits_and_the_right_unit() {
        assert_eq!(duration_ns(12_600.0), "12.6 us");
        assert_eq!(duration_ns(999.6), "1.00 us");
        assert_eq!(duration_ns(2.8e9), "2.80 s");
        assert_eq!(duration_ns(0.0), "0 ns");
        assert_eq!(bytes(34_406.0), "33.6 KiB");
        assert_eq!(bytes(-2048.0), "-2.00 KiB");
        assert_eq!(count(600.0), "600");
        assert_eq!(count(4100.0), "4.10 k");
        assert_eq!(ratio(1.0666), "1.07");
    }

    #[test]
    fn intervals_are_told_by_how_far_their_ends_lie_off() {
        let off = |lo, hi| percent_off(100.0, Interval { lo, hi });
        assert_eq!(off(52.0, 103.4), "-48+3%");
        assert_eq!(off(98.0, 102.1), "+-2%");
        assert_eq!(off(99.7, 130.0), "-0.3+30%");
    }

    #[test]
    fn long_lines_are_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 8), "one two\n  three\n");
        assert_eq!(wrapped("endless-word", 4), "endless-word\n");
    }

    proptest! {
        #[test]
        fn a_printed_duration_is_within_half_a_percent(ns in 1.0..1e12_f64) {
            let text = duration_ns(ns);
            let (number, unit) = text.split_once(' ').expect("a unit");
            let size = match unit { "ns" => 1.0, "us" => 1e3, "ms" => 1e6, _ => 1e9 };
            let back = number.parse::<f64>().expect("a number") * size;
            prop_assert!((back - ns).abs() <= 0.0051 * ns, "{} from {}", text, ns);
        }
    }
}
