//! What keeping workers for a while would save, and what it would hold in memory.

use table::{Align, Table};

use super::rungs::RungLoad;
use crate::format::{bytes, count, duration_ns, ratio};
use crate::memory::Quantity;
use crate::summary::RunSummary;

/// What the table means.
pub(crate) const LEGEND: &str = "Keeping workers: computed from when starts were due and how long they took, as if each worker stayed for a while after its end \
     and the next start of its function found it. No rung here does that by itself. memory: workers, on average, times what one more parked worker weighs by the \
     mem part of this run.";

/// A row for each rung, function, rate and time; empty without mixes and traces.
pub(crate) fn by_time(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("runtime", Align::Left),
        ("function", Align::Left),
        ("offered/s", Align::Right),
        ("kept for", Align::Right),
        ("cold", Align::Right),
        ("workers, mean", Align::Right),
        ("at most", Align::Right),
        ("memory", Align::Right),
    ]);
    for load in &summary.loads {
        for row in &load.rates {
            for kept in &row.kept {
                let share = kept.cold as f64 / kept.starts.max(1) as f64;
                table.row([
                    load.rung.clone(),
                    load.function.clone(),
                    count(row.offered_per_s),
                    duration_ns(kept.kept_ns as f64),
                    format!("{:.1} %", 100.0 * share),
                    ratio(kept.workers_mean),
                    kept.workers_max.to_string(),
                    memory(summary, load, kept.workers_mean),
                ]);
            }
        }
    }
    table
}

fn memory(summary: &RunSummary<'_>, load: &RungLoad, workers: f64) -> String {
    let rung = summary.rung(&load.rung);
    let fit = rung.and_then(|rung| rung.fit(&Quantity::PSS));
    fit.map_or_else(|| "-".to_owned(), |fit| bytes(fit.slope * workers))
}
