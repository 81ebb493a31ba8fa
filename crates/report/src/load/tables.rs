//! Tables of rungs under load.

use std::fmt::Write;

use stats::levels::{Estimate, Unchecked};
use table::{Align, Table};

use super::kept;
use super::knee::Knee;
use super::rungs::{RateRow, RungLoad};
use crate::format::{count, duration_ns, legend_line, ratio, with_interval};
use crate::summary::RunSummary;

/// The rate, as a share of the closed loop's, at which the short table shows latencies.
const SHOWN_SHARE: f64 = 0.7;
/// What both tables mean.
pub(super) const LEGEND: [&str; 4] = [
    OPEN_LOOP,
    "achieved: starts a second that went well. queue: arrivals that were due and had not begun, on average / at most. CPUs: CPU time of the scope over wall time.",
    "failed: the start did not go well. refused: not begun when the time after the last arrival was over. Both count as longer than any other. \
     late: how late the generator let arrivals go that a worker waited for, p99.9; it is in the latencies.",
    "Marks: ! the generator was late or short of CPU time in some processes, whose points count nowhere; ~ the host was disturbed; > the rung does not follow.",
];

/// What is counted, and what the knee is.
pub(crate) const OPEN_LOOP: &str = "Open loop: starts are asked for at times drawn beforehand, whatever has or has not come back, and take from when they were due until they are \
     torn down. Knee: the largest rate at which p99 stays within the limit; in brackets its 95 % interval by process.";

/// As a latency; what never ended has none.
pub(super) fn latency(ns: f64) -> String {
    if ns.is_finite() {
        duration_ns(ns)
    } else {
        "never".to_owned()
    }
}

/// A rate a second.
fn rate(value: f64) -> String {
    count(value)
}

/// The `q` quantile with its interval, or that there are too few starts for one.
fn quantile(row: &RateRow, q: f64) -> String {
    let Some(found) = row.quantile(q) else {
        return "-".to_owned();
    };
    match found.interval {
        Err(Unchecked::TooFewStarts { .. }) => "too few".to_owned(),
        _ => with_interval(&found, latency),
    }
}

/// Where it gives, in words.
pub(crate) fn knee(found: &Knee) -> String {
    match found {
        Knee::At(estimate) => with_interval(estimate, rate),
        Knee::AtLeast(offered) => format!("at least {}", rate(*offered)),
        Knee::Below(offered) => format!("below {}", rate(*offered)),
        Knee::Unknown => "-".to_owned(),
    }
}

fn knee_share(load: &RungLoad) -> String {
    match (&load.knee, load.closed_loop) {
        (Knee::At(Estimate { value, .. }) | Knee::AtLeast(value), Some(closed))
            if closed.value > 0.0 =>
        {
            ratio(value / closed.value)
        }
        _ => "-".to_owned(),
    }
}

/// The rung of `load`, with its function where there are several.
pub(crate) fn name(load: &RungLoad, loads: &[RungLoad]) -> String {
    if loads.iter().all(|other| other.function == load.function) {
        return load.rung.clone();
    }
    format!("{} {}", load.rung, load.function)
}

/// A row per rung: how many starts it makes, up to where it holds its latency, and what that is below.
#[must_use]
pub(crate) fn by_rung(loads: &[RungLoad]) -> Table {
    let mut table = Table::new(&[
        ("runtime", Align::Left),
        ("closed loop/s", Align::Left),
        ("knee/s", Align::Left),
        ("of closed loop", Align::Right),
        ("p99 limit", Align::Right),
        ("at/s", Align::Right),
        ("p50", Align::Left),
        ("p99", Align::Left),
    ]);
    for load in loads {
        let closed = load.closed_loop.as_ref();
        let mut cells = vec![
            name(load, loads),
            closed.map_or_else(|| "-".to_owned(), |c| with_interval(c, rate)),
            knee(&load.knee),
            knee_share(load),
            duration_ns(load.slo_ns as f64),
        ];
        let shown = closed.map(|c| c.value * SHOWN_SHARE);
        if let Some(row) = shown.and_then(|wanted| nearest(&load.rates, wanted)) {
            cells.push(rate(row.offered_per_s));
            cells.extend([0.5, 0.99].map(|q| quantile(row, q)));
        }
        table.row(cells);
    }
    table
}

/// The rate nearest to `wanted`, by ratio.
fn nearest(rates: &[RateRow], wanted: f64) -> Option<&RateRow> {
    let off = |row: &&RateRow| (row.offered_per_s / wanted).ln().abs();
    let known = rates.iter().filter(|row| row.arrivals > 0);
    known.min_by(|a, b| off(a).total_cmp(&off(b)))
}

