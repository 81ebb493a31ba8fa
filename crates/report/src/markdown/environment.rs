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
    for (title, facts) in [
        ("Processor", &environment.cpu),
        ("System", &environment.system),
        ("Run", &environment.run),
    ] {
        let _ = writeln!(text, "\n### {title}\n");
        list(&mut text, facts);
    }
    for (engine, facts) in &environment.engines {
        let _ = writeln!(text, "\n### {engine}\n");
        list(&mut text, facts);
    }
    text
}

fn list(text: &mut String, facts: &Facts) {
    for (name, fact) in facts {
        let words = match fact {
            Fact::Value(value) => words(value),
            Fact::Unknown(why) => format!("unknown: {why}"),
        };
        let _ = writeln!(text, "- {name}: {}", words.replace('\n', " "));
    }
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
