//! The ladder: a start and a parked worker of each rung, on logarithmic axes and as a table.

use maud::{Markup, html};

use super::super::Section;
use super::super::axis::Counts;
use super::super::data_table::{NO_LINKS, data_table};
use super::super::legend::Legend;
use super::super::strips::{Look, Mark, Strip, on_log_axis};
use super::super::words::prose;
use super::viewed::Viewed;
use crate::format::{bytes, duration_ns, value_off_by};
use crate::letters::KINDS;
use crate::markdown::unavailable_table;
use crate::memory::{Quantity, fit_off_by, slope_interval};
use crate::summary::RungSummary;
use crate::terminal::{designs_in_words, ladder as ladder_table, warm};
use crate::time::Design;

const LEGEND: Legend = &[
    (
        "runtime",
        "the rung: what starts the function; leads to its distribution",
    ),
    (
        "isolated",
        "median of starts that were asked for after the rung had been idle; -a+b%: how far the ends of its 95 % interval by process lie off",
    ),
    (
        "back to back",
        "median of starts of a closed loop, after a warm-up, likewise",
    ),
    ("n", "processes : isolated starts + starts back to back"),
    (
        "docker/this",
        "how many isolated starts of this rung fit into one of docker-none",
    ),
    (
        "starts/s",
        "most starts per second, and by how many workers at once",
    ),
    ("CPU", "CPU time of the whole scope per start, back to back"),
    (
        "PSS/worker",
        "proportional set size of one more parked worker: the slope of a line over their number",
    ),
    (
        "isolates",
        "Memory, CPU, Network, Files, System calls, Privileges, Hardware, as the rung states of itself",
    ),
];

const UNAVAILABLE: Legend = &[
    ("Runtime", "the rung"),
    ("Why", "why it has no figures, and what to do"),
];

/// What could not run, before any figure.
pub(super) fn not_measured(viewed: &Viewed<'_>) -> Option<Section> {
    let table = unavailable_table(viewed.summary);
    let body = data_table("Rungs without figures", &table, UNAVAILABLE, NO_LINKS);
    Section::unless_empty("Not measured, or not to the end", body)
}

/// The ladder.
pub(super) fn ladder(viewed: &Viewed<'_>) -> Option<Section> {
    let summary = viewed.summary;
    let table = ladder_table(summary);
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        @if summary.has_times() {
            p { (prose(&designs_in_words(summary))) ". Never pooled, and never divided by one another." }
            (starts_figure(viewed))
        }
        @if summary.has_memories() { (memory_figure(viewed)) }
        (data_table("The ladder", &table, LEGEND, &links))
        p { "Letters: " (KINDS) ". Rungs that isolate different things lie on one axis: look at the letters before comparing two." }
        @if summary.has_times() {
            details { summary { "What a start finds ready" } ul { @for line in warm(summary) { li { (line) } } } }
        }
    };
    Section::unless_empty("The ladder", body)
}

/// Of both designs; the ones of an old run, that were not told apart, are in its own table.
fn starts_figure(viewed: &Viewed<'_>) -> Markup {
    let strip = |rung: &RungSummary<'_>| {
        let time = rung.time.as_ref()?;
        let found = Design::ALL.map(|design| time.design(design).map(|row| row.median));
        let marks = found.iter().enumerate();
        let marks: Vec<Mark> = marks
            .filter_map(|(series, estimate)| Some(Mark::new(series, estimate.as_ref()?)))
            .collect();
        let words = found.iter().flatten();
        let words: Vec<String> = words.map(|e| value_off_by(e, duration_ns)).collect();
        (!marks.is_empty()).then(|| Strip {
            name: rung.rung.to_owned(),
            link: viewed.link(rung.rung),
            marks,
            words: words.join(" | "),
        })
    };
    let strips: Vec<Strip> = viewed.summary.rungs.iter().filter_map(strip).collect();
    figure(
        "One cold start, median and 95 % interval by process",
        &Design::ALL.map(|design| design.to_string()),
        strips,
        Counts::Tens,
        duration_ns,
    )
}

fn memory_figure(viewed: &Viewed<'_>) -> Markup {
    let strip = |rung: &RungSummary<'_>| {
        let fit = rung.fit(&Quantity::PSS).filter(|fit| fit.slope > 0.0)?;
        Some(Strip {
            name: rung.rung.to_owned(),
            link: viewed.link(rung.rung),
            marks: vec![Mark {
                series: 0,
                value: fit.slope,
                interval: slope_interval(&fit),
            }],
            words: fit_off_by(&fit),
        })
    };
    let strips: Vec<Strip> = viewed.summary.rungs.iter().filter_map(strip).collect();
    figure(
        "PSS of one more parked worker, slope and 95 % interval",
        &["PSS of one more".to_owned()],
        strips,
        Counts::Bytes,
        bytes,
    )
}

/// Points with intervals on a logarithmic axis.
pub(super) fn figure(
    caption: &str,
    series: &[String],
    strips: Vec<Strip>,
    counts: Counts,
    format: fn(f64) -> String,
) -> Markup {
    on_log_axis(caption, series, strips, (counts, []), format, Look::Points)
}
