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
    /// The same by how a cell shows the rung.
    by_cell: BTreeMap<String, String>,
}

impl<'a> Viewed<'a> {
    pub(super) fn new(summary: &'a RunSummary<'a>) -> Self {
        let rungs = summary.rungs.iter().filter(|rung| has_part(rung));
        let ids = part_ids("rung", rungs.map(|rung| rung.rung));
        let by_cell = ids
            .iter()
            .map(|(rung, id)| (inert((*rung).to_owned()), id.clone()));
        Self {
            summary,
            by_cell: by_cell.collect(),
            ids,
        }
    }

    /// Where a row about `rung` leads to, by its name or as a cell shows that.
    pub(super) fn link(&self, rung: &str) -> Option<String> {
        let id = self.by_cell.get(&inert(rung.to_owned()))?;
        Some(format!("#{id}"))
    }
}

fn has_part(rung: &RungSummary<'_>) -> bool {
    rung.time.as_ref().is_some_and(|time| time.has_starts()) || !rung.memory.is_empty()
}
