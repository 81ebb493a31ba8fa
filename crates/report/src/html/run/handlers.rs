//! What handlers take to their first byte, and for a request.

use maud::{Markup, html};
use stats::levels::Estimate;

use super::super::Section;
use super::super::axis::Counts;
use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::strips::{Mark, Strip};
use super::super::words::prose;
use super::ladder::figure;
use super::viewed::Viewed;
use crate::format::{duration_ns, value_off_by};
use crate::markdown::handlers::{ABOUT, handlers as handlers_table};
use crate::time::TimeRow;

const COLUMNS: Legend = &[
    (
        "Runtime",
        "the rung; leads to the distribution of its whole starts",
    ),
    (
        "First byte, isolated",
        "from asked for to the first byte of the answer, of starts that found their rung idle: median of the processes' medians, 95 % interval by process",
    ),
    ("First byte, back to back", "the same of a closed loop"),
    (
        "Request",
        "one request, to its last byte, to an instance that has answered before: median",
    ),
    ("p90", "nine of ten requests took no longer"),
    (
        "p99",
        "99 of 100 requests took no longer; unchecked if there are too few for it",
    ),
    ("Requests", "how many were counted"),
    (
        "Polling",
        "what of the time to the first byte may be due to how often it is tried whether somebody listens",
    ),
];

/// The section.
pub(super) fn handlers(viewed: &Viewed<'_>) -> Option<Section> {
    let table = handlers_table(viewed.summary);
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (prose(ABOUT)) }
        (medians(viewed))
        (data_table("A handler: its first byte, and a request", &table, COLUMNS, &links))
    };
    Section::unless_empty("A handler: its first byte, and a request", body)
}

fn medians(viewed: &Viewed<'_>) -> Markup {
    let strip = |time: &TimeRow| {
        let row = time.handler.as_ref()?;
        let found: [Option<&Estimate>; 3] = [
            row.first_byte_isolated.as_ref(),
            row.first_byte_back_to_back.as_ref(),
            row.request.as_ref().map(|request| &request.median),
        ];
        let known = || found.iter().enumerate();
        let marks = known().filter_map(|(series, estimate)| Some(Mark::new(series, (*estimate)?)));
        let words = found.iter().flatten().map(|e| value_off_by(e, duration_ns));
        Some(Strip {
            name: time.rung.clone(),
            link: viewed.link(&time.rung),
            marks: marks.collect(),
            words: words.collect::<Vec<_>>().join(" | "),
        })
    };
    let series = [
        "first byte, isolated",
        "first byte, back to back",
        "request",
    ];
    figure(
        "First byte of a cold start, and a request, median and 95 % interval by process",
        &series.map(str::to_owned),
        viewed.summary.times().filter_map(strip).collect(),
        Counts::Tens,
        duration_ns,
    )
}
