//! What handlers take to their first byte, and for a request.

use stats::levels::{Estimate, Unchecked};
use table::{Align, Table};

use crate::format::{UNCHECKED, duration_ns, with_interval};
use crate::summary::RunSummary;

/// What the table says, before it.
pub(crate) const ABOUT: &str = "From asked for until the first byte of the answer, of cold starts; and of one request, to its last byte, to an instance that has answered at least ten before. \
     In processes and containers a request goes over TCP, in Faaslets and `wasm` it is handed over as what a server would have made of it. \
     Where it has to be tried whether a handler listens, \"polling\" is what of the time to the first byte may be due to how often that is done.";

pub(super) fn section(summary: &RunSummary<'_>) -> String {
    let table = handlers(summary);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### A handler: its first byte, and a request\n\n{ABOUT}\n\n{}\n",
        table.markdown()
    )
}

/// A row for each rung that ran a handler.
pub(crate) fn handlers(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("First byte, isolated", Align::Left),
        ("First byte, back to back", Align::Left),
        ("Request", Align::Left),
        ("p90", Align::Left),
        ("p99", Align::Left),
        ("Requests", Align::Right),
        ("Polling", Align::Right),
    ]);
    for time in summary.times() {
        let Some(row) = &time.handler else { continue };
        let median = |estimate: Option<&Estimate>| {
            estimate.map_or("-".to_owned(), |e| with_interval(e, duration_ns))
        };
        let request = row.request.as_ref();
        table.row([
            time.rung.clone(),
            median(row.first_byte_isolated.as_ref()),
            median(row.first_byte_back_to_back.as_ref()),
            median(request.map(|r| &r.median)),
            request.map_or("-".to_owned(), |r| percentile(&r.p90)),
            request.map_or("-".to_owned(), |r| percentile(&r.p99)),
            request.map_or("-".to_owned(), |r| r.median.starts.to_string()),
            row.poll_share
                .map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share)),
        ]);
    }
    table
}

/// A percentile of too few requests is another quantity.
fn percentile(estimate: &Estimate) -> String {
    match estimate.interval {
        Err(Unchecked::TooFewStarts { .. }) => UNCHECKED.to_owned(),
        _ => with_interval(estimate, duration_ns),
    }
}
