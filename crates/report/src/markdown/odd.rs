//! What is odd about the starts, and what could not be looked for.

use std::fmt::Write;

use super::reasons::Reasons;
use crate::format::{duration_ns, ratio};
use crate::summary::RunSummary;
use crate::time::{Design, TimeRow};

pub(super) fn section(summary: &RunSummary<'_>) -> String {
    let text = lines(summary);
    if text.is_empty() {
        return text;
    }
    format!("### What is odd about them\n\nNothing was dropped.\n\n{text}\n")
}

/// A line each.
pub(crate) fn lines(summary: &RunSummary<'_>) -> String {
    let mut text = String::new();
    for row in summary.times() {
        text += &failures_and_firsts(row);
        for design in Design::ALL {
            let findings = row.design(design).map(|found| &found.findings);
            for flag in findings.map_or(&[][..], |found| &found.flags) {
                let _ = writeln!(
                    text,
                    "- {}, {design}: {}",
                    row.rung,
                    flag.describe(duration_ns)
                );
            }
        }
    }
    text + &unchecked(summary)
}

fn failures_and_firsts(row: &TimeRow) -> String {
    let mut text = String::new();
    if let Some(error) = &row.first_error {
        let _ = writeln!(
            text,
            "- {}: {} starts failed, the first with: {error}",
            row.rung, row.failed
        );
    }
    if let Some(first) = row.first_ns {
        let times = row.isolated.as_ref().map_or(String::new(), |isolated| {
            let times = ratio(first / isolated.median.value.max(1.0));
            format!(", {times} times the isolated median")
        });
        let _ = writeln!(
            text,
            "- {}: the first start in a fresh driver process took {}{times}; it is not in the tables",
            row.rung,
            duration_ns(first),
        );
    }
    if let Some(gap) = row.gap_ns {
        let _ = writeln!(
            text,
            "- {}: between two starts the driver's loop adds {}, which counts in starts per second and not in a start",
            row.rung,
            duration_ns(gap.max(0.0))
        );
    }
    text
}

/// What was not looked for, each reason once.
fn unchecked(summary: &RunSummary<'_>) -> String {
    let mut reasons = Reasons::default();
    for row in summary.times() {
        for design in Design::ALL {
            let findings = row.design(design).map(|found| &found.findings);
            for (what, why) in findings.map_or(&[][..], |found| &found.unchecked) {
                let reason = format!("{what}, for which {}", why.needs());
                reasons.add(&reason, &format!("{} {design}", row.rung), why);
            }
        }
    }
    reasons.lines()
}
