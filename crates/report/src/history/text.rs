//! The history for a terminal.

use table::{Align, Table};

use super::{History, HistoryRun, RunChange, Series};
use crate::format::{ratio, wrapped};

const NOTE_CHARS: usize = 120;

/// A row for each series, and its changes.
pub(super) fn text(history: &History, width: Option<usize>) -> String {
    let mut text = series_table(history).text(width);
    let wide = width.unwrap_or(NOTE_CHARS).min(NOTE_CHARS);
    for (fingerprint, words) in &history.machines {
        text += &wrapped(&format!("machine {fingerprint}: {words}"), wide);
    }
    text += &wrapped(&about(history), wide);
    for note in &history.notes {
        text += &wrapped(&format!("note: {note}"), wide);
    }
    text
}

/// What was looked for, and how.
pub(super) fn about(history: &History) -> String {
    format!(
        "{} runs, {} series, {} changes of {} % or more; each series tested at level {:.5}, so that in all of them together one change is called wrongly in at most one history of twenty",
        history.runs.len(),
        history.series.len(),
        history.changes(),
        ratio(100.0 * history.margin),
        history.level
    )
}

/// A row for each series.
pub(super) fn series_table(history: &History) -> Table {
    let mut table = Table::new(&[
        ("row", Align::Left),
        ("machine", Align::Left),
        ("runs", Align::Right),
        ("first", Align::Right),
        ("last", Align::Right),
        ("changes", Align::Left),
    ]);
    for series in &history.series {
        let say = |point: Option<&(usize, super::Value)>| {
            point.map_or(String::new(), |(_, value)| {
                series.key.quantity.format()(value.value)
            })
        };
        table.row([
            series.key.words(),
            series.machine.clone(),
            series.points.len().to_string(),
            say(series.points.first()),
            say(series.points.last()),
            changes_in_words(history, series),
        ]);
    }
    table
}

fn changes_in_words(history: &History, series: &Series) -> String {
    if let Some(needed) = series.too_few_of {
        return format!("unchecked: {needed} runs are needed");
    }
    let each = series.changes.iter().map(|change| {
        format!(
            "{} {}",
            size_in_words(change),
            range_in_words(history, change)
        )
    });
    let all = each.collect::<Vec<_>>().join("; ");
    if all.is_empty() {
        "none".to_owned()
    } else {
        all
    }
}

/// `x1.20 [1.19, 1.21]`.
pub(super) fn size_in_words(change: &RunChange) -> String {
    let interval = change.interval.map_or_else(
        || " unchecked".to_owned(),
        |i| format!(" [{}, {}]", ratio(i.lo), ratio(i.hi)),
    );
    format!("x{}{interval}", ratio(change.ratio))
}

/// Between which runs and revisions.
pub(super) fn range_in_words(history: &History, change: &RunChange) -> String {
    let sides = [change.last_before, change.first_after].map(|place| history.runs.get(place));
    let words = |run: Option<&HistoryRun>| run.map_or_else(String::new, revision);
    format!("between {} and {}", words(sides[0]), words(sides[1]))
}

/// A run and the revision that made it.
pub(super) fn revision(run: &HistoryRun) -> String {
    let commit = run.commit.as_deref().unwrap_or("no revision known");
    let modified = if run.is_modified { ", modified" } else { "" };
    format!("{} ({commit}{modified})", run.run)
}
