//! The time tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use stats::{Flag, Summary};

use super::range;
use crate::format::{bytes, count, duration_ns, ratio};
use crate::summary::RunSummary;
use crate::time::{PerStart, REFERENCE, TimeRow};
use table::{Align, Table};

pub(super) fn section(summary: &RunSummary<'_>) -> String {
    let rows: &[&TimeRow] = &summary.times().collect::<Vec<_>>();
    let mut text = String::from("## Time\n\n");
    text += &starts(summary, rows);
    text += &phases(rows);
    text += &throughput(rows);
    text += &cpu(rows);
    text += &disk(rows);
    text += &oddities(rows);
    text
}

fn opt(value: Option<f64>, format: fn(f64) -> String) -> String {
    value.map_or("-".into(), format)
}

fn starts(summary: &RunSummary<'_>, rows: &[&TimeRow]) -> String {
    let reference = rows.iter().any(|r| r.rung == REFERENCE && r.wall.is_some());
    let mut columns = vec![
        ("Runtime", Align::Left),
        ("Median", Align::Right),
        ("95 % interval", Align::Left),
        ("MAD", Align::Right),
        ("p90", Align::Right),
        ("p99", Align::Right),
        ("Min", Align::Right),
        ("n", Align::Right),
    ];
    if reference {
        columns.push(("docker-none / this", Align::Left));
    }
    let mut table = Table::new(&columns);
    for row in rows {
        let Some(wall) = row.wall else { continue };
        let interval = wall.interval.map_or("too few".to_owned(), |i| {
            format!("{} .. {}", duration_ns(i.lo), duration_ns(i.hi))
        });
        let mut cells = vec![
            row.rung.clone(),
            duration_ns(wall.median),
            interval,
            duration_ns(wall.mad),
            opt(wall.p90, duration_ns),
            opt(wall.p99, duration_ns),
            duration_ns(wall.min),
            wall.n.to_string(),
        ];
        cells.push(match row.reference_over_this {
            _ if row.rung == REFERENCE => "1".into(),
            Some(r) => format!("{}{}", ratio(r.ratio), range(r.interval, ratio)),
            None => String::new(),
        });
        table.row(cells);
    }
    let mut text =
        String::from("### One cold start, from asked for to torn down, one at a time\n\n");
    text += &table.markdown();
    text += "\nIntervals are bootstrap percentile intervals of the median. p90 needs 10 starts, p99 needs 100.\n";
    if !reference {
        let why = summary
            .rung(REFERENCE)
            .and_then(|rung| rung.unavailable)
            .map_or("it was not among the rungs".to_owned(), str::to_owned);
        let _ = writeln!(
            text,
            "There is no ratio to docker: no {REFERENCE} row ({why})."
        );
    }
    text.push('\n');
    text
}

