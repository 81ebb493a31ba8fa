//! Starts per second, CPU and disk I/O.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::scaling;
use crate::format::{bytes, count, duration_ns, with_interval};
use crate::summary::RunSummary;
use crate::time::{PerStart, Throughput, TimeRow};
use table::{Align, Table};

pub(super) fn section(summary: &RunSummary<'_>, has_plot: bool) -> String {
    let rows: &[&TimeRow] = &summary.times().collect::<Vec<_>>();
    throughput(rows) + &scaling::section(summary, has_plot) + &cpu(rows) + &disk(rows)
}

/// How starts per second were counted.
pub(crate) const THROUGHPUT: &str = "Closed loop: each worker begins its next start when its last one is torn down. Mean over the driver processes, in brackets the t interval over these.";

/// Starts per second, a column for each number of workers.
pub(crate) fn throughput_table(rows: &[&TimeRow]) -> Table {
    let workers: BTreeSet<u32> = rows
        .iter()
        .flat_map(|r| r.throughput.iter().map(|t| t.workers))
        .collect();
    let mut table = Table::new(&[("Runtime", Align::Left)]);
    for w in &workers {
        let plural = if *w == 1 { "" } else { "s" };
        table.column(&format!("{w} worker{plural}"), Align::Left);
    }
    table.column("Starts per batch", Align::Right);
    table.column("Batches", Align::Right);
    table.column("Processes", Align::Right);
    for row in rows.iter().filter(|r| !r.throughput.is_empty()) {
        let mut cells = vec![row.rung.clone()];
        for w in &workers {
            let found = row.throughput.iter().find(|t| t.workers == *w);
            cells.push(found.map_or("-".into(), |t| with_interval(&t.rate, count)));
        }
        let list = |words: &dyn Fn(&Throughput) -> String| {
            let mut each: Vec<String> = row.throughput.iter().map(words).collect();
            each.dedup();
            each.join(", ")
        };
        cells.push(list(&|t| t.n.to_string()));
        cells.push(list(&|t| t.batches.to_string()));
        cells.push(list(&|t| t.rate.processes.to_string()));
        table.row(cells);
    }
    table
}

fn throughput(rows: &[&TimeRow]) -> String {
    let table = throughput_table(rows);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### Starts per second\n\n{THROUGHPUT}\n\n{}\n",
        table.markdown()
    )
}

fn per_start(quantity: &PerStart, format: fn(f64) -> String) -> String {
    let scaled = if quantity.is_scaled { "~" } else { "" };
    match (&quantity.mean, &quantity.unavailable) {
        (Some(mean), _) => format!("{scaled}{}", with_interval(mean, format)),
        (None, Some(_)) => "unavailable".into(),
        (None, None) => "-".into(),
    }
}

/// A quantity's name and where it is in a row.
type Quantity<'a> = (&'a str, fn(&TimeRow) -> &PerStart);

fn reasons(rows: &[&TimeRow], quantities: &[Quantity<'_>]) -> String {
    let mut text = String::new();
    for (name, quantity) in quantities {
        let mut said: Vec<(String, Vec<&str>)> = Vec::new();
        for row in rows {
            let Some(why) = &quantity(row).unavailable else {
                continue;
            };
            match said.iter_mut().find(|(w, _)| w == why) {
                Some((_, rungs)) => rungs.push(&row.rung),
                None => said.push((why.clone(), vec![&row.rung])),
            }
        }
        for (why, rungs) in said {
            let _ = writeln!(text, "- {name} of {}: unavailable: {why}", rungs.join(", "));
        }
    }
    if text.is_empty() { text } else { text + "\n" }
}

fn has_any(quantity: &PerStart) -> bool {
    quantity.mean.is_some() || quantity.unavailable.is_some()
}

fn processes(quantity: &PerStart) -> String {
    quantity.mean.map_or(0, |mean| mean.processes).to_string()
}

/// CPU per start.
pub(crate) fn cpu_table(rows: &[&TimeRow]) -> Table {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("CPU time", Align::Left),
        ("CPU cycles", Align::Left),
        ("Client's CPU time", Align::Left),
        ("Processes", Align::Right),
        ("Batches", Align::Right),
        ("Starts", Align::Right),
    ]);
    for row in rows.iter().filter(|row| has_any(&row.cpu_ns)) {
        table.row([
            row.rung.clone(),
            per_start(&row.cpu_ns, duration_ns),
            per_start(&row.cpu_cycles, count),
            per_start(&row.client_cpu_ns, duration_ns),
            processes(&row.cpu_ns),
            row.cpu_ns.batches.to_string(),
            row.cpu_ns.starts.to_string(),
        ]);
    }
    table
}

/// Whose CPU time it is.
pub(crate) fn about_cpu(rows: &[&TimeRow]) -> String {
    let scaled = if rows.iter().any(|row| row.cpu_cycles.is_scaled) {
        " Marked ~: counters took turns, and what they missed is made up for by scaling."
    } else {
        ""
    };
    format!(
        "Back to back, over the whole scope of the rung, the engine's daemon included; the client of an engine is apart. \
         Mean over the driver processes, in brackets the t interval over these.{scaled}"
    )
}

/// Why there is none of some of them.
pub(crate) fn cpu_reasons(rows: &[&TimeRow]) -> String {
    reasons(
        rows,
        &[
            ("CPU time", |r| &r.cpu_ns),
            ("CPU cycles", |r| &r.cpu_cycles),
            ("Client's CPU time", |r| &r.client_cpu_ns),
        ],
    )
}

fn cpu(rows: &[&TimeRow]) -> String {
    let table = cpu_table(rows);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### CPU per start\n\n{}\n\n{}\n{}",
        about_cpu(rows),
        table.markdown(),
        cpu_reasons(rows)
    )
}

/// Between whom the bytes are counted.
pub(crate) const DISK: &str = "Bytes between the scope and the storage. Mean over the driver processes, in brackets the t interval over these, from 6 processes on.";

/// Disk I/O per start.
pub(crate) fn disk_table(rows: &[&TimeRow]) -> Table {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Read", Align::Left),
        ("Written", Align::Left),
        ("Processes", Align::Right),
        ("Starts", Align::Right),
        ("Read, caches dropped", Align::Left),
        ("Written, caches dropped", Align::Left),
        ("Wall time, caches dropped", Align::Left),
        ("Starts", Align::Right),
    ]);
    for row in rows.iter().filter(|row| has_any(&row.read_bytes)) {
        table.row([
            row.rung.clone(),
            per_start(&row.read_bytes, bytes),
            per_start(&row.write_bytes, bytes),
            processes(&row.read_bytes),
            row.read_bytes.starts.to_string(),
            per_start(&row.cold_read_bytes, bytes),
            per_start(&row.cold_write_bytes, bytes),
            per_start(&row.cold_wall_ns, duration_ns),
            row.cold_read_bytes.starts.to_string(),
        ]);
    }
    table
}

/// Why there is none of some of it.
pub(crate) fn disk_reasons(rows: &[&TimeRow]) -> String {
    reasons(
        rows,
        &[
            ("Bytes read", |r| &r.read_bytes),
            ("Bytes written", |r| &r.write_bytes),
            ("Bytes read after dropping caches", |r| &r.cold_read_bytes),
        ],
    )
}

fn disk(rows: &[&TimeRow]) -> String {
    let table = disk_table(rows);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### Disk I/O per start\n\n{DISK}\n\n{}\n{}",
        table.markdown(),
        disk_reasons(rows)
    )
}
