//! What can go wrong.

use std::io;

use faaslet::FaasletError;
use measure_core::base::exit::{Exit, HasExit};
use native_vs_wasm::CompareError;

use crate::code::CodeError;

/// Why there is no mapping.
#[derive(Debug, thiserror::Error)]
pub enum SymError {
    /// No such user, function, or name; the text suggests the nearest.
    #[error("{0}")]
    Usage(String),
    /// A kernel that is not in the store yet cannot be built.
    #[error(transparent)]
    Build(CompareError),
    /// The store or a file in it cannot be used.
    #[error(transparent)]
    Store(FaasletError),
    /// The module or its compiled code is not what it should be.
    #[error("{what}: {source}")]
    Unreadable {
        /// The function.
        what: String,
        /// What of it cannot be read.
        source: Unreadable,
    },
    /// The mapping has been printed but cannot be kept.
    #[error("the mapping is not kept beside the function: {0}")]
    NotKept(#[source] FaasletError),
    /// Standard input broke off.
    #[error("cannot read standard input: {0}")]
    Input(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

/// What of a function cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The engine does not write its code down; what it said.
    #[error("{0}")]
    Engine(String),
    /// Its compiled code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Its module.
    #[error(transparent)]
    Module(#[from] wasmparser::BinaryReaderError),
}

impl HasExit for SymError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Build(error) => error.exit(),
            Self::NotKept(_) | Self::Output(_) => Exit::Output,
            Self::Store(_) | Self::Unreadable { .. } | Self::Input(_) => Exit::Failed,
        }
    }
}

impl From<FaasletError> for SymError {
    fn from(error: FaasletError) -> Self {
        match error {
            FaasletError::UnknownFunction(message) => Self::Usage(message),
            other => Self::Store(other),
        }
    }
}
