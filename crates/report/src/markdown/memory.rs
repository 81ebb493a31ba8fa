//! The memory tables.

use std::fmt::Write;

use super::{fit_bytes, in_bytes, range};
use crate::format::bytes;
use crate::memory::MemoryRow;
use crate::records::Records;
use crate::table::{Align, Table};

pub(super) fn section(records: &Records, rows: &[MemoryRow]) -> String {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Quantity", Align::Left),
        ("One more worker", Align::Left),
        ("Fixed", Align::Left),
        ("R2", Align::Right),
        ("Workers", Align::Left),
    ]);
    let mut reasons = String::new();
    for row in rows {
        if let Some(why) = &row.unavailable {
            let _ = writeln!(
                reasons,
                "- {} of {}: unavailable: {why}",
                row.measure, row.rung
            );
            continue;
        }
        let mut workers: Vec<u64> = row.points.iter().map(|&(n, _)| n).collect();
        workers.sort_unstable();
        let workers: Vec<String> = workers.iter().map(u64::to_string).collect();
        let (slope, fixed, r2) = match row.fit {
            Some(fit) => (
                fit_bytes(&fit),
                format!(
                    "{}{}",
                    in_bytes(fit.intercept),
                    range(fit.intercept_interval, bytes)
                ),
                fit.r_squared.map_or(String::new(), |r| format!("{r:.4}")),
            ),
            None => ("too few points".into(), String::new(), String::new()),
        };
        table.row([
            row.rung.clone(),
            row.measure.clone(),
            slope,
            fixed,
            r2,
            workers.join(", "),
        ]);
    }
    let mut text = String::from(
        "## Memory of parked workers\n\nEach worker is blocked inside the function's `main`. The whole scope is weighed, the engine's daemon included, and a line is \
         fitted over the number of workers: its slope is what one more worker costs, its value at 0 is what is fixed. In brackets 95 % t intervals of the fit.\n\n",
    );
    text += &table.markdown();
    text.push('\n');
    text += "`pss_bytes` is the median while all were parked, `peak_pss_bytes` the largest walk over the scope's life, `cgroup_peak_bytes` the kernel's own peak \
             of what was charged to the scope's cgroup (page cache included). PSS does not see page tables, kernel stacks, slabs and namespaces: the `host_` rows are the change of the \
             host's own counters from before the driver started until all were parked; other load on the host is in them too.\n\n";
    if !reasons.is_empty() {
        text += &reasons;
        text.push('\n');
    }
    text += &client(records);
    text
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
