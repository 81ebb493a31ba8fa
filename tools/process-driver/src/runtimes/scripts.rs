//! Functions in a runtime's own language, which stand in its entry.

use measure_core::base::ids::FunctionId;

use super::entry::Entry;
use super::error::EntryError;
use super::template::Placeholder;

/// The function that the script `name` is.
fn script_of(name: &str) -> Option<FunctionId> {
    name.rsplit_once('.')?.0.parse().ok()
}

impl Entry {
    /// The script that is `function` here: its name in the state directory, and its text.
    #[must_use]
    pub fn script(&self, function: &FunctionId) -> Option<(String, &str)> {
        let (name, text) = self
            .scripts
            .iter()
            .find(|(name, _)| script_of(name).as_ref() == Some(function))?;
        let ending = name.rsplit('.').next().unwrap_or_default();
        Some((format!("function.{ending}"), text))
    }

    /// The functions that it has scripts of.
    #[must_use]
    pub fn scripted(&self) -> Vec<String> {
        let ids = self.scripts.keys().filter_map(|name| script_of(name));
        ids.map(|id| id.to_string()).collect()
    }

    pub(super) fn check_scripts(&self) -> Result<(), EntryError> {
        if let Some(name) = self.scripts.keys().find(|name| script_of(name).is_none()) {
            return Err(EntryError::ScriptName(name.clone()));
        }
        match (
            self.uses().contains(&Placeholder::Script),
            self.scripts.is_empty(),
        ) {
            (true, true) => Err(EntryError::NoScripts),
            (false, false) => Err(EntryError::ScriptsUnused),
            _ => Ok(()),
        }
    }
}
