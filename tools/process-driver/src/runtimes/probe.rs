//! Whether a runtime runs here: by finding it, then by trying it.

use std::time::Duration;

use measure_core::base::ids::FunctionId;
use measure_core::contract::Probe;
use measure_core::driver_kit::DriverError;

use super::aside;
use super::entry::Entry;
use super::template::Placeholder;
use crate::store::Store;

/// How long the trial start may take.
const TRIAL_LIMIT_S: u64 = 10;
const VERSION_LIMIT: Duration = Duration::from_secs(5);
/// What is tried.
const TRIAL: (&str, &str) = ("demo", "noop");

/// Looks for what is needed and has `trial` make one start of what it is given.
pub(super) fn probe(
    entry: &Entry,
    store: &Store,
    trial: impl FnOnce(Entry, FunctionId) -> Result<(), DriverError>,
) -> Probe {
    for executable in entry.executables() {
        if aside::find(&executable).is_none() {
            return Probe::unavailable(format!("`{executable}` is not installed"), &entry.install);
        }
    }
    if entry.uses().contains(&Placeholder::Port) {
        // It serves handlers, and none of these is there by itself.
        return Probe::Ready;
    }
    let Ok(function) = FunctionId::new(TRIAL.0, TRIAL.1) else {
        return Probe::unavailable("no function to try", "make functions");
    };
    let there = if entry.uses().contains(&Placeholder::Script) {
        // The entry brings it.
        Ok(())
    } else if entry.runs_wasm() {
        store.wasm(&function).map(drop)
    } else {
        store.executable(&function).map(drop)
    };
    match there {
        Ok(()) => {}
        Err(DriverError::Usage(_)) => {
            let why = format!("no {function} for it in {}", store.root().display());
            return Probe::unavailable(why, "build the demo functions with `make functions`");
        }
        Err(error) => return Probe::unavailable(error.to_string(), ""),
    }
    let mut tried = entry.clone();
    tried.timeout_s = tried.timeout_s.min(TRIAL_LIMIT_S);
    match trial(tried, function) {
        Ok(()) => Probe::Ready,
        Err(DriverError::Unavailable { why, mend }) => Probe::unavailable(why, mend),
        Err(error) => Probe::unavailable(error.to_string(), &entry.mend),
    }
}

/// The runtime's version, as it says it.
pub(super) fn version(entry: &Entry) -> String {
    let words = entry.version.as_deref().unwrap_or_default();
    if words.is_empty() {
        return "no runtime in between".into();
    }
    let environment = [(
        "PATH".to_owned(),
        aside::search_path().to_string_lossy().into_owned(),
    )];
    let said = match aside::run_aside(words, &environment, VERSION_LIMIT) {
        Ok(said) => said,
        Err(why) => return format!("{} of unknown version ({why})", entry.id),
    };
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    with_its_name(&entry.id, line.unwrap_or("of unknown version"))
}

fn with_its_name(id: &str, version: &str) -> String {
    if version.contains(id) {
        return version.to_owned();
    }
    format!("{id} {version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_its_runtime() {
        assert_eq!(with_its_name("node", "v20.20.2"), "node v20.20.2");
        assert_eq!(
            with_its_name("runc", "runc version 1.1.5"),
            "runc version 1.1.5"
        );
    }
}
