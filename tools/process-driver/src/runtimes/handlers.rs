//! Which runtimes can start handlers, and how these are asked.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::entry::Entry;
use super::error::EntryError;
use super::template::Placeholder;

/// How a native function that is a handler is asked, once the command has started it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handlers {
    /// At the host's loopback, on a port of its own for each worker.
    Host,
    /// At the loopback of the network namespace that the command makes for it.
    Namespace,
    /// Not at all, and why.
    None(String),
}

impl Entry {
    /// Whether it runs functions natively.
    fn runs_native(&self) -> bool {
        use Placeholder::{Bundle, Function, Program};
        let native = BTreeSet::from([Function, Program, Bundle]);
        !self.uses().is_disjoint(&native)
    }

    pub(super) fn check_handlers(&self) -> Result<(), EntryError> {
        match &self.handlers {
            None | Some(Handlers::None(_)) => Ok(()),
            Some(_) if self.uses().contains(&Placeholder::Port) => Err(EntryError::HandlersTwice),
            Some(_) if !self.runs_native() => Err(EntryError::HandlersNotNative),
            Some(Handlers::Host | Handlers::Namespace) => Ok(()),
        }
    }

    /// Why its functions cannot be handlers.
    #[must_use]
    pub fn why_no_handlers(&self) -> &str {
        match &self.handlers {
            Some(Handlers::None(why)) => why,
            _ if self.runs_native() => "its entry in runtimes.toml does not say how (`handlers`)",
            _ => "its command runs a program to its end and gives no {port}",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rest: &str) -> Result<Entry, Box<dyn std::error::Error>> {
        let entry: Entry = toml::from_str(&format!("id = 'x'\nisolation = {{}}\n{rest}"))?;
        Ok(entry.check()?)
    }

    #[test]
    fn why_there_are_none_is_said() {
        for (rest, why) in [
            (
                "command = ['x', '{function}']\nhandlers = { none = 'deaf' }",
                "deaf",
            ),
            ("command = ['x', '{function}']", "(`handlers`)"),
            ("command = ['x', '{wasm}']", "gives no {port}"),
        ] {
            let entry = check(rest).expect(rest);
            assert!(entry.why_no_handlers().contains(why), "{rest}");
        }
    }

    #[test]
    fn who_cannot_ask_is_told() {
        for (rest, words) in [
            (
                "command = ['x', '{wasm}', '{port}']\nhandlers = 'host'",
                "says by {port} how handlers are asked",
            ),
            (
                "command = ['x', '{wasm}']\nhandlers = 'namespace'",
                "runs no native function",
            ),
            ("command = ['x', '{function}']\nhandlers = 'hots'", "hots"),
        ] {
            let error = check(rest).expect_err(rest).to_string();
            assert!(error.contains(words), "{rest}: {error}");
        }
    }
}
