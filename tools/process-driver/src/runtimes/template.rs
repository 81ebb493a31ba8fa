//! Texts with placeholders, `{name}`, as they stand in a runtimes file. `{{` and `}}` are braces.

use std::collections::BTreeSet;

use measure_core::base::ids;
use serde::Deserialize;

use super::error::TemplateError;

/// What can stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// The native executable of the function, on the host.
    Function,
    /// The function as Wasm, on the host.
    Wasm,
    /// The function in the runtime's own language, a file in the state directory.
    Script,
    /// A root directory with the native executable in it.
    Root,
    /// The path of the executable within that root.
    Program,
    /// An OCI bundle: that root and a `config.json` beside it.
    Bundle,
    /// A name that no other start has.
    Name,
    /// A directory of this run's, removed at its end.
    State,
    /// A further one with a short path, for sockets.
    Run,
    /// Path, within each cgroup hierarchy, of the group whose CPU time and memory count.
    Cgroup,
    /// The port that a handler is to listen on: who has it serves handlers.
    Port,
    /// A variable of the function's environment, `NAME=VALUE`: its word is there once for each.
    Variable,
}

impl Placeholder {
    /// Every placeholder.
    pub const ALL: [Self; 12] = [
        Self::Function,
        Self::Wasm,
        Self::Script,
        Self::Root,
        Self::Program,
        Self::Bundle,
        Self::Name,
        Self::State,
        Self::Run,
        Self::Cgroup,
        Self::Port,
        Self::Variable,
    ];

    /// What stands in the braces.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Wasm => "wasm",
            Self::Script => "script",
            Self::Root => "root",
            Self::Program => "program",
            Self::Bundle => "bundle",
            Self::Name => "name",
            Self::State => "state",
            Self::Run => "run",
            Self::Cgroup => "cgroup",
            Self::Port => "port",
            Self::Variable => "variable",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Placeholder),
}

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// A placeholder that does not exist, or a brace without its partner.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let inner = (brace == "{").then(|| after.split_once('}')).flatten();
            let Some((word, after)) = inner else {
                return Err(TemplateError::LoneBrace {
                    brace: brace.to_owned(),
                    text: text.to_owned(),
                });
            };
            parts.extend(text_part(&mut plain));
            parts.push(Part::Value(placeholder(word)?));
            rest = after;
        }
        plain.push_str(rest);
        parts.extend(text_part(&mut plain));
        Ok(Self(parts))
    }

    /// Which placeholders are in it.
    #[must_use]
    pub fn uses(&self) -> BTreeSet<Placeholder> {
        let values = self.0.iter().filter_map(|part| match part {
            Part::Value(placeholder) => Some(*placeholder),
            Part::Text(_) => None,
        });
        values.collect()
    }

    /// Whether it is there once for each variable.
    #[must_use]
    pub fn is_by_variable(&self) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, Part::Value(Placeholder::Variable)))
    }

    /// The text with every placeholder replaced.
    pub fn fill<'a>(&self, value: impl Fn(Placeholder) -> &'a str) -> String {
        self.0.iter().fold(String::new(), |text, part| match part {
            Part::Text(plain) => text + plain,
            Part::Value(placeholder) => text + value(*placeholder),
        })
    }
}

fn text_part(plain: &mut String) -> Option<Part> {
    (!plain.is_empty()).then(|| Part::Text(std::mem::take(plain)))
}

fn placeholder(word: &str) -> Result<Placeholder, TemplateError> {
    let found = Placeholder::ALL.into_iter().find(|p| p.word() == word);
    found.ok_or_else(|| {
        let known = Placeholder::ALL.map(|p| p.word().to_owned());
        TemplateError::UnknownPlaceholder(ids::unknown("placeholder", word, &known))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(text: &str) -> String {
        Template::parse(text)
            .expect("a template")
            .fill(Placeholder::word)
    }

    #[test]
    fn placeholders_are_replaced_and_doubled_braces_are_braces() {
        assert_eq!(fill("--bundle={bundle}/x"), "--bundle=bundle/x");
        assert_eq!(fill("{root}{program}"), "rootprogram");
        assert_eq!(fill("{{{name}}}"), "{name}");
        assert_eq!(fill("{{name}}"), "{name}");
        assert_eq!(fill(""), "");
    }

    #[test]
    fn unknown_placeholders_and_lone_braces_are_named() {
        let error = Template::parse("{bundel}")
            .expect_err("unknown")
            .to_string();
        assert!(error.contains("did you mean `bundle`?"), "{error}");
        for text in ["{name", "name}", "{", "a}b{name}"] {
            let error = Template::parse(text).expect_err("a lone brace").to_string();
            assert!(error.contains("without its partner"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_when_its_braces_are_doubled(text in "\\PC{0,60}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(fill(&doubled), text);
        }

        #[test]
        fn no_text_panics(text in "[{}a-z]{0,40}") {
            let _ = Template::parse(&text);
        }
    }
}
