//! `summary.json`: the tables that pages show, and what they were measured on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use measure_core::contract::environment::Environment;
use table::summary::{SCHEMA, SUMMARY, Summary};

use crate::Rendered;
use crate::markdown::tables_by_name;
use crate::summary::RunSummary;

/// The file; `None` for records of which there is no table.
pub(crate) fn render(summary: &RunSummary<'_>) -> Option<Rendered> {
    let tables = tables_by_name(summary);
    if tables.is_empty() {
        return None;
    }
    let records = summary.records;
    let commands = records.info.parts.iter().map(|p| p.command_line.join(" "));
    let found = Summary {
        schema: SCHEMA,
        run: records.info.run.clone(),
        commands: commands.collect(),
        measured_on: records
            .environment
            .as_ref()
            .map_or_else(String::new, measured_on),
        tables: tables.into_iter().collect::<BTreeMap<_, _>>(),
    };
    // Plain data with string keys always serialises.
    let content = serde_json::to_string_pretty(&found).unwrap_or_default() + "\n";
    Some(Rendered {
        name: SUMMARY,
        content,
    })
}

/// In a line: CPU model, processors, kernel, virtual or not, date, commit; what is not known is left out.
#[must_use]
pub fn measured_on(environment: &Environment) -> String {
    let text = |name: &str| Some(environment.fact(name)?.text()?.to_owned());
    let truth = |name: &str| environment.fact(name)?.truth();
    let processors = text("cpus_online").map(|cpus| format!("processors {cpus}"));
    let kernel = text("kernel").map(|kernel| format!("Linux {kernel}"));
    let virtual_or_not = truth("virtualised").map(|is_virtual| {
        let words = if is_virtual { "virtual" } else { "not virtual" };
        words.to_owned()
    });
    let date = i64::try_from(environment.before.unix_seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map(|at| at.strftime("%Y-%m-%d").to_string());
    let commit = text("git_revision").map(|revision| {
        let short: String = revision.chars().take(12).collect();
        format!("commit {short}")
    });
    let facts = [
        text("cpu_model"),
        processors,
        kernel,
        virtual_or_not,
        date,
        commit,
    ];
    let known: Vec<String> = facts.into_iter().flatten().collect();
    known.join(", ")
}
