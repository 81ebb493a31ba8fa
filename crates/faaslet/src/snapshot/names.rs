//! Which exports initialise a program and go on afterwards.

use measure_core::base::ids;
use serde::{Deserialize, Serialize};
use wasm_interface::Interface;

use crate::error::FaasletError;

/// Calls the constructors of a WASI reactor.
pub(super) const REACTOR: &str = "_initialize";
/// What an initialiser is called unless it is named: the names that Wizer's tools use.
pub const INITIALIZERS: [&str; 2] = ["wizer.initialize", "wizer-initialize"];
/// What the function is called that takes the place of `_start` in the snapshot, unless it is named.
pub const ENTRIES: [&str; 2] = ["wizer.resume", "wizer-resume"];

/// Names of exports, where they are not the usual ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The initialiser.
    pub initializer: Option<String>,
    /// What takes the place of `_start`.
    pub entry: Option<String>,
}

/// What a snapshot of a program consists in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The initialiser; a program without one is its own snapshot, whose `_start` does all that it always
    /// does.
    pub initializer: Option<String>,
    /// What takes the place of `_start`.
    pub entry: Option<String>,
    /// Whether it also exports the constructors of a WASI reactor, which are called first.
    pub has_reactor: bool,
}

impl Plan {
    /// Finds `names`, or the usual ones, among the exports of `wasm`, which is valid and called `what` in
    /// errors.
    ///
    /// # Errors
    /// A name that it does not export; an initialiser without an entry, since its `_start` would run the
    /// constructors a second time.
    pub fn from_exports(what: &str, wasm: &[u8], names: &Names) -> Result<Self, FaasletError> {
        let interface = Interface::read(wasm).map_err(|e| FaasletError::snapshot(what, e))?;
        let functions = interface.exported_functions();
        let exports: Vec<String> = functions.map(|export| export.name.clone()).collect();
        let find = |kind: &str, named: &Option<String>, usual: &[&str]| match named {
            Some(name) if exports.contains(name) => Ok(Some(name.clone())),
            Some(name) => Err(FaasletError::snapshot(
                what,
                ids::unknown(kind, name, &exports),
            )),
            None => Ok(usual
                .iter()
                .find(|&&usual| exports.iter().any(|export| export == usual))
                .map(|&name| name.to_owned())),
        };
        let plan = Self {
            initializer: find("exported initialiser", &names.initializer, &INITIALIZERS)?,
            entry: find("exported entry", &names.entry, &ENTRIES)?,
            has_reactor: exports.iter().any(|export| export == REACTOR),
        };
        match (&plan.initializer, &plan.entry) {
            (Some(initializer), None) => Err(FaasletError::snapshot(
                what,
                format!(
                    "it exports the initialiser `{initializer}` and nothing to go on with: its `_start` would run the \
                     constructors a second time; export `{}` too, or name the entry with --entry (docs/snapshots.md)",
                    ENTRIES[0]
                ),
            )),
            (None, Some(_)) => Err(FaasletError::snapshot(
                what,
                format!(
                    "it exports an entry to go on with and no initialiser; export `{}`, or name it with --init",
                    INITIALIZERS[0]
                ),
            )),
            _ => Ok(plan),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(exports: &[&str], names: &Names) -> Result<Plan, FaasletError> {
        let exports: String = exports
            .iter()
            .map(|name| format!(r#"(func (export "{name}"))"#))
            .collect();
        let wat = format!(r#"(module (memory (export "memory") 1) {exports})"#);
        let wasm = wat::parse_str(wat).expect("a module");
        Plan::from_exports("it", &wasm, names)
    }

    fn refusal(exports: &[&str], names: &Names) -> String {
        plan(exports, names).expect_err("refused").to_string()
    }

    fn named(initializer: &str, entry: &str) -> Names {
        Names {
            initializer: Some(initializer.to_owned()),
            entry: Some(entry.to_owned()),
        }
    }

    #[test]
    fn the_usual_names_are_found_and_others_can_be_given() {
        let usual = Names::default();
        let found = plan(&["_start", "wizer.initialize", "wizer.resume"], &usual);
        let found = found.expect("a plan");
        assert_eq!(found.initializer.as_deref(), Some("wizer.initialize"));
        assert_eq!(found.entry.as_deref(), Some("wizer.resume"));
        let found = plan(&["_start", "warm_up", "go_on"], &named("warm_up", "go_on"));
        assert_eq!(
            found.expect("a plan").initializer.as_deref(),
            Some("warm_up")
        );
        // A program without an initialiser has nothing to name.
        let none = plan(&["_start"], &usual).expect("a plan");
        assert_eq!((none.initializer, none.entry), (None, None));
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_with_the_nearest() {
        let error = refusal(&["_start", "warm_up", "go_on"], &named("warmup", "go_on"));
        assert!(error.contains("did you mean `warm_up`?"), "{error}");
    }

    #[test]
    fn one_without_the_other_is_refused_with_the_reason() {
        let error = refusal(&["_start", "wizer.initialize"], &Names::default());
        assert!(error.contains("wizer.resume"), "{error}");
        assert!(error.contains("second time"), "{error}");
        let error = refusal(&["_start", "wizer.resume"], &Names::default());
        assert!(error.contains("wizer.initialize"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut wasm = b"\0asm\x01\0\0\0".to_vec();
            wasm.extend(tail);
            let _ = Plan::from_exports("it", &wasm, &Names::default());
        }
    }
}
