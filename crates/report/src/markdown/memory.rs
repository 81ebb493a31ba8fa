//! The memory tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::format::bytes;
use crate::memory::{BEYOND_PSS, MIN_FIT_POINTS, MemoryRow, Quantity, fit_bytes, with_range};
use crate::records::Records;
use crate::summary::RunSummary;
use measure_core::contract::vocabulary::Metric;
use stats::{Interval, LinearFit};
use table::{Align, Table};

/// What PSS leaves out.
pub(crate) const BEYOND: &str = "PSS does not see what the kernel keeps for a worker. The kernel's own counters are the whole host's: the change from before the driver started until all \
     were parked, so other load on the host is in them, and in the change of MemAvailable most of all.";
/// What the names of quantities mean.
pub(crate) const QUANTITIES: &str = "`pss_bytes` is the median while all were parked, `peak_pss_bytes` the largest pass over the scope's life, `cgroup_peak_bytes` the kernel's own peak \
     of what was charged to the scope's cgroup (page cache included), `host_` the change of a counter of the whole host.";

/// What the lines are.
pub(crate) fn introduction() -> String {
    format!(
        "Each worker is blocked inside the function's `main`. The whole scope is weighed, the engine's daemon included, and a line is \
         fitted over the number of workers: its slope is what one more worker costs, its value at 0 is what is fixed. In brackets 95 % t intervals of the fit, from {MIN_FIT_POINTS} points on."
    )
}

pub(super) fn section(summary: &RunSummary<'_>) -> String {
    let mut text = format!("## Memory of parked workers\n\n{}\n\n", introduction());
    text += &headline(summary).markdown();
    let _ = write!(text, "\n{BEYOND}\n\n");
    let (table, reasons) = details(summary);
    let _ = write!(text, "### Every quantity\n\n{}\n", table.markdown());
    let _ = write!(text, "{QUANTITIES}\n\n");
    if !reasons.is_empty() {
        text += &reasons;
        text.push('\n');
    }
    text += &client(summary.records);
    text
}

/// A row per rung: PSS, and what it does not see.
pub(crate) fn headline(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("PSS of one more", Align::Left),
        ("Fixed PSS", Align::Left),
        ("Page tables", Align::Right),
        ("Kernel stacks", Align::Right),
        ("Slabs", Align::Right),
        ("Per-CPU", Align::Right),
        ("Kernel's in all", Align::Right),
        ("MemAvailable lost", Align::Left),
    ]);
    for rung in &summary.rungs {
        let Some(pss) = rung.fit(&Quantity::PSS) else {
            continue;
        };
        let host = |metric: Metric| rung.fit(&Quantity::host_change(metric));
        let beyond = BEYOND_PSS.map(|metric| host(metric).map(|fit| fit.slope));
        let say = |value: Option<f64>| value.map_or("-".to_owned(), bytes);
        let sum = |parts: &[Option<f64>]| parts.iter().copied().sum::<Option<f64>>();
        let available = host(Metric::MemAvailableBytes);
        table.row([
            rung.rung.to_owned(),
            fit_bytes(&pss),
            with_range(pss.intercept, intercept_interval(&pss)),
            say(beyond[0]),
            say(beyond[1]),
            say(sum(&beyond[2..4])),
            say(beyond[4]),
            say(sum(&beyond)),
            available.map_or("-".into(), |fit| fit_bytes(&fit)),
        ]);
    }
    table
}

/// The interval of the intercept, from [`MIN_FIT_POINTS`] points on.
fn intercept_interval(fit: &LinearFit) -> Option<Interval> {
    fit.intercept_interval.filter(|_| fit.n >= MIN_FIT_POINTS)
}

/// Every row, and why some have no value.
pub(crate) fn details(summary: &RunSummary<'_>) -> (Table, String) {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Quantity", Align::Left),
        ("One more worker", Align::Left),
        ("Fixed", Align::Left),
        ("R2", Align::Right),
        ("Workers", Align::Left),
    ]);
    let mut reasons = String::new();
    for row in summary.memories() {
        if let Some(why) = &row.unavailable {
            let _ = writeln!(
                reasons,
                "- {} of {}: unavailable: {why}",
                row.quantity, row.rung
            );
            continue;
        }
        let (slope, fixed, r2) = match row.fit {
            Some(fit) => (
                fit_bytes(&fit),
                with_range(fit.intercept, intercept_interval(&fit)),
                fit.r_squared.map_or(String::new(), |r| format!("{r:.4}")),
            ),
            None => ("too few points".into(), String::new(), String::new()),
        };
        table.row([
            row.rung.clone(),
            row.quantity.to_string(),
            slope,
            fixed,
            r2,
            points(row),
        ]);
    }
    (table, reasons)
}

/// The numbers of workers, as `2 x 50, 2 x 100`.
fn points(row: &MemoryRow) -> String {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for &(workers, _) in &row.points {
        *counts.entry(workers).or_default() += 1;
    }
    let words: Vec<String> = counts
        .into_iter()
        .map(|(workers, times)| {
            if times == 1 {
                workers.to_string()
            } else {
                format!("{times} x {workers}")
            }
        })
        .collect();
    words.join(", ")
}

fn client(records: &Records) -> String {
    let has = records
        .info
        .rungs()
        .iter()
        .any(|r| r.scope.as_deref().is_some_and(|s| s.contains("client")));
    if has {
        "Where the driver is only the client of an engine it is weighed apart (`client_pss_bytes`).\n\n".into()
    } else {
        String::new()
    }
}
