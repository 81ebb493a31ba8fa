//! What keeps a campaign from being made. What it finds is no error but its result.

use std::io;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::driver_kit::cgroup::CgroupError;
use probes::memory::MemoryError;

/// Why there is no campaign.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// The command line asks for what there is not.
    #[error("{0}")]
    Usage(String),
    /// This host cannot do it.
    #[error("{0}")]
    Unavailable(String),
    /// The system refuses a step.
    #[error("cannot {step}: {cause}")]
    Step {
        /// What was tried.
        step: String,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// Cgroups cannot be listed.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// Memory cannot be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl HasExit for SoakError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unavailable(_) => Exit::Unavailable,
            _ => Exit::Failed,
        }
    }
}

/// Says which step the system refused.
pub(crate) trait Step<T> {
    /// The outcome, its error being that of `step`.
    fn step(self, step: impl Into<String>) -> Result<T, SoakError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, SoakError> {
        self.map_err(|cause| SoakError::Step {
            step: step.into(),
            cause: cause.into(),
        })
    }
}
