//! What can go wrong.

use std::io;
use std::path::PathBuf;

use measure_core::base::exit::{Exit, HasExit};

/// Why a module is no component's.
#[derive(Debug, thiserror::Error)]
pub enum UnfitError {
    /// The WIT file says nothing that could be meant.
    #[error("{path} is no WIT file with one world: {cause}")]
    Wit {
        /// The file.
        path: String,
        /// What is wrong with it, and what lies behind that.
        cause: String,
    },
    /// The module imports what neither preview 1 nor the WIT file has, or is none.
    #[error(
        "no component can be made of it: {cause}; it may import preview 1 of WASI and what a --wit FILE names"
    )]
    Module {
        /// What is wrong with it, and what lies behind that.
        cause: String,
    },
}

/// Why the tool failed.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It cannot be made into a component.
    #[error("{}: {source}", path.display())]
    Unfit {
        /// The module.
        path: PathBuf,
        /// Why not.
        source: UnfitError,
    },
    /// The component cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

impl HasExit for ComponentError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { .. } | Self::Unfit { .. } => Exit::Failed,
            Self::Write { .. } => Exit::Output,
        }
    }
}
