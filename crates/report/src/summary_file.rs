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
    let mut commands: Vec<String> = Vec::new();
    for part in &records.info.parts {
        let command = as_typed(&part.command_line);
        // A `quick` is the command of both its parts.
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    let found = Summary {
        schema: SCHEMA,
        run: records.info.run.clone(),
        commands,
        measured_on: records
            .environment
            .as_ref()
            .map_or_else(String::new, measured_on),
        tables: tables.into_iter().collect::<BTreeMap<_, _>>(),
    };
    Some(Rendered {
        name: SUMMARY,
        content: found.to_json(),
    })
}

/// The words of a command line, its program by name alone.
#[must_use]
pub fn as_typed(command_line: &[String]) -> String {
    let mut words = command_line.to_vec();
    if let Some(program) = words.first_mut()
        && let Some((_, name)) = program.rsplit_once('/')
    {
        *program = name.to_owned();
    }
    words.join(" ")
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
        cpu(environment),
        processors,
        kernel,
        virtual_or_not,
        date,
        commit,
    ];
    let known: Vec<String> = facts.into_iter().flatten().collect();
    known.join(", ")
}

/// The CPU with the numbers that tell generations of one name apart.
#[must_use]
pub fn cpu(environment: &Environment) -> Option<String> {
    let fact = |name: &str| environment.fact(name)?.text();
    let model = fact("cpu_model")?;
    let numbers = fact("cpu_family").zip(fact("cpu_model_number"));
    Some(numbers.map_or(model.to_owned(), |(family, number)| {
        format!("{model}, family {family}, model {number}")
    }))
}
