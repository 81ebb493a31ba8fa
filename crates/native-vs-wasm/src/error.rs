//! What can go wrong with a comparison as a whole.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::contract::run_dir::RunDirError;

use crate::engines::EngineFileError;

/// Why a comparison did not come to a good end.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The command line asks for what does not exist or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A benchmark cannot run here, or the host is unfit under `--strict`.
    #[error("{0}")]
    Unavailable(String),
    /// Some benchmarks failed; the others were measured.
    #[error("{0}")]
    Benchmarks(String),
    /// A file cannot be written.
    #[error("cannot write {}: {cause}; {}", path.display(), advice(cause, option))]
    Output {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        cause: io::Error,
        /// The option that names another.
        option: &'static str,
    },
    /// The run directory or its records.
    #[error(transparent)]
    RunDir(RunDirError),
    /// A signal came before anything was measured.
    #[error(
        "ended by a signal while programs were built: what is built stays, the next call builds the rest"
    )]
    Interrupted(Exit),
    /// What the comparison was at failed for a cause below it.
    #[error("{what}: {source}")]
    Failed {
        /// What it was at.
        what: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl CompareError {
    /// `what: cause`, for errors that need no code of their own.
    pub fn failed(what: impl fmt::Display, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed {
            what: what.to_string(),
            source: cause.into(),
        }
    }
}

fn advice(cause: &io::Error, option: &str) -> String {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space (what was written so far is kept)".to_owned()
        }
        _ if option.is_empty() => "is its reader gone?".to_owned(),
        _ => format!("choose another place with {option}"),
    }
}

impl From<RunDirError> for CompareError {
    fn from(error: RunDirError) -> Self {
        match error {
            RunDirError::Write { path, cause } => Self::Output {
                path,
                cause,
                option: "--run-dir",
            },
            other => Self::RunDir(other),
        }
    }
}

impl From<EngineFileError> for CompareError {
    fn from(error: EngineFileError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl HasExit for CompareError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::Benchmarks(_) => Exit::StartFailed,
            Self::Output { .. } => Exit::Output,
            Self::RunDir(error) => error.exit(),
            Self::Interrupted(exit) => *exit,
            Self::Failed { .. } => Exit::Failed,
        }
    }
}
