//! What can go wrong.

use faaslet::FaasletError;
use measure_core::base::exit::{Exit, HasExit};

/// Why there is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymError {
    /// No such user, function, or name; the text suggests the nearest.
    #[error("{0}")]
    Usage(String),
    /// The store or a file in it cannot be used.
    #[error("{0}")]
    Store(String),
    /// The module or its compiled code is not what it should be.
    #[error("{what}: {cause}")]
    Unreadable {
        /// The function.
        what: String,
        /// Why.
        cause: String,
    },
    /// The mapping has been printed but cannot be kept.
    #[error("the mapping is not kept beside the function: {0}")]
    NotKept(String),
    /// Standard input broke off.
    #[error("cannot read standard input: {0}")]
    Input(String),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(String),
}

impl HasExit for SymError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotKept(_) | Self::Output(_) => Exit::Output,
            Self::Store(_) | Self::Unreadable { .. } | Self::Input(_) => Exit::Failed,
        }
    }
}

impl From<FaasletError> for SymError {
    fn from(error: FaasletError) -> Self {
        match error {
            FaasletError::UnknownFunction(message) => Self::Usage(message),
            other => Self::Store(other.to_string()),
        }
    }
}
