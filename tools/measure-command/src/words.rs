//! Metrics and values as people read them.

use measure_core::contract::vocabulary::{Metric, Unit};

/// A unit's multiples, each with the size from which it is used.
type Steps = [(f64, &'static str)];

const TIME: &Steps = &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];

const BYTES: &Steps = &[
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
    (1.0, "B"),
];

const COUNT: &Steps = &[(1e9, "G"), (1e6, "M"), (1.0, "")];

pub(super) fn label(metric: &Metric) -> &str {
    match metric {
        Metric::WallNs => "wall time",
        Metric::CpuNs => "CPU time",
        Metric::UserNs => "  of it user",
        Metric::SystemNs => "  of it system",
        Metric::ReadBytes => "read from storage",
        Metric::WriteBytes => "written to storage",
        Metric::MinorFaults => "minor page faults",
        Metric::MajorFaults => "major page faults",
        Metric::VoluntarySwitches => "voluntary switches",
        Metric::InvoluntarySwitches => "involuntary switches",
        Metric::CpuCycles => "CPU cycles",
        Metric::PeakPssBytes => "peak PSS, tree",
        Metric::PeakRssBytes => "peak RSS, tree",
        Metric::LargestProcessRssBytes => "peak RSS, 1 process",
        other => other.as_str(),
    }
}

/// Divisor and name of the unit in which a `median` of `metric` reads best.
pub(super) fn step(metric: &Metric, median: f64) -> (f64, &'static str) {
    let steps = match metric.unit() {
        Unit::Nanoseconds => TIME,
        Unit::Bytes => BYTES,
        Unit::Count => COUNT,
    };
    let fitting = steps.iter().find(|(size, _)| median >= *size);
    *fitting.or(steps.last()).unwrap_or(&(1.0, ""))
}

pub(super) fn number(value: f64, divisor: f64) -> String {
    let scaled = value / divisor;
    if divisor <= 1.0 && scaled.fract() == 0.0 {
        format!("{scaled:.0}")
    } else {
        format!("{scaled:.3}")
    }
}

/// A `value` of `metric` in the unit in which it reads best.
pub(super) fn with_unit(metric: &Metric, value: f64) -> String {
    let (divisor, unit) = step(metric, value);
    in_unit(number(value, divisor), unit)
}

pub(super) fn in_unit(number: String, unit: &str) -> String {
    match unit {
        "" => number,
        unit => format!("{number} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_median() {
        for (name, median, unit) in [
            (Metric::WallNs, 12.0, "ns"),
            (Metric::WallNs, 1500.0, "us"),
            (Metric::WallNs, 2.5e9, "s"),
            (Metric::PeakPssBytes, 4096.0, "KiB"),
            (Metric::ReadBytes, 0.0, "B"),
            (Metric::MinorFaults, 900.0, ""),
        ] {
            assert_eq!(step(&name, median).1, unit, "{name} {median}");
        }
        assert_eq!(number(1536.0, 1024.0), "1.500");
        assert_eq!(number(7.0, 1.0), "7");
        assert_eq!(number(7.5, 1.0), "7.500");
    }
}
