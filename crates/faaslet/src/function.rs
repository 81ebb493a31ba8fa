//! A function, loaded and ready to be started any number of times, each time in a fresh instance.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use wasmtime::Module;

use crate::budget::Budget;
use crate::component::ComponentProgram;
use crate::engine::FaasletEngine;
use crate::error::{FaasletError, StartError};
use crate::grants::Grants;
use crate::program::Program;
use crate::thread::panicked;

pub use crate::laps::{Laps, Untimed, phase};

/// A loaded function. Cheap to clone; may be started from any number of threads at once, as far as the
/// engine has slots.
#[derive(Clone)]
pub struct Function(Kind);

#[derive(Clone)]
enum Kind {
    Module(Program),
    Component(Arc<ComponentProgram>),
}

impl From<Program> for Function {
    fn from(program: Program) -> Self {
        Self(Kind::Module(program))
    }
}

impl From<ComponentProgram> for Function {
    fn from(program: ComponentProgram) -> Self {
        Self(Kind::Component(Arc::new(program)))
    }
}

impl Function {
    /// The function that `module`, called `what` in errors, holds.
    ///
    /// # Errors
    /// It imports what is not offered, or its memory or table begins above the limits.
    pub fn new(
        engine: &FaasletEngine,
        what: &str,
        module: &Module,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        Program::new(engine, what, module, grants).map(Self::from)
    }

    /// The function whose module `wasm`, called `what` in errors, was compiled to the shared library `path` by the crate
    /// `second-engine`, with [`GUARD_BYTES`](crate::settings::GUARD_BYTES) for a guard.
    ///
    /// # Errors
    /// As [`Function::new`]; others may write to the library, or it is none.
    pub fn from_library(
        engine: &FaasletEngine,
        what: &str,
        wasm: &[u8],
        path: &Path,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        Program::from_library(engine, what, wasm, path, grants).map(Self::from)
    }

    /// Whether it has a table of descriptors, or only its standard streams.
    #[must_use]
    pub fn has_files(&self) -> bool {
        match &self.0 {
            Kind::Module(program) => program.has_files(),
            Kind::Component(_) => true,
        }
    }

    /// Whether it answers requests instead of running to its end.
    #[must_use]
    pub fn is_handler(&self) -> bool {
        match &self.0 {
            Kind::Module(_) => false,
            Kind::Component(program) => program.is_handler(),
        }
    }

    /// One start on the calling thread, from a fresh instance to its last byte reset: [`phase`]s are
    /// lapped on `clock`.
    ///
    /// # Errors
    /// It did not end with exit code 0, or could not begin.
    pub fn start(&self, clock: &mut impl Laps) -> Result<(), StartError> {
        match &self.0 {
            Kind::Module(program) => program.start(clock),
            Kind::Component(program) => {
                // Its calls are served by others' code: where that panics, this start ends and not the process.
                let outcome = catch_unwind(AssertUnwindSafe(|| program.start(clock)));
                outcome.unwrap_or_else(|panic| Err(panicked(&*panic)))
            }
        }
    }

    /// What its starts have together with all others of its engine.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        match &self.0 {
            Kind::Module(program) => program.budget(),
            Kind::Component(program) => program.budget(),
        }
    }
}
