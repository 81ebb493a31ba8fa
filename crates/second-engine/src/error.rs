//! What can go wrong.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use wasm_encoder::reencode;

/// Why there is no executable of a module.
#[derive(Debug, thiserror::Error)]
pub enum Wasm2cError {
    /// A part of the tool chain is missing or does not run.
    #[error("{0}")]
    Toolchain(String),
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
    #[error("{tool} failed: {said}")]
    Tool {
        /// Which.
        tool: &'static str,
        /// How it ended and what it wrote last.
        said: String,
    },
    /// A tool took too long and was ended.
    #[error("{tool} was still running after {limit:?} and was ended")]
    Timeout {
        /// Which.
        tool: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// A signal came to us.
    #[error("interrupted")]
    Interrupted,
    /// A file or directory.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl Wasm2cError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }
}
