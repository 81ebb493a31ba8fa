//! What can go wrong, and the exit code of each.

use measure_core::base::exit::{Exit, HasExit};
use probes::memory::MemoryError;

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub enum WalkerError {
    /// Nothing to look at was named.
    #[error("nothing to walk: name a PID, --name NAME or --cgroup PATH (see --help)")]
    NoTarget,
    /// A target that is not there.
    #[error("{0}")]
    Missing(String),
    /// All of it belongs to others.
    #[error("none of the {count} processes may be read: {why}")]
    Denied {
        /// How many there were.
        count: usize,
        /// Why not.
        why: String,
    },
    /// The host has no such numbers.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Standard output is full or closed.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),
}

impl HasExit for WalkerError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoTarget => Exit::Usage,
            Self::Denied { .. } | Self::Memory(_) => Exit::Unavailable,
            Self::Output(_) => Exit::Output,
            Self::Missing(_) | Self::Signals(_) => Exit::Failed,
        }
    }
}
