//! What every command works with.

use faaslet::{EngineSettings, Store};

/// What the options before the command say.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) store: Store,
    pub(crate) engine: EngineSettings,
}
