//! Why a driver could not do what it was asked.

use std::fmt;

use crate::base::exit::{Exit, HasExit};
use crate::base::lock::LockError;
use crate::base::range::OutOfRange;
use crate::base::trust::TrustError;
use crate::driver_kit::native_command::CommandFileError;

/// Why a driver could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The command line asks for what does not exist.
    #[error("{0}")]
    Usage(String),
    /// This host cannot do it.
    #[error("unavailable: {why}, {mend}")]
    Unavailable {
        /// What it lacks or refuses.
        why: String,
        /// What to do about it.
        mend: String,
    },
    /// The function failed.
    #[error("{0}")]
    StartFailed(String),
    /// The function ran to its end, with an exit code other than 0.
    #[error("{words}")]
    Exited {
        /// What it returned, 1 to 255.
        code: i32,
        /// Who ended with it, and what it said.
        words: String,
    },
    /// Another process holds what is needed.
    #[error("{0}")]
    Busy(String),
    /// The engine went away.
    #[error("the engine is gone: {0}")]
    EngineLost(String),
    /// Nobody reads standard output any more, so there is nothing more to do.
    #[error("standard output has no reader")]
    ReaderGone,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<OutOfRange> for DriverError {
    fn from(error: OutOfRange) -> Self {
        Self::Usage(error.to_string())
    }
}

impl DriverError {
    /// `what: cause`, for errors that need no code of their own.
    pub fn failed(what: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {cause}"))
    }
}

impl From<TrustError> for DriverError {
    fn from(error: TrustError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<LockError> for DriverError {
    fn from(error: LockError) -> Self {
        match error {
            busy @ LockError::Busy { .. } => Self::Busy(busy.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<CommandFileError> for DriverError {
    fn from(error: CommandFileError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl HasExit for DriverError {
    fn exit(&self) -> Exit {
        match self {
            Self::ReaderGone => Exit::Ok,
            Self::Usage(_) => Exit::Usage,
            Self::Unavailable { .. } => Exit::Unavailable,
            Self::StartFailed(_) | Self::Exited { .. } => Exit::StartFailed,
            Self::Busy(_) => Exit::Busy,
            Self::EngineLost(_) => Exit::EngineLost,
            Self::Failed(_) => Exit::Failed,
        }
    }
}
