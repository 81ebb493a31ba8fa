//! What a view is made from.

use std::collections::BTreeMap;

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

    /// Where a row about `rung` leads to.
    pub(super) fn link(&self, rung: &str) -> Option<String> {
        self.ids.get(rung).map(|id| format!("#{id}"))
    }
}

fn has_part(rung: &RungSummary<'_>) -> bool {
    rung.time.as_ref().is_some_and(|time| time.has_starts()) || !rung.memory.is_empty()
}
