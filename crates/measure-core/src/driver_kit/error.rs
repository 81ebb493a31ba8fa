//! Why a driver could not do what it was asked.

use std::error::Error;
use std::fmt;

use crate::base::exit::{Exit, HasExit};
use crate::base::lock::LockError;
use crate::base::range::OutOfRange;
use crate::base::trust::TrustError;
use crate::driver_kit::native_command::CommandFileError;

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
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
    /// Anything else that the driver found itself.
    #[error("{0}")]
    Failed(String),
    /// What the driver was at failed for a cause below it.
    #[error("{what}: {source}")]
    Caused {
        /// What it was at.
        what: String,
        /// Why it failed.
        source: BoxedError,
    },
    /// An error of a library that says by itself what it was at.
    #[error(transparent)]
    Library(BoxedError),
}

/// A cause of any type, kept with its own causes.
pub type BoxedError = Box<dyn Error + Send + Sync>;

impl From<OutOfRange> for DriverError {
    fn from(error: OutOfRange) -> Self {
        Self::Usage(error.to_string())
    }
}

impl DriverError {
    /// `what: cause`, for errors that need no code of their own.
    pub fn failed(what: impl fmt::Display, cause: impl Into<BoxedError>) -> Self {
        Self::Caused {
            what: what.to_string(),
            source: cause.into(),
        }
    }

    /// An error of a library, said in its own words, that needs no code of its own.
    pub fn library(error: impl Into<BoxedError>) -> Self {
        Self::Library(error.into())
    }
}

impl From<TrustError> for DriverError {
    fn from(error: TrustError) -> Self {
        Self::library(error)
    }
}

impl From<LockError> for DriverError {
    fn from(error: LockError) -> Self {
        match error {
            busy @ LockError::Busy { .. } => Self::Busy(busy.to_string()),
            other => Self::library(other),
        }
    }
}

impl From<CommandFileError> for DriverError {
    fn from(error: CommandFileError) -> Self {
        Self::library(error)
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
            Self::Failed(_) | Self::Caused { .. } | Self::Library(_) => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_keeps_its_type_and_is_said_once() {
        let gone = || io::Error::from_raw_os_error(libc::ENOENT);
        let caused = DriverError::failed("/dev/null", gone());
        assert_eq!(caused.to_string(), format!("/dev/null: {}", gone()));
        let source = caused.source().and_then(|e| e.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::ENOENT));
        let library = DriverError::library(gone());
        assert_eq!(library.to_string(), gone().to_string());
        assert_eq!(library.exit(), Exit::Failed);
    }

    #[test]
    fn what_is_not_trusted_stays_the_cause_of_what_fails_for_it() {
        let error = DriverError::from(TrustError::Io {
            path: "/dev/null".into(),
            source: io::Error::from_raw_os_error(libc::EACCES),
        });
        assert!(error.to_string().contains("/dev/null"), "{error}");
        let source = error.source().and_then(|e| e.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::EACCES));
    }
}
