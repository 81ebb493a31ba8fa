//! `summary.json`: the tables that pages show, and what they were measured on.

use std::collections::BTreeMap;

use ::report::{as_typed, measured_on};
use ::table::Table;
use ::table::summary::{SCHEMA, Summary};
use measure_core::contract::environment::{Environment, Fact};

use super::markdown::victim_table;
use super::terminal::{differences_table, verdicts};
use crate::record::Found;

/// The file: `isolation`, a row for each rung that was probed, `otherwise` for what its entry states and was not so, `victim` for noisy
/// neighbours.
pub(super) fn render(found: &Found, environment: Option<&Environment>) -> String {
    let mut tables: BTreeMap<String, Table> = [
        ("isolation", verdicts(found)),
        ("otherwise", differences_table(found)),
        ("victim", victim_table(found).0),
    ]
    .map(|(name, table)| (name.to_owned(), table))
    .into();
    tables.retain(|_, table| !table.is_empty());
    let summary = Summary {
        schema: SCHEMA,
        run: found.run.clone(),
        commands: environment.and_then(typed).into_iter().collect(),
        measured_on: environment.map_or_else(String::new, measured_on),
        tables,
    };
    summary.to_json()
}

fn typed(environment: &Environment) -> Option<String> {
    let Fact::Value(words) = environment.run.get("command_line")? else {
        return None;
    };
    let words: Vec<String> = serde_json::from_value(words.clone()).ok()?;
    Some(as_typed(&words))
}
