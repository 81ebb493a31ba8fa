//! Why a function is not brought, or not found.

use std::io;
use std::path::PathBuf;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::ids::FunctionIdError;
use measure_core::base::trust::TrustError;
use measure_core::contract::function::FunctionFileError;

use crate::drivers::DriverError;

/// Why a function is not brought, or not found.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// No name of a function.
    #[error(transparent)]
    Id(#[from] FunctionIdError),
    /// What is said of it is wrong.
    #[error("{}: {source}", path.display())]
    File {
        /// The `function.toml`, or the command line.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<FunctionFileError>,
    },
    /// Something that was given is not what it should be, or the command line makes no sense.
    #[error("{0}")]
    Refused(String),
    /// This host lacks what it takes.
    #[error("{0}")]
    Unavailable(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Others could have put it there.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A driver does not take it.
    #[error("{}", words_of(what, source))]
    Driver {
        /// What was asked of it.
        what: String,
        /// What came of it.
        source: Box<DriverError>,
    },
    /// It is in the store, and rungs fail with it.
    #[error("{0}")]
    Answers(String),
    /// A signal came to us.
    #[error("interrupted; nothing was changed")]
    Interrupted(Exit),
}

/// What a driver said of `what`, without how it was called, and with that name once.
fn words_of(what: &str, error: &DriverError) -> String {
    let words = match error {
        DriverError::Failed { said, .. } => said
            .rsplit_once("error: ")
            .map_or(said.as_str(), |(_, words)| words)
            .to_owned(),
        other => other.to_string(),
    };
    match words.starts_with(what) {
        true => words,
        false => format!("{what}: {words}"),
    }
}

impl FunctionError {
    /// What is wrong with `path`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}

impl HasExit for FunctionError {
    fn exit(&self) -> Exit {
        match self {
            Self::Id(_) | Self::File { .. } | Self::Refused(_) => Exit::Usage,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::Answers(_) => Exit::StartFailed,
            Self::Interrupted(exit) => *exit,
            Self::Driver { source, .. } => match &**source {
                DriverError::Failed { status, .. } => {
                    let code = status.code().and_then(|code| u8::try_from(code).ok());
                    code.map_or(Exit::Failed, Exit::from_code)
                }
                _ => Exit::Failed,
            },
            Self::Io { .. } | Self::Trust(_) => Exit::Failed,
        }
    }
}