fn phases(rows: &[&TimeRow]) -> String {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Phase", Align::Left),
        ("Median", Align::Right),
        ("MAD", Align::Right),
        ("Share of the mean", Align::Right),
    ]);
    for row in rows {
        let whole: f64 = row.phases.iter().map(|(_, s)| s.mean).sum();
        for (name, phase) in &row.phases {
            table.row([
                row.rung.clone(),
                name.clone(),
                duration_ns(phase.median),
                duration_ns(phase.mad),
                format!("{:.1} %", 100.0 * phase.mean / whole.max(1.0)),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### Phases of a start\n\nIn each start the phases sum to the total; their medians need not.\n\n{}\n",
        table.markdown()
    )
}

fn throughput(rows: &[&TimeRow]) -> String {
    let workers: BTreeSet<u32> = rows
        .iter()
        .flat_map(|r| r.throughput.iter().map(|t| t.workers))
        .collect();
    let mut columns = vec![("Runtime".to_owned(), Align::Left)];
    columns.extend(workers.iter().map(|w| {
        (
            format!("{w} worker{}", if *w == 1 { "" } else { "s" }),
            Align::Right,
        )
    }));
    columns.push(("Starts per batch".into(), Align::Right));
    columns.push(("Batches".into(), Align::Right));
    let borrowed: Vec<(&str, Align)> = columns.iter().map(|(n, a)| (n.as_str(), *a)).collect();
    let mut table = Table::new(&borrowed);
    for row in rows.iter().filter(|r| !r.throughput.is_empty()) {
        let mut cells = vec![row.rung.clone()];
        for w in &workers {
            let found = row.throughput.iter().find(|t| t.workers == *w);
            cells.push(found.map_or("-".into(), |t| count(t.median)));
        }
        let list = |of: &dyn Fn(&crate::time::Throughput) -> String| {
            let mut each: Vec<String> = row.throughput.iter().map(of).collect();
            each.dedup();
            each.join(", ")
        };
        cells.push(list(&|t| t.n.to_string()));
        cells.push(list(&|t| t.rates.len().to_string()));
        table.row(cells);
    }
    format!(
        "### Starts per second\n\nClosed loop: each worker begins its next start when its last one is torn down. Median over the batches.\n\n{}\n",
        table.markdown()
    )
}

fn per(quantity: &PerStart, format: fn(f64) -> String) -> String {
    match (&quantity.summary, &quantity.unavailable) {
        (Some(s), _) => format!("{}{}", format(s.median), spread(s, format)),
        (None, Some(_)) => "unavailable".into(),
        (None, None) => "-".into(),
    }
}

fn spread(summary: &Summary, format: fn(f64) -> String) -> String {
    if summary.n < 2 {
        return String::new();
    }
    format!(" ({} .. {})", format(summary.min), format(summary.max))
}

/// A quantity's name and where it is in a row.
type Quantity<'a> = (&'a str, fn(&TimeRow) -> &PerStart);

fn reasons(rows: &[&TimeRow], quantities: &[Quantity<'_>]) -> String {
    let mut text = String::new();
    for (name, of) in quantities {
        let mut said: Vec<(String, Vec<&str>)> = Vec::new();
        for row in rows {
            let Some(why) = &of(row).unavailable else {
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

fn cpu(rows: &[&TimeRow]) -> String {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("CPU time", Align::Left),
        ("CPU cycles", Align::Left),
        ("Client's CPU time", Align::Left),
        ("Batches", Align::Right),
        ("Starts", Align::Right),
    ]);
    for row in rows {
        if row.cpu_ns.summary.is_none() && row.cpu_ns.unavailable.is_none() {
            continue;
        }
        table.row([
            row.rung.clone(),
            per(&row.cpu_ns, duration_ns),
            per(&row.cpu_cycles, count),
            per(&row.client_cpu_ns, duration_ns),
            row.cpu_ns.summary.map_or(0, |s| s.n).to_string(),
            row.cpu_ns.starts.to_string(),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### CPU per start\n\nOver the whole scope of the rung, the engine's daemon included, in batches of their own; the client of an engine is apart. \
         Median over the batches, in parentheses the least and the most.\n\n{}\n{}",
        table.markdown(),
        reasons(
            rows,
            &[
                ("CPU time", |r| &r.cpu_ns),
                ("CPU cycles", |r| &r.cpu_cycles),
                ("Client's CPU time", |r| &r.client_cpu_ns)
            ]
        )
    )
}

fn disk(rows: &[&TimeRow]) -> String {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Read", Align::Left),
        ("Written", Align::Left),
        ("Starts", Align::Right),
        ("Read, caches dropped", Align::Left),
        ("Written, caches dropped", Align::Left),
        ("Wall time, caches dropped", Align::Left),
        ("Starts", Align::Right),
    ]);
    for row in rows {
        if row.read_bytes.summary.is_none() && row.read_bytes.unavailable.is_none() {
            continue;
        }
        table.row([
            row.rung.clone(),
            per(&row.read_bytes, bytes),
            per(&row.write_bytes, bytes),
            row.read_bytes.starts.to_string(),
            per(&row.cold_read_bytes, bytes),
            per(&row.cold_write_bytes, bytes),
            per(&row.cold_wall_ns, duration_ns),
            row.cold_read_bytes.starts.to_string(),
        ]);
    }
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### Disk I/O per start\n\nBytes between the scope and the storage. Median over the batches, in parentheses the least and the most.\n\n{}\n{}",
        table.markdown(),
        reasons(
            rows,
            &[
                ("Bytes read", |r| &r.read_bytes),
                ("Bytes written", |r| &r.write_bytes),
                ("Bytes read after dropping caches", |r| &r.cold_read_bytes)
            ]
        )
    )
}

fn oddities(rows: &[&TimeRow]) -> String {
    let mut text = String::new();
    for row in rows {
        if let Some(error) = &row.first_error {
            let _ = writeln!(
                text,
                "- {}: {} starts failed, the first with: {error}",
                row.rung, row.failed
            );
        }
        if let (Some(first), Some(wall)) = (row.first_ns, row.wall) {
            let _ = writeln!(
                text,
                "- {}: the first start in a fresh driver process took {}, {} times the median; it is not in the table",
                row.rung,
                duration_ns(first),
                ratio(first / wall.median.max(1.0))
            );
        }
        if let Some(gap) = row.gap_ns {
            let _ = writeln!(
                text,
                "- {}: between two starts the driver's loop adds {}, which counts in starts per second and not in a start",
                row.rung,
                duration_ns(gap.max(0.0))
            );
        }
        for flag in &row.flags {
            let _ = writeln!(text, "- {}: {}", row.rung, flag_words(flag));
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("### What is odd about them\n\nNothing was dropped.\n\n{text}\n")
}

fn flag_words(flag: &Flag) -> String {
    match flag {
        Flag::Bimodal {
            low,
            high,
            high_share,
        } => format!(
            "two modes, near {} and {} ({:.0} % in the upper one): the median hides one of them",
            duration_ns(*low),
            duration_ns(*high),
            100.0 * high_share
        ),
        other => other.to_string(),
    }
}
