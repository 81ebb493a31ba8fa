//! Facts on their way into a group of the record.

use measure_core::contract::environment::{Fact, Facts};

/// Collects facts under their names.
pub(super) struct Collector(pub(super) Facts);

impl Collector {
    pub(super) fn add(&mut self, name: &str, fact: impl Into<Fact>) {
        self.0.insert(name.to_owned(), fact.into());
    }
}
