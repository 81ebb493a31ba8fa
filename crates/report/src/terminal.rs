//! The short table for a terminal.

use crate::format::{bytes, count, duration_ns, ratio, unavailable_because};
use crate::markdown::{KINDS, isolates};
use crate::memory::Quantity;
use crate::summary::RunSummary;
use crate::time::{REFERENCE, TimeRow};
use table::{Align, Table};

/// A row per rung: what one start takes, what one more worker weighs, and what that isolates; for a terminal of
/// `width` characters if there is one.
#[must_use]
pub fn terminal(summary: &RunSummary<'_>, width: Option<usize>) -> String {
    let with_reference = summary.times().any(|t| t.reference_over_this.is_some());
    let mut table = Table::new(&columns(summary, with_reference));
    let mut missing = String::new();
    for rung in &summary.rungs {
        let (time, pss) = (rung.time.as_ref(), rung.fit(&Quantity::PSS));
        if time.is_none_or(|t| t.wall.is_none()) && pss.is_none() {
            let why = rung
                .unavailable
                .or(time.and_then(|t| t.first_error.as_deref()))
                .unwrap_or("nothing was measured");
            missing += &format!("{}  {}\n", rung.rung, unavailable_because(why));
            continue;
        }
        let mut cells = vec![rung.rung.to_owned()];
        if summary.has_times() {
            cells.extend(time_cells(time, with_reference));
        }
        if summary.has_memories() {
            cells.push(pss.map(|f| bytes(f.slope)).unwrap_or_default());
            cells.push(pss.map(|f| bytes(f.intercept)).unwrap_or_default());
        }
        cells.push(isolates(rung));
        table.row(cells);
    }
    let mut text = String::new();
    if !table.is_empty() {
        text += &table.text(width);
        text += &format!("isolates: {KINDS}\n");
    }
    text + &missing
}

fn columns(summary: &RunSummary<'_>, with_reference: bool) -> Vec<(&'static str, Align)> {
    let mut columns = vec![("runtime", Align::Left)];
    if summary.has_times() {
        columns.extend([
            ("median start", Align::Right),
            ("95 % interval", Align::Left),
            ("n", Align::Right),
        ]);
        if with_reference {
            columns.push(("docker-none/this", Align::Right));
        }
        columns.extend([("starts/s (by)", Align::Right), ("CPU/start", Align::Right)]);
    }
    if summary.has_memories() {
        columns.extend([("PSS/worker", Align::Right), ("fixed PSS", Align::Right)]);
    }
    columns.push(("isolates", Align::Left));
    columns
}

fn time_cells(time: Option<&TimeRow>, with_reference: bool) -> Vec<String> {
    let Some((time, wall)) = time.and_then(|t| Some((t, t.wall?))) else {
        return vec![String::new(); if with_reference { 6 } else { 5 }];
    };
    let interval = wall.interval.map_or("too few".to_owned(), |i| {
        format!("{} .. {}", duration_ns(i.lo), duration_ns(i.hi))
    });
    let mut cells = vec![duration_ns(wall.median), interval, wall.n.to_string()];
    if with_reference {
        cells.push(match time.reference_over_this {
            _ if time.rung == REFERENCE => "1".into(),
            Some(found) => ratio(found.ratio),
            None => String::new(),
        });
    }
    let best = time
        .throughput
        .iter()
        .max_by(|a, b| a.median.total_cmp(&b.median));
    cells.push(best.map_or(String::new(), |t| {
        format!("{} ({})", count(t.median), t.workers)
    }));
    cells.push(
        time.cpu_ns
            .summary
            .map_or("unavailable".into(), |s| duration_ns(s.median)),
    );
    cells
}
