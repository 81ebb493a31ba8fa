//! The short table for a terminal.

use crate::format::{bytes, count, duration_ns, ratio, unavailable_because};
use crate::markdown::{KINDS, isolates};
use crate::memory::{MemoryRow, memory_rows};
use crate::records::Records;
use crate::table::{Align, Table};
use crate::time::{REFERENCE, TimeRow, time_rows};
use measure_core::contract::vocabulary::PSS_BYTES;

/// A row per rung: what one start takes, what one more worker weighs, and what that isolates.
#[must_use]
pub fn terminal(records: &Records) -> String {
    let (times, memories) = (time_rows(records), memory_rows(records));
    let with_reference = times.iter().any(|t| t.reference_over_this.is_some());
    let mut table = Table::new(&columns(&times, &memories, with_reference));
    let mut missing = String::new();
    for rung in records.rungs() {
        let time = times.iter().find(|t| t.rung == rung);
        let pss = memories
            .iter()
            .find(|m| m.rung == rung && m.measure == PSS_BYTES);
        if time.is_none_or(|t| t.wall.is_none()) && pss.is_none_or(|m| m.fit.is_none()) {
            let why = records
                .unavailable(&rung)
                .or(time.and_then(|t| t.first_error.as_deref()))
                .unwrap_or("nothing was measured");
            missing += &format!("{rung}  {}\n", unavailable_because(why));
            continue;
        }
        let mut cells = vec![rung.clone()];
        if !times.is_empty() {
            cells.extend(time_cells(time, with_reference));
        }
        if !memories.is_empty() {
            let fit = pss.and_then(|m| m.fit);
            cells.push(fit.map(|f| bytes(f.slope)).unwrap_or_default());
            cells.push(fit.map(|f| bytes(f.intercept)).unwrap_or_default());
        }
        cells.push(isolates(records, &rung));
        table.row(cells);
    }
    let mut text = String::new();
    if !table.is_empty() {
        text += &table.text();
        text += &format!("isolates: {KINDS}\n");
    }
    text + &missing
}

fn columns(
    times: &[TimeRow],
    memories: &[MemoryRow],
    with_reference: bool,
) -> Vec<(&'static str, Align)> {
    let mut columns = vec![("runtime", Align::Left)];
    if !times.is_empty() {
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
    if !memories.is_empty() {
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
