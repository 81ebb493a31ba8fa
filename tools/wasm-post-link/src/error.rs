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
    #[error("{}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The module cannot be rewritten.
    #[error("{}: {cause}; link it anew", path.display())]
    Rewrite {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: RewriteError,
    },
    /// The new module cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        cause: io::Error,
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
