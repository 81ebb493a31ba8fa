//! What can go wrong.

use std::io;
use std::path::PathBuf;

use measure_core::base::exit::{Exit, HasExit};
use wasm_encoder::reencode;

/// Why a module was not rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// It is no core module, or a broken one.
    #[error("it is not a valid module: {0}")]
    Invalid(#[from] wasmparser::Error),
    /// It cannot be written again.
    #[error("it cannot be written again: {0}")]
    Encode(#[from] reencode::Error),
}

/// Why the tool failed.
#[derive(Debug, thiserror::Error)]
pub enum PostLinkError {
    /// The module cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The module cannot be rewritten.
    #[error("{}: {source}; link it anew", path.display())]
    Rewrite {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RewriteError,
    },
    /// The new module cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

impl HasExit for PostLinkError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { .. } | Self::Rewrite { .. } => Exit::Failed,
            Self::Write { .. } => Exit::Output,
        }
    }
}
