//! Which runtimes can start handlers, and how these are asked.

use std::collections::BTreeSet;

use serde::Deserialize;

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

/// Whether an entry whose commands use so many placeholders runs functions natively.
fn runs_native(uses: &BTreeSet<Placeholder>) -> bool {
    use Placeholder::{Bundle, Function, Program};
    !uses.is_disjoint(&BTreeSet::from([Function, Program, Bundle]))
}

/// Fails where `handlers` says what an entry whose commands use so many placeholders cannot do.
pub(super) fn check(
    handlers: Option<&Handlers>,
    uses: &BTreeSet<Placeholder>,
) -> Result<(), EntryError> {
    match handlers {
        None | Some(Handlers::None(_)) => Ok(()),
        Some(_) if uses.contains(&Placeholder::Port) => Err(EntryError::HandlersTwice),
        Some(_) if !runs_native(uses) => Err(EntryError::HandlersNotNative),
        Some(Handlers::Host | Handlers::Namespace) => Ok(()),
    }
}

/// Why functions of such an entry cannot be handlers.
pub(super) fn why_none<'a>(
    handlers: Option<&'a Handlers>,
    uses: &BTreeSet<Placeholder>,
) -> &'a str {
    match handlers {
        Some(Handlers::None(why)) => why,
        _ if runs_native(uses) => "its entry in runtimes.toml does not say how (`handlers`)",
        _ => "its command runs a program to its end and gives no {port}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_are_none_is_said() {
        let native = BTreeSet::from([Placeholder::Function]);
        let deaf = Handlers::None("deaf".to_owned());
        assert_eq!(why_none(Some(&deaf), &native), "deaf");
        assert!(why_none(None, &native).contains("(`handlers`)"));
        let wasm = BTreeSet::from([Placeholder::Wasm]);
        assert!(why_none(None, &wasm).contains("gives no {port}"));
    }

    #[test]
    fn who_cannot_ask_is_told() {
        let native = BTreeSet::from([Placeholder::Function]);
        let wasm = BTreeSet::from([Placeholder::Wasm]);
        let serves = BTreeSet::from([Placeholder::Wasm, Placeholder::Port]);
        for (handlers, uses, outcome) in [
            (Handlers::Host, &native, Ok(())),
            (
                Handlers::Namespace,
                &wasm,
                Err(EntryError::HandlersNotNative),
            ),
            (Handlers::Host, &serves, Err(EntryError::HandlersTwice)),
            (Handlers::None("deaf".to_owned()), &serves, Ok(())),
        ] {
            assert_eq!(check(Some(&handlers), uses), outcome);
        }
    }
}
