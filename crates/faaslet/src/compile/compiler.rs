//! Which compiler an engine has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use confine::CompileLimits;

use crate::error::FaasletError;

/// Whether this process's executable compiles when it is asked to ([`worker_if_asked`](super::worker_if_asked)).
pub(super) static IS_WORKER_TOO: AtomicBool = AtomicBool::new(false);

/// Where an engine has modules compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process, without limits: for modules of one's own.
    Here,
    /// In a process of its own.
    Process {
        /// What it may take.
        limits: CompileLimits,
        /// Set when nobody wants the code any more; without it, a signal to this process ends the work.
        given_up: Option<Arc<AtomicBool>>,
    },
}

impl Compiler {
    /// What an engine has that is told nothing else: a process of its own where the executable is made for it, as all tools are.
    ///
    /// # Errors
    /// As [`CompileLimits::from_env`].
    pub(crate) fn of_process() -> Result<Self, FaasletError> {
        if !IS_WORKER_TOO.load(Ordering::Relaxed) {
            return Ok(Self::Here);
        }
        Ok(Self::Process {
            limits: CompileLimits::from_env()
                .map_err(|e| FaasletError::refused("the environment", e))?,
            given_up: None,
        })
    }
}
