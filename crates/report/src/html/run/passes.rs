//! Starts per second, CPU and disk I/O.

use maud::html;

use super::super::Section;
use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::words::{bullets, prose};
use super::viewed::Viewed;
use crate::markdown::passes::{
    DISK, THROUGHPUT, about_cpu, cpu_reasons, cpu_table, disk_reasons, disk_table, throughput_table,
};
use crate::time::TimeRow;

const THROUGHPUT_COLUMNS: Legend = &[
    ("Runtime", "the rung; leads to its distribution"),
    (
        "* worker",
        "starts per second where one is under way at a time",
    ),
    (
        "* workers",
        "starts per second where as many are under way at once",
    ),
    (
        "Starts per batch",
        "starts of the largest batch, which counts, by number of workers where these differ",
    ),
    ("Batches", "how many such batches there are"),
    ("Processes", "driver processes, each a replicate"),
];

const CPU_COLUMNS: Legend = &[
    ("Runtime", "the rung; leads to its distribution"),
    (
        "CPU time",
        "of all processes of the rung, the engine's daemon included, by the account of their cgroup",
    ),
    (
        "CPU cycles",
        "of the same, user and kernel, where there is a performance-monitoring unit",
    ),
    (
        "Client's CPU time",
        "of the process that asks an engine, apart",
    ),
    ("Processes", "driver processes, each a replicate"),
    ("Batches", "batches that were counted"),
    ("Starts", "starts that were counted"),
];

const DISK_COLUMNS: Legend = &[
    ("Runtime", "the rung; leads to its distribution"),
    ("Read", "bytes that came from storage, page caches warm"),
    ("Written", "bytes dirtied less what was cancelled"),
    (
        "Read, caches dropped",
        "by a start right after the page caches were dropped",
    ),
    ("Written, caches dropped", "by such a start"),
    ("Wall time, caches dropped", "what such a start took"),
    ("Processes", "driver processes, each a replicate"),
    ("Starts", "how many starts the columns to the left stand on"),
];

/// Starts per second.
pub(super) fn throughput(viewed: &Viewed<'_>) -> Option<Section> {
    let rows: Vec<&TimeRow> = viewed.summary.times().collect();
    let table = throughput_table(&rows);
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (THROUGHPUT) }
        (data_table("Starts per second", &table, THROUGHPUT_COLUMNS, &links))
    };
    Section::unless_empty("Starts per second", body)
}

/// CPU per start.
pub(super) fn cpu(viewed: &Viewed<'_>) -> Option<Section> {
    let rows: Vec<&TimeRow> = viewed.summary.times().collect();
    let table = cpu_table(&rows);
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (about_cpu(&rows)) }
        (data_table("CPU per start", &table, CPU_COLUMNS, &links))
        (bullets(&cpu_reasons(&rows)))
    };
    Section::unless_empty("CPU per start", body)
}

/// Disk I/O per start.
pub(super) fn disk(viewed: &Viewed<'_>) -> Option<Section> {
    let rows: Vec<&TimeRow> = viewed.summary.times().collect();
    let table = disk_table(&rows);
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (prose(DISK)) }
        (data_table("Disk I/O per start", &table, DISK_COLUMNS, &links))
        (bullets(&disk_reasons(&rows)))
    };
    Section::unless_empty("Disk I/O per start", body)
}
