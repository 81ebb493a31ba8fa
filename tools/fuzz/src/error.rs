//! What keeps a round from being made. What a round finds is no error but its result.

use std::io;
use std::path::PathBuf;

use faaslet::FaasletError;
use measure_core::base::exit::{Exit, HasExit};

/// Why there is no round.
#[derive(Debug, thiserror::Error)]
pub enum FuzzError {
    /// The command line asks for what there is not.
    #[error("{0}")]
    Usage(String),
    /// No engine with our settings.
    #[error(transparent)]
    Faaslet(#[from] FaasletError),
    /// No engine with other settings.
    #[error("the engine: {0}")]
    Engine(String),
    /// No place for files.
    #[error("no temporary directory: {0}; $TMPDIR names another place")]
    Scratch(#[source] io::Error),
    /// A process of its own, in which cases are tried, cannot be had.
    #[error("cannot start {} again: {cause}", program.display())]
    Child {
        /// This program.
        program: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
    /// No handler of signals.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// What cases are made of is not as it was.
    #[error("{0}")]
    Seeds(String),
}

impl FuzzError {
    pub(crate) fn engine(cause: wasmtime::Error) -> Self {
        Self::Engine(format!("{cause:#}"))
    }
}

impl HasExit for FuzzError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Output(_) => Exit::Output,
            _ => Exit::Failed,
        }
    }
}
