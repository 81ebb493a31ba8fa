//! What one start takes, by design, and its phases.

use maud::{Markup, html};

use super::super::Section;
use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::words::bullets;
use super::viewed::Viewed;
use crate::markdown::time::{
    INTERVALS, PHASES, phases_table, reasons, rows_of, table_of_starts, without_reference,
};
use crate::terminal::{POOLED, pooled};
use crate::time::{Design, TimeRow};

const STARTS: Legend = &[
    ("Runtime", "the rung; leads to its distribution"),
    (
        "Median",
        "median of the processes' medians, wall time from asked for to torn down; 95 % interval by process",
    ),
    ("p90", "nine of ten starts of all processes took no longer"),
    (
        "p99",
        "99 of 100 starts took no longer; unchecked if there are too few for it",
    ),
    (
        "docker-none / this",
        "how many of these fit into one of docker-none, both of this design",
    ),
    (
        "Between processes",
        "relative standard deviation that arises from one process to another",
    ),
    (
        "batches",
        "the same from one batch to another within a process",
    ),
    (
        "starts",
        "the same from one start to another within a batch",
    ),
    ("Processes", "driver processes, each a replicate"),
    (
        "Batches",
        "batches of all processes; isolated, each start is one of its own",
    ),
    ("Starts", "starts in all"),
];

const PHASE_COLUMNS: Legend = &[
    ("Runtime", "the rung; leads to its distribution"),
    ("Design", "isolated or back to back"),
    (
        "Phase",
        "a part of a start, in order; one reading of the clock ends one and begins the next",
    ),
    (
        "Median",
        "median of the processes' medians of this phase alone",
    ),
    (
        "Share of the mean",
        "its part of the mean start; the shares of a start sum to 100 %",
    ),
];

const OLD: Legend = &[
    ("runtime", "the rung"),
    ("median", "of all starts, isolated or not"),
    ("MAD", "median absolute deviation from the median"),
    ("min", "the shortest"),
    ("starts", "how many there are"),
];

/// A table for each design.
pub(super) fn starts(viewed: &Viewed<'_>) -> Option<Section> {
    let rows: Vec<&TimeRow> = viewed.summary.times().collect();
    let links = |cell: &str| viewed.link(cell);
    let old = pooled(viewed.summary);
    let body = html! {
        @for design in Design::ALL { (one_design(viewed, &rows, design)) }
        @if !old.is_empty() {
            p { (POOLED) ". One, ten and a hundred starts in a row are not told apart, and one driver process made them all: no interval and no ratio is given." }
            (data_table("Starts of an old run", &old, OLD, &links))
        }
    };
    Section::unless_empty("One cold start", body)
}

fn one_design(viewed: &Viewed<'_>, rows: &[&TimeRow], design: Design) -> Markup {
    let found = rows_of(rows, design);
    if found.is_empty() {
        return html! {};
    }
    let links = |cell: &str| viewed.link(cell);
    let caption = format!("One cold start, {design}");
    html! {
        (data_table(&caption, &table_of_starts(&found), STARTS, &links))
        p { (INTERVALS) " " (without_reference(viewed.summary, &found).unwrap_or_default()) }
        (bullets(&reasons(&found)))
    }
}

/// Every phase of every rung.
pub(super) fn phases(viewed: &Viewed<'_>) -> Option<Section> {
    let rows: Vec<&TimeRow> = viewed.summary.times().collect();
    let table = phases_table(&rows);
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (PHASES) }
        (data_table("Phases of a start", &table, PHASE_COLUMNS, &links))
    };
    Section::unless_empty("Phases of a start", body)
}