/// A row per rung and rate.
#[must_use]
pub(crate) fn by_rate(loads: &[RungLoad]) -> Table {
    let mut table = Table::new(&[
        ("runtime", Align::Left),
        ("offered/s", Align::Right),
        ("achieved/s", Align::Right),
        ("p50", Align::Left),
        ("p90", Align::Left),
        ("p99", Align::Left),
        ("p99.9", Align::Left),
        ("queue", Align::Right),
        ("CPUs", Align::Right),
        ("starts", Align::Right),
        ("failed", Align::Right),
        ("refused", Align::Right),
        ("late", Align::Right),
        ("", Align::Left),
    ]);
    for load in loads {
        for row in &load.rates {
            let achieved = row.achieved_per_s.map(|a| rate(a.value));
            let mut cells = vec![
                name(load, loads),
                rate(row.offered_per_s),
                achieved.unwrap_or_else(|| "-".to_owned()),
            ];
            cells.extend([0.5, 0.9, 0.99, 0.999].map(|q| quantile(row, q)));
            cells.extend([
                format!("{} / {}", ratio(row.queue_mean), row.queue_max),
                row.cpus.map_or_else(|| "-".to_owned(), ratio),
                row.arrivals.to_string(),
                row.failed.to_string(),
                row.refused.to_string(),
                duration_ns(row.late.quantile_ns(0.999) as f64),
                marks(row),
            ]);
            table.row(cells);
        }
    }
    table
}

fn marks(row: &RateRow) -> String {
    let marks = [
        (row.unfit.is_some(), '!'),
        (row.disturbed.is_some(), '~'),
        (!row.follows && row.arrivals > 0, '>'),
    ];
    let set = marks.iter().filter(|(is_set, _)| *is_set);
    set.map(|(_, mark)| mark).collect()
}

/// Why points do not count, were disturbed or had failures, a line each.
pub(crate) fn reasons(loads: &[RungLoad]) -> Vec<String> {
    let mut lines = Vec::new();
    for load in loads {
        for row in &load.rates {
            let at = format!("{} at {}/s", load.rung, rate(row.offered_per_s));
            if let Some((points, why)) = &row.unfit {
                lines.push(format!("{at}: {points} of its points do not count: {why}"));
            }
            if let Some((points, by)) = &row.disturbed {
                lines.push(format!(
                    "{at}: the host was disturbed in {points} of its points, first by this: {by}"
                ));
            }
            if let Some(why) = &row.error {
                lines.push(format!("{at}: the first that failed: {why}"));
            }
        }
    }
    lines
}

/// The generator's share of a CPU at the largest rate, for the line that proves it.
pub(crate) fn generator(loads: &[RungLoad]) -> Option<String> {
    let rows = loads.iter().flat_map(|load| &load.rates);
    let busiest = rows.max_by(|a, b| a.offered_per_s.total_cmp(&b.offered_per_s))?;
    Some(format!(
        "The generator, a thread of a process of its own: at {} arrivals a second it took {} of a CPU, without handing over, and let them go p99.9 {} late, {} at most.",
        rate(busiest.offered_per_s),
        ratio(busiest.generator_cpus),
        duration_ns(busiest.late.quantile_ns(0.999) as f64),
        duration_ns(busiest.late.max_ns() as f64),
    ))
}

/// Both tables for a terminal; the longer one only if it `is_whole`.
pub(crate) fn terminal(summary: &RunSummary<'_>, width: Option<usize>, is_whole: bool) -> String {
    let loads = summary.loads.as_slice();
    if loads.is_empty() {
        return String::new();
    }
    let mut text = format!("under load, arrivals {}:\n", patterns(loads));
    text += &by_rung(loads).text(width);
    if is_whole {
        text.push('\n');
        text += &by_rate(loads).text(width);
    }
    let kept = kept::by_time(summary);
    if !kept.is_empty() {
        text.push('\n');
        text += &kept.text(width);
    }
    let mut legend: Vec<&str> = LEGEND[..if is_whole { LEGEND.len() } else { 1 }].to_vec();
    if !kept.is_empty() {
        legend.push(kept::LEGEND);
    }
    let lines = legend.into_iter().map(str::to_owned);
    for line in lines.chain(generator(loads)) {
        text += &legend_line(&line, width);
    }
    for line in reasons(loads) {
        let _ = write!(text, "{}", legend_line(&format!("note: {line}"), width));
    }
    text
}

/// How arrivals were drawn.
pub(super) fn patterns(loads: &[RungLoad]) -> String {
    let mut found: Vec<&str> = loads.iter().map(|load| load.pattern.as_str()).collect();
    found.dedup();
    found.join(", ")
}
