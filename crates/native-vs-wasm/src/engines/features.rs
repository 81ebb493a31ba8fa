//! What an entry says that its engine takes.

use measure_core::base::ids;
use wasmparser::WasmFeatures;

use super::error::EntryError;
pub use wasm_interface::features::{BASE, NAMED, lacking};

/// [`BASE`] and what `names` name.
///
/// # Errors
/// A name that is none; the nearest is suggested.
pub fn of_names(names: &[String]) -> Result<WasmFeatures, EntryError> {
    let mut features = BASE;
    for name in names {
        let found = NAMED.iter().find(|(known, _)| known == name);
        let (_, feature) = found.ok_or_else(|| {
            let known = NAMED.map(|(name, _)| name.to_owned());
            EntryError::UnknownFeature(ids::unknown("feature", name, &known))
        })?;
        features |= *feature;
    }
    Ok(features)
}
