//! The short table for a terminal, and what to know to read it.

use std::fmt::Write;

use measure_core::contract::Description;
use stats::levels::{Estimate, MIN_PROCESSES};

use crate::capacity;
use crate::format::{count, duration_ns, legend_line, ratio, unavailable_because, value_off_by};
use crate::letters::{KINDS, isolates};
use crate::load;
use crate::markdown::scaling;
use crate::memory::{Quantity, fit_off_by};
use crate::summary::{RunSummary, RungSummary};
use crate::time::{Design, DesignRow, REFERENCE, TimeRow};
use table::{Align, Table};

/// A row per rung: what one start takes, what one more worker weighs, and what that isolates; for a terminal of
/// `width` characters if there is one.
#[must_use]
pub fn terminal(summary: &RunSummary<'_>, width: Option<usize>) -> String {
    let mut text = String::new();
    let ladder = ladder(summary);
    if !ladder.is_empty() {
        text += &ladder.text(width);
        for line in legend(summary) {
            text += &legend_line(&line, width);
        }
    }
    let handlers = handlers(summary);
    if !handlers.is_empty() {
        let _ = writeln!(
            text,
            "\nhandlers: cold start to the first byte of the answer; a request when warm; polling: what of the former may be due to how often it is tried\n{}",
            handlers.text(width).trim_end()
        );
    }
    let pooled = pooled(summary);
    if !pooled.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{POOLED}:\n{}", pooled.text(width).trim_end());
    }
    let scaling = scaling::table(summary);
    if !scaling.is_empty() {
        let _ = writeln!(text, "\n{}", scaling.text(width).trim_end());
    }
    let ramps = capacity::headline(summary);
    if !ramps.is_empty() {
        text += &ramps.text(width);
        text += &legend_line(capacity::COLUMNS, width);
        for line in capacity::sentences(summary) {
            text += &legend_line(&line, width);
        }
    }
    let load = load::terminal(summary, width, ladder.is_empty());
    if !text.is_empty() && !load.is_empty() {
        text.push('\n');
    }
    text += &load;
    text += &missing(summary);
    for note in summary.records.info.parts.iter().flat_map(|p| &p.notes) {
        text += &legend_line(&format!("note: {note}"), width);
    }
    text
}

/// What the table of old runs is called.
pub(crate) const POOLED: &str =
    "pooled (schema 1), starts of one process, isolated or back to back alike";

/// The rows of the ladder.
pub(crate) fn ladder(summary: &RunSummary<'_>) -> Table {
    let has_designs = has_designs(summary);
    let has_memories = summary.has_memories();
    let with_reference = has_designs && has_reference(summary);
    let mut table = Table::new(&columns(has_designs, with_reference, has_memories));
    for rung in &summary.rungs {
        let pss = rung.fit(&Quantity::PSS);
        if !rung_has_designs(rung) && pss.is_none() {
            continue;
        }
        let mut cells = vec![rung.rung.to_owned()];
        if has_designs {
            cells.extend(time_cells(rung.time.as_ref(), with_reference));
        }
        if has_memories {
            cells.push(pss.map(|fit| fit_off_by(&fit)).unwrap_or_default());
        }
        cells.push(isolates(rung));
        table.row(cells);
    }
    table
}

fn rung_has_designs(rung: &RungSummary<'_>) -> bool {
    let designs = |time: &TimeRow| Design::ALL.iter().any(|d| time.design(*d).is_some());
    rung.time.as_ref().is_some_and(designs)
}

fn has_designs(summary: &RunSummary<'_>) -> bool {
    summary.rungs.iter().any(rung_has_designs)
}

fn has_reference(summary: &RunSummary<'_>) -> bool {
    let isolated = |time: &TimeRow| time.isolated.as_ref()?.reference_over_this;
    summary.times().any(|time| isolated(time).is_some())
}

