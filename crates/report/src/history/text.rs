//! The history for a terminal.

use table::{Align, Table};

use super::{History, HistoryRun, RunChange, Series};
use crate::format::{legend_line, ratio};

impl History {
    /// For a terminal of `width` characters, if there is one: a row for each series, and its changes.
    #[must_use]
    pub fn text(&self, width: Option<usize>) -> String {
        let mut text = series_table(self).text(width);
        for machine in self.machines.values() {
            let words = format!("machine {}: {}", machine.label(), machine.words);
            text += &legend_line(&words, width);
        }
        text += &legend_line(&about(self), width);
        for note in &self.notes {
            text += &legend_line(&format!("note: {note}"), width);
        }
        text
    }
}

/// What was looked for, and how.
pub(super) fn about(history: &History) -> String {
    format!(
        "{} runs, {} series, {} changes of {} % or more; each series tested at level {:.5}, so that in all of them together one change is called wrongly in at most one history of twenty",
        history.runs.len(),
        history.series.len(),
        history.changes(),
        (1000.0 * history.margin).round() / 10.0,
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
            history.machine_label(&series.machine),
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
    let each = series
        .changes
        .iter()
        .map(|change| change_in_words(history, change));
    let all = each.collect::<Vec<_>>().join("; ");
    if all.is_empty() {
        "none".to_owned()
    } else {
        all
    }
}

/// How large, and between which runs.
pub(super) fn change_in_words(history: &History, change: &RunChange) -> String {
    format!(
        "{} {}",
        size_in_words(change),
        range_in_words(history, change)
    )
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
    let words = |run: Option<&HistoryRun>| run.map_or_else(String::new, run_and_revision);
    format!("between {} and {}", words(sides[0]), words(sides[1]))
}

/// The revision that made a run.
pub(super) fn revision(run: &HistoryRun) -> String {
    let commit = run.commit.as_deref().unwrap_or("no revision known");
    let modified = if run.is_modified { ", modified" } else { "" };
    format!("{commit}{modified}")
}

/// A run and the revision that made it.
fn run_and_revision(run: &HistoryRun) -> String {
    format!("{} ({})", run.run, revision(run))
}
