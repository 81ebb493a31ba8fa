//! The host, from `environment.json`.

use std::fmt::Write;

use measure_core::contract::environment::{Environment, Fact, Facts};
use serde_json::Value;

/// More fields of one fact than this are not repeated.
const MANY: usize = 8;

/// What makes the numbers less trustworthy, near the top.
pub fn warnings(environment: Option<&Environment>) -> String {
    let concerns = environment.map(Environment::concerns).unwrap_or_default();
    if concerns.is_empty() {
        return String::new();
    }
    let mut text = String::from("## Warnings about the host\n\n");
    for concern in concerns {
        let _ = writeln!(text, "- {}: {concern}", concern.about);
    }
    text + "\n"
}

/// The facts, as lists.
pub fn section(environment: Option<&Environment>) -> String {
    let Some(environment) = environment else {
        return String::new();
    };
    let mut text = String::from("## Environment\n");
    for (title, facts) in facts_by_group(environment) {
        let _ = writeln!(text, "\n### {title}\n");
        for (name, words) in facts {
            let _ = writeln!(text, "- {name}: {words}");
        }
    }
    text
}

/// A group's name, and the name of each of its facts with what is known of it, in words.
type Group = (String, Vec<(String, String)>);

/// All facts: processor, system, run, and each engine.
pub(crate) fn facts_by_group(environment: &Environment) -> Vec<Group> {
    let own = [
        ("Processor", &environment.cpu),
        ("System", &environment.system),
        ("Run", &environment.run),
    ];
    let engines = environment.engines.iter();
    let engines = engines.map(|(engine, facts)| (engine.as_str(), facts));
    let groups = own.into_iter().chain(engines);
    groups
        .map(|(title, facts)| (title.to_owned(), in_words(facts)))
        .collect()
}

fn in_words(facts: &Facts) -> Vec<(String, String)> {
    let said = facts.iter().map(|(name, fact)| {
        let words = match fact {
            Fact::Value(value) => words(value),
            Fact::Unknown(why) => format!("unknown: {why}"),
        };
        (name.clone(), words.replace('\n', " "))
    });
    said.collect()
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Object(fields) if fields.len() > MANY => {
            format!("{} entries, in environment.json", fields.len())
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name} {}", words(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
