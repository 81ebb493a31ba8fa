//! `summary.json`: the tables of a run and what they were measured on, for whoever shows its figures elsewhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Table;

/// The file's name, in the directory of a run.
pub const SUMMARY: &str = "summary.json";
/// Version of the file's form; a reader refuses what is newer.
pub const SCHEMA: u32 = 1;

/// What a run found, as its report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run directory's name.
    pub run: String,
    /// As typed, each part of the run.
    pub commands: Vec<String>,
    /// In a line: CPU model, processors, kernel, virtual or not, date, commit.
    pub measured_on: String,
    /// By name, as the report shows them.
    pub tables: BTreeMap<String, Table>,
}

impl Summary {
    /// As its file has it.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Align;

    #[test]
    fn a_summary_survives_its_file() {
        let mut table = Table::new(&[("rung", Align::Left), ("median", Align::Right)]);
        table.row(["wasm", "5.1 us"]);
        let summary = Summary {
            schema: SCHEMA,
            run: "r".into(),
            commands: vec!["runtime_bench quick".into()],
            measured_on: "a CPU".into(),
            tables: BTreeMap::from([("ladder".to_owned(), table)]),
        };
        let text = serde_json::to_string(&summary).expect("plain data");
        assert!(text.contains(r#"["median","right"]"#), "{text}");
        let read: Summary = serde_json::from_str(&text).expect("its own form");
        assert_eq!(read, summary);
    }
}
