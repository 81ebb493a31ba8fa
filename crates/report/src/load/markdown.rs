//! The section of `report.md` on rungs under load.

use std::fmt::Write;

use super::rungs::RungLoad;
use super::tables::{LEGEND, by_rate, by_rung, generator, patterns, reasons};
use super::{kept, plot};
use crate::summary::RunSummary;

/// The section; empty without any point.
pub(crate) fn section(summary: &RunSummary<'_>) -> String {
    let loads = summary.loads.as_slice();
    if loads.is_empty() {
        return String::new();
    }
    let mut text = format!("## Under load\n\n{}\n\n", introduction(loads));
    for line in LEGEND {
        let _ = writeln!(text, "{line}");
    }
    if let Some(line) = generator(loads) {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(
        text,
        "\n{}\n![latency over the rate of arrivals]({})\n\n![share of starts below a latency, by rung and rate]({})\n\n{}\n",
        by_rung(loads).markdown(),
        plot::LATENCY_FILE,
        plot::SHARES_FILE,
        by_rate(loads).markdown()
    );
    let kept = kept::by_time(summary);
    if !kept.is_empty() {
        let _ = writeln!(text, "{}\n\n{}", kept::LEGEND, kept.markdown());
    }
    let reasons = reasons(loads);
    for line in &reasons {
        let _ = writeln!(text, "- {line}");
    }
    if !reasons.is_empty() {
        text.push('\n');
    }
    text
}

/// How starts were asked for.
pub(crate) fn introduction(loads: &[RungLoad]) -> String {
    format!(
        "Arrivals {}, {} starts under way at once at most.",
        patterns(loads),
        workers(loads)
    )
}

fn workers(loads: &[RungLoad]) -> String {
    let mut found: Vec<u32> = loads.iter().map(|load| load.workers).collect();
    found.sort_unstable();
    found.dedup();
    let words: Vec<String> = found.iter().map(u32::to_string).collect();
    words.join(", ")
}