fn columns(designs: bool, with_reference: bool, memories: bool) -> Vec<(&'static str, Align)> {
    let mut columns = vec![("runtime", Align::Left)];
    if designs {
        columns.extend([
            ("isolated", Align::Right),
            ("back to back", Align::Right),
            ("n", Align::Right),
        ]);
        if with_reference {
            columns.push(("docker/this", Align::Right));
        }
        columns.extend([("starts/s", Align::Right), ("CPU", Align::Right)]);
    }
    if memories {
        columns.push(("PSS/worker", Align::Right));
    }
    columns.push(("isolates", Align::Left));
    columns
}

fn time_cells(time: Option<&TimeRow>, with_reference: bool) -> Vec<String> {
    let Some(time) = time else {
        return vec![String::new(); if with_reference { 6 } else { 5 }];
    };
    let median = |row: Option<&DesignRow>| {
        row.map_or("-".to_owned(), |r| value_off_by(&r.median, duration_ns))
    };
    let mut cells = vec![
        median(time.isolated.as_ref()),
        median(time.back_to_back.as_ref()),
        counts(time),
    ];
    if with_reference {
        let over = time.isolated.as_ref().and_then(|r| r.reference_over_this);
        cells.push(match over {
            _ if time.rung == REFERENCE => "1".into(),
            Some(over) => value_off_by(&over, ratio),
            None => "-".into(),
        });
    }
    let best = time
        .throughput
        .iter()
        .max_by(|a, b| a.rate.value.total_cmp(&b.rate.value));
    cells.push(best.map_or("-".into(), |best| {
        format!("{} ({})", count(best.rate.value), best.workers)
    }));
    let cpu: Option<Estimate> = time.cpu_ns.mean;
    cells.push(cpu.map_or("-".into(), |mean| duration_ns(mean.value)));
    cells
}

/// Processes, and the starts of either design: `10:80+600`.
fn counts(time: &TimeRow) -> String {
    let starts = |row: &Option<DesignRow>| row.as_ref().map_or(0, |r| r.median.starts);
    let rows = Design::ALL.iter().filter_map(|design| time.design(*design));
    let processes = rows.map(|row| row.median.processes).max().unwrap_or(0);
    let (isolated, loops) = (starts(&time.isolated), starts(&time.back_to_back));
    format!("{processes}:{isolated}+{loops}")
}

/// What to know to read the ladder, a line each.
pub(crate) fn legend(summary: &RunSummary<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if has_designs(summary) {
        lines.push(designs_in_words(summary));
        let few = summary.times().flat_map(|time| {
            let rows = Design::ALL.iter().filter_map(|design| time.design(*design));
            rows.map(|row| row.median.interval.is_err())
                .collect::<Vec<_>>()
        });
        let mut words =
            "-a+b%: how far the ends of the 95 % interval by process lie off".to_owned();
        if summary.has_memories() {
            words += ", of PSS that of a fit's slope";
        }
        words += "; n: processes:isolated+back to back starts";
        if has_reference(summary) {
            words += "; docker/this: docker-none over this, both isolated";
        }
        words += "; starts/s (by so many workers), CPU per start: back to back";
        if few.into_iter().any(|few| few) {
            let _ = write!(words, "; unchecked: fewer than {MIN_PROCESSES} processes");
        }
        lines.push(words);
        lines.extend(warm(summary));
        lines.extend(networks(summary));
    }
    lines.push(format!("isolates: {KINDS}"));
    lines
}

/// What the two designs mean, with the idle time of the run.
pub(crate) fn designs_in_words(summary: &RunSummary<'_>) -> String {
    let idle_ns = summary.records.info.part("time").and_then(|p| p.idle_ns);
    let idle = idle_ns.map_or("a while".to_owned(), |ns| {
        format!("{} or longer", duration_ns(ns as f64))
    });
    format!(
        "isolated: a start asked for after its rung has been idle for {idle}; back to back: starts of a closed loop after a warm-up"
    )
}

