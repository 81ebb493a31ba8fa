//! What else the host did during the blocks.

use std::collections::BTreeMap;

use crate::host::Disturbance;
use table::{Align, Table};

/// What the table says, before it.
pub(crate) const ABOUT: &str = "Blocks of measurement that something else on the host disturbed, by the rules in docs/records.md. Their values are in the tables, unless `--strict` had them made again.";

/// A row for each of `found`, which are `what`; none if nothing was watched.
#[must_use]
pub fn host_table(what: &str, found: &BTreeMap<&str, Disturbance>) -> Table {
    let mut table = Table::new(&[
        (what, Align::Left),
        ("Blocks", Align::Right),
        ("Disturbed", Align::Right),
        ("Share", Align::Right),
        ("Too short to tell", Align::Right),
        ("By", Align::Left),
    ]);
    for (name, host) in found {
        let told = host.blocks - host.too_short;
        let share = if told == 0 {
            "-".to_owned()
        } else {
            format!("{:.0} %", 100.0 * host.disturbed as f64 / told as f64)
        };
        let reasons = host.reasons.iter();
        let reasons: Vec<String> = reasons.map(|(why, n)| format!("{why} {n}")).collect();
        table.row([
            (*name).to_owned(),
            host.blocks.to_string(),
            host.disturbed.to_string(),
            share,
            host.too_short.to_string(),
            reasons.join(", "),
        ]);
    }
    table
}

/// A section with that table; empty if nothing was watched.
#[must_use]
pub fn section(what: &str, found: &BTreeMap<&str, Disturbance>) -> String {
    let table = host_table(what, found);
    if table.is_empty() {
        return String::new();
    }
    format!("## The host meanwhile\n\n{ABOUT}\n\n{}\n", table.markdown())
}
