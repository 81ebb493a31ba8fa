//! What of two environments differs, as far as it may move numbers.

use std::collections::BTreeSet;

use measure_core::contract::environment::{Environment, Fact, Facts};
use serde_json::Value;

use crate::two_runs::Difference;

/// Differs from any run to the next.
const VOLATILE: [&str; 2] = ["uptime_seconds", "cgroup"];
/// Of the run itself what was measured with, not when or how it was asked for.
const OF_THE_RUN: [&str; 4] = [
    "host",
    "git_revision",
    "git_modified",
    "measure_core_version",
];
/// More of a list, and longer texts, are not repeated.
const MOST: usize = 4;
const MOST_CHARS: usize = 100;

/// Every fact about host, program and engines that `first` and `second` do not share.
#[must_use]
pub fn differences(first: Option<&Environment>, second: Option<&Environment>) -> Vec<Difference> {
    let (Some(first), Some(second)) = (first, second) else {
        let known = |side: Option<&Environment>| {
            let words = side.map_or("not recorded: any difference is unknown", |_| "recorded");
            words.to_owned()
        };
        return vec![Difference {
            fact: "environment".to_owned(),
            first: known(first),
            second: known(second),
        }];
    };
    let of_the_run = |facts: &Facts| -> Facts {
        let named = facts
            .iter()
            .filter(|(name, _)| OF_THE_RUN.contains(&name.as_str()));
        named
            .map(|(name, fact)| (name.clone(), fact.clone()))
            .collect()
    };
    let mut found = Vec::new();
    compare(&mut found, "", &first.cpu, &second.cpu);
    compare(&mut found, "", &first.system, &second.system);
    compare(
        &mut found,
        "",
        &of_the_run(&first.run),
        &of_the_run(&second.run),
    );
    for (engine, facts) in &first.engines {
        if let Some(others) = second.engines.get(engine) {
            compare(&mut found, &format!("{engine}: "), facts, others);
        }
    }
    found
}

fn compare(found: &mut Vec<Difference>, of: &str, first: &Facts, second: &Facts) {
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    for name in names {
        let sides = (first.get(name), second.get(name));
        if sides.0 == sides.1 || VOLATILE.contains(&name.as_str()) {
            continue;
        }
        let (first, second) = match sides {
            (Some(Fact::Value(first)), Some(Fact::Value(second))) => apart(first, second),
            (first, second) => (fact(first), fact(second)),
        };
        if first != second {
            found.push(Difference {
                fact: format!("{of}{name}"),
                first,
                second,
            });
        }
    }
}

fn fact(fact: Option<&Fact>) -> String {
    match fact {
        None => "not recorded".to_owned(),
        Some(Fact::Unknown(why)) => format!("unknown: {why}"),
        Some(Fact::Value(value)) => words(value),
    }
}

/// Both values in words; of lists and tables only what sets them apart. Entries that one side does not have at all say
/// that other things were run, not that they differ.
fn apart(first: &Value, second: &Value) -> (String, String) {
    match (first, second) {
        (Value::Array(first), Value::Array(second)) => {
            let only = |these: &[Value], those: &[Value]| {
                let only: Vec<String> = these
                    .iter()
                    .filter(|v| !those.contains(v))
                    .map(words)
                    .collect();
                some_of(&only)
            };
            (only(first, second), only(second, first))
        }
        (Value::Object(first), Value::Object(second)) => {
            let names: Vec<String> = first
                .iter()
                .filter(|(name, value)| second.get(*name).is_some_and(|other| other != *value))
                .map(|(name, _)| name.clone())
                .collect();
            let differ = format!("{} differ: {}", names.len(), some_of(&names));
            if names.is_empty() {
                // The same text twice is no difference.
                ("-".to_owned(), "-".to_owned())
            } else {
                (differ, "others".to_owned())
            }
        }
        (Value::String(first), Value::String(second)) if first.contains("; ") => {
            let parts = |text: &str| text.split("; ").map(Value::from).collect();
            apart(&Value::Array(parts(first)), &Value::Array(parts(second)))
        }
        (first, second) => {
            let (short, other) = (words(first), words(second));
            if short == other {
                (first.to_string(), second.to_string())
            } else {
                (short, other)
            }
        }
    }
}

fn some_of(words: &[String]) -> String {
    let named = words
        .iter()
        .take(MOST)
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    match words.len().saturating_sub(MOST) {
        0 if words.is_empty() => "-".to_owned(),
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    measure_core::base::words::one_line(&text, MOST_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(pairs: &[(&str, Value)]) -> Facts {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, value)| (name.to_owned(), Fact::Value(value)))
            .collect()
    }

    #[test]
    fn what_sets_two_sides_apart_is_named_and_nothing_else() {
        let first = facts(&[
            ("cpu_model", json!("A")),
            ("same", json!(1)),
            ("uptime_seconds", json!(1)),
            ("cpu_flags", json!(["avx2", "avx512f", "sse2"])),
            ("programs", json!({"gemm": "1", "lu": "2", "mvt": "3"})),
            ("gone", json!(true)),
            ("settings", json!("-O3; x")),
        ]);
        let second = facts(&[
            ("cpu_model", json!("B")),
            ("same", json!(1)),
            ("uptime_seconds", json!(2)),
            ("cpu_flags", json!(["avx2", "sse2"])),
            ("programs", json!({"gemm": "1", "lu": "4"})),
            ("settings", json!("-O2; x")),
        ]);
        let mut found = Vec::new();
        compare(&mut found, "x: ", &first, &second);
        let told: Vec<_> = found
            .iter()
            .map(|d| (&*d.fact, &*d.first, &*d.second))
            .collect();
        assert_eq!(
            told,
            [
                ("x: cpu_flags", "avx512f", "-"),
                ("x: cpu_model", "A", "B"),
                ("x: gone", "true", "not recorded"),
                ("x: programs", "1 differ: lu", "others"),
                ("x: settings", "-O3", "-O2"),
            ]
        );
        let mut found = Vec::new();
        compare(&mut found, "", &first, &first);
        assert_eq!(found, []);
    }

    #[test]
    fn environments_differ_by_facts_and_not_by_the_moment() {
        let environment = |model: &str, uptime: u64| -> Environment {
            serde_json::from_value(json!({
                "schema": 1,
                "cpu": { "cpu_model": { "value": model } },
                "system": { "uptime_seconds": { "value": uptime } },
                "run": {},
                "engines": { "faasm-driver": { "executable_sha256": { "value": "ab" } } },
                "before": { "unix_seconds": 1, "average": { "unknown": "?" }, "cpu": null, "swapped_pages": null, "watched": null },
                "after": null,
            }))
            .expect("an environment")
        };
        let (old, same, new) = (
            environment("X", 1),
            environment("X", 2),
            environment("Y", 3),
        );
        assert!(differences(Some(&old), Some(&same)).is_empty());
        let found = differences(Some(&old), Some(&new));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].fact.as_str(), found[0].second.as_str()),
            ("cpu_model", "Y")
        );
        let unknown = differences(Some(&old), None);
        assert!(unknown[0].second.contains("not recorded"));
    }
}
