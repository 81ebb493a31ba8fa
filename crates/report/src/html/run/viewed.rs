//! What a view is made from.

use std::collections::BTreeMap;

use table::inert;

use crate::html::words::part_ids;
use crate::summary::{RunSummary, RungSummary};

/// What a view is made from.
#[derive(Debug)]
pub(crate) struct Viewed<'a> {
    pub(super) summary: &'a RunSummary<'a>,
    /// The id of each rung that has a part of its own on the page.
    pub(super) ids: BTreeMap<&'a str, String>,
}

impl<'a> Viewed<'a> {
    pub(super) fn new(summary: &'a RunSummary<'a>) -> Self {
        let rungs = summary.rungs.iter().filter(|rung| has_part(rung));
        Self {
            summary,
            ids: part_ids("rung", rungs.map(|rung| rung.rung)),
        }
    }

    /// Where a row leads to whose first cell is `cell`.
    pub(super) fn link(&self, cell: &str) -> Option<String> {
        let is_shown_so = |rung: &str| inert(rung.to_owned()) == cell;
        let by_name = self.ids.get(cell);
        let by_cell = || self.ids.iter().find(|(rung, _)| is_shown_so(rung));
        let id = by_name.or_else(|| by_cell().map(|(_, id)| id))?;
        Some(format!("#{id}"))
    }
}

fn has_part(rung: &RungSummary<'_>) -> bool {
    rung.time.as_ref().is_some_and(|time| time.has_starts()) || !rung.memory.is_empty()
}
