//! The second engine: where its tools are, and functions compiled by them from the command line.

use std::sync::{Arc, OnceLock};

use faaslet::store::Codegen;
use faaslet::{CompileLimits, FaasletEngine, Store};
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::driver_kit::DriverError;
use second_engine::{COMPILER, SecondEngineError, Toolchain};

use crate::answers::driver_error;

/// What to do where a tool is missing.
const MEND: &str = "`make wasm2c` installs it";

/// Its tools, looked for when they are first asked for.
#[derive(Debug, Clone)]
pub(crate) struct SecondEngine {
    tools: Arc<OnceLock<Result<Toolchain, SecondEngineError>>>,
    limits: CompileLimits,
}

impl SecondEngine {
    /// One whose tools may take so much for a module.
    pub(crate) fn new(limits: CompileLimits) -> Self {
        Self {
            tools: Arc::default(),
            limits,
        }
    }

    /// The tools.
    ///
    /// # Errors
    /// Which is missing, and how to mend it.
    pub(crate) fn tools(&self) -> Result<&Toolchain, DriverError> {
        let found = self.tools.get_or_init(|| {
            let found = Toolchain::find(&home::root(), COMPILER);
            found.map(|tools| tools.with_limits(self.limits.clone()))
        });
        found.as_ref().map_err(|why| DriverError::Unavailable {
            why: why.to_string(),
            mend: MEND.to_owned(),
        })
    }

    /// What they are and how they are told, for the records; nothing where they are missing.
    pub(crate) fn describe(&self) -> Vec<String> {
        self.tools().map(Toolchain::describe).unwrap_or_default()
    }
}

/// Compiles `id` by way of C.
pub(crate) fn codegen(
    store: &Store,
    tools: &Toolchain,
    engine: &FaasletEngine,
    id: &FunctionId,
) -> Result<Codegen, DriverError> {
    let made = store.codegen_by_c(engine, tools, id);
    made.map_err(driver_error)
}
