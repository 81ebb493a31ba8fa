//! What every command works with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use faaslet::{CompileLimits, Compiler, EngineSettings, FaasletEngine, FaasletError, Store};

use crate::second_engine::SecondEngine;

/// What the options before the command say.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) store: Store,
    pub(crate) engine: EngineSettings,
    pub(crate) compile: CompileLimits,
    pub(crate) second_engine: SecondEngine,
}

impl Settings {
    /// The engine that they describe.
    pub(crate) fn open_engine(&self) -> Result<FaasletEngine, FaasletError> {
        let engine = FaasletEngine::new(self.engine.clone())?;
        Ok(engine.with_compiler(self.compiler(None)))
    }

    /// What compiles modules, until `given_up` is set or a signal comes.
    pub(crate) fn compiler(&self, given_up: Option<Arc<AtomicBool>>) -> Compiler {
        Compiler::Process {
            limits: self.compile.clone(),
            given_up,
        }
    }
}
