//! Words of a command with placeholders, `{name}`. `{{` and `}}` are braces.

use std::collections::BTreeSet;

use measure_core::base::ids;

use super::error::EntryError;

/// In `run`. The last three stand for any number of words.
pub(super) const RUN: [&str; 6] = ["module", "compiled", "script", "args", "dirs", "env"];
/// In `compile`.
pub(super) const COMPILE: [&str; 3] = ["module", "compiled", "script"];
/// In `dir`.
pub(crate) const DIR: [&str; 2] = ["host", "guest"];
/// In `env`.
pub(crate) const ENV: [&str; 2] = ["name", "value"];
/// Those that stand for any number of words.
const SEVERAL: [&str; 3] = ["args", "dirs", "env"];

/// The placeholders that some words have.
#[derive(Debug, Default)]
pub(super) struct Uses(BTreeSet<&'static str>);

impl Uses {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// What stands in a word.
enum Part<'a> {
    Text(char),
    Placeholder(&'a str),
}

/// Goes through a word; `None` where a brace has no partner.
fn parts(word: &str) -> Option<Vec<Part<'_>>> {
    let mut found = Vec::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '{' | '}' if rest.starts_with(first) => {
                rest = &rest[1..];
                found.push(Part::Text(first));
            }
            '{' => {
                let (name, after) = rest.split_once('}')?;
                if name.contains('{') {
                    return None;
                }
                found.push(Part::Placeholder(name));
                rest = after;
            }
            '}' => return None,
            other => found.push(Part::Text(other)),
        }
    }
    Some(found)
}

/// The placeholders of `words`, all of which must be `known`.
pub(super) fn check(
    field: &'static str,
    words: &[String],
    known: &[&'static str],
) -> Result<Uses, EntryError> {
    let mut uses = Uses::default();
    for word in words {
        let parts = parts(word).ok_or_else(|| EntryError::LoneBrace {
            field,
            text: word.clone(),
        })?;
        for part in &parts {
            let Part::Placeholder(name) = part else {
                continue;
            };
            let Some(&name) = known.iter().find(|known| *known == name) else {
                let known: Vec<String> = known.iter().map(|&k| k.to_owned()).collect();
                let why = ids::unknown("placeholder", name, &known);
                return Err(EntryError::Placeholder { field, why });
            };
            // `{value}` of the field `env` is one.
            if SEVERAL.contains(&name) && parts.len() > 1 {
                let text = word.clone();
                return Err(EntryError::NoWord { field, name, text });
            }
            uses.0.insert(name);
        }
    }
    Ok(uses)
}

/// What placeholders stand for.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    pub(crate) module: &'a str,
    pub(crate) compiled: &'a str,
    pub(crate) script: &'a str,
    pub(crate) args: &'a [String],
    /// Already as words.
    pub(crate) dirs: &'a [String],
    /// Already as words.
    pub(crate) env: &'a [String],
}

/// `words`, which have been checked, with everything in its place.
pub(crate) fn fill(words: &[String], given: &Given<'_>) -> Vec<String> {
    let mut filled = Vec::new();
    for word in words {
        match word.as_str() {
            "{args}" => filled.extend_from_slice(given.args),
            "{dirs}" => filled.extend_from_slice(given.dirs),
            "{env}" => filled.extend_from_slice(given.env),
            word => filled.push(fill_word(word, |name| match name {
                "module" => given.module,
                "compiled" => given.compiled,
                _ => given.script,
            })),
        }
    }
    filled
}

/// `words` once for each pair, whose halves are called `names`.
pub(crate) fn fill_each(
    words: &[String],
    names: [&str; 2],
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Vec<String> {
    let mut filled = Vec::new();
    for (first, second) in pairs {
        let value = |name: &str| {
            if name == names[0] {
                first.as_str()
            } else {
                second.as_str()
            }
        };
        filled.extend(words.iter().map(|word| fill_word(word, value)));
    }
    filled
}

fn fill_word<'a>(word: &str, value: impl Fn(&str) -> &'a str) -> String {
    let mut filled = String::new();
    for part in parts(word).unwrap_or_default() {
        match part {
            Part::Text(character) => filled.push(character),
            Part::Placeholder(name) => filled.push_str(value(name)),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn lists_become_words_and_names_their_values() {
        let run = owned(&[
            "x",
            "--{{a}}",
            "{dirs}",
            "{env}",
            "{compiled}.so",
            "--",
            "{args}",
        ]);
        let uses = check("run", &run, &RUN).expect("right");
        assert!(uses.has("dirs") && uses.has("args") && !uses.has("module"));
        let dirs = fill_each(
            &owned(&["--dir", "{host}::{guest}"]),
            DIR,
            [
                ("/a".to_owned(), "/b".to_owned()),
                ("/c".to_owned(), "{".to_owned()),
            ],
        );
        let given = Given {
            compiled: "/code",
            args: &owned(&["--time", "3"]),
            dirs: &dirs,
            ..Given::default()
        };
        let filled = fill(&run, &given).join(" ");
        assert_eq!(
            filled,
            "x --{a} --dir /a::/b --dir /c::{ /code.so -- --time 3"
        );
    }

    proptest! {
        #[test]
        fn no_word_panics_and_text_survives(word in "[{}a-z]{0,20}", text in "\\PC{0,20}") {
            let _ = check("run", &[word], &RUN);
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(fill(&[doubled], &Given::default()), [text]);
        }
    }
}
