//! What can go wrong.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use confine::ConfineError;
use measure_core::base::programs::VersionError;
use wasm_encoder::reencode;

/// Why there is no library of a module.
#[derive(Debug, thiserror::Error)]
pub enum SecondEngineError {
    /// A part of the tool chain is not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// A program of the tool chain cannot be run.
    #[error("{} is not executable", .0.display())]
    NotExecutable(PathBuf),
    /// The C compiler is not found.
    #[error("{0} is not on PATH: install {0}")]
    NoCompiler(String),
    /// A tool does not say what it is.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// It is no core module, or a broken one.
    #[error("it is not a valid module: {0}")]
    Invalid(#[from] wasmparser::Error),
    /// It cannot be written again.
    #[error("it cannot be written again: {0}")]
    Encode(#[from] reencode::Error),
    /// It needs or lacks something so that it cannot run here.
    #[error("{0}")]
    Unsupported(String),
    /// A tool ended wrongly.
    #[error("{tool} failed: {source}{}", .source.how_to_raise())]
    Tool {
        /// The tool's name, or what it is.
        tool: &'static str,
        /// A limit that it passed, or how it ended and what it wrote last.
        source: ConfineError,
    },
    /// A tool took too long and was ended.
    #[error("{tool} was still running after {limit:?} and was ended")]
    Timeout {
        /// The tool's name, or what it is.
        tool: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// A signal came to us.
    #[error("interrupted")]
    Interrupted,
    /// A file or directory.
    #[error("{}: {source}", path.display())]
    File {
        /// What was to be read, written or made.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl SecondEngineError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