/// What starts find ready, grouped: `warm for process, unshare: nothing`.
pub(crate) fn warm(summary: &RunSummary<'_>) -> Vec<String> {
    let words =
        |description: &Description| Some(description.warm.clone()).filter(|w| !w.is_empty());
    grouped(summary, "warm for", words)
}

/// What of the network functions were granted, grouped: rows with it are told from rows without.
pub(crate) fn networks(summary: &RunSummary<'_>) -> Vec<String> {
    let words = |description: &Description| description.network_granted().map(str::to_owned);
    grouped(summary, "network granted to", words)
}

/// What `words` says of each rung, a line for each of it.
fn grouped(
    summary: &RunSummary<'_>,
    what: &str,
    words: impl Fn(&Description) -> Option<String>,
) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for rung in summary.rungs.iter().filter(|rung| rung_has_designs(rung)) {
        let Some(words) = rung.info.and_then(|info| words(&info.description)) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == words) {
            Some((_, rungs)) => rungs.push(rung.rung),
            None => groups.push((words, vec![rung.rung])),
        }
    }
    let line =
        |(words, rungs): &(String, Vec<&str>)| format!("{what} {}: {words}", rungs.join(", "));
    groups.iter().map(line).collect()
}

/// What handlers take to their first byte, and for a request.
pub(crate) fn handlers(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("runtime", Align::Left),
        ("first byte, isolated", Align::Right),
        ("back to back", Align::Right),
        ("request", Align::Right),
        ("n", Align::Right),
        ("polling", Align::Right),
    ]);
    for time in summary.times() {
        let Some(row) = &time.handler else { continue };
        let off_by = |estimate: Option<&Estimate>| {
            estimate.map_or("-".to_owned(), |e| value_off_by(e, duration_ns))
        };
        let request = row.request.as_ref().map(|request| &request.median);
        table.row([
            time.rung.clone(),
            off_by(row.first_byte_isolated.as_ref()),
            off_by(row.first_byte_back_to_back.as_ref()),
            off_by(request),
            request.map_or("-".to_owned(), |r| format!("{}:{}", r.processes, r.starts)),
            row.poll_share
                .map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share)),
        ]);
    }
    table
}

/// Old runs' rows.
pub(crate) fn pooled(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("runtime", Align::Left),
        ("median", Align::Right),
        ("MAD", Align::Right),
        ("min", Align::Right),
        ("starts", Align::Right),
    ]);
    for time in summary.times() {
        let Some(pooled) = &time.pooled else { continue };
        table.row([
            time.rung.clone(),
            duration_ns(pooled.median),
            duration_ns(pooled.mad),
            duration_ns(pooled.min),
            pooled.n.to_string(),
        ]);
    }
    table
}

/// Why there is nothing to show of `rung`; `None` if there is.
pub(crate) fn without_figures<'a>(
    summary: &'a RunSummary<'_>,
    rung: &'a RungSummary<'_>,
) -> Option<&'a str> {
    let time = rung.time.as_ref();
    let has_starts = time.is_some_and(TimeRow::has_starts);
    let is_weighed = rung.fit(&Quantity::PSS).is_some();
    let is_loaded = summary.loads.iter().any(|load| load.rung == rung.rung);
    if is_loaded || has_starts || is_weighed || rung.capacity.is_some() {
        return None;
    }
    let why = rung
        .unavailable
        .or(time.and_then(|t| t.first_error.as_deref()));
    Some(why.unwrap_or("nothing was measured"))
}

/// What has nothing to show, a line for each reason.
fn missing(summary: &RunSummary<'_>) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for rung in &summary.rungs {
        let Some(why) = without_figures(summary, rung) else {
            continue;
        };
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, rungs)) => rungs.push(rung.rung),
            None => reasons.push((why, vec![rung.rung])),
        }
    }
    let line = |(why, rungs): &(&str, Vec<&str>)| {
        format!("{}  {}\n", rungs.join(", "), unavailable_because(why))
    };
    reasons.iter().map(line).collect()
}
