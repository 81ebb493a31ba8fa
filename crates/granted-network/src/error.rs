//! Why a function cannot be given the network that it was granted.

use std::io;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::contract::network_grant::NetworkGrantError;

/// What is wrong with a grant, or what it needs is not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is no host and port.
    #[error(transparent)]
    Grant(#[from] NetworkGrantError),
    /// There are too many.
    #[error("{count} hosts and ports are granted, a function may have at most {most}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// The host knows no address of it.
    #[error(
        "cannot find the IPv4 address of {host}, which is granted: {source}; correct the grant, or this host's name resolution"
    )]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// A port is granted of two names that have one address, or the system refuses.
    #[error("{what}: {source}")]
    Os {
        /// What was refused.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

impl HasExit for NetworkError {
    fn exit(&self) -> Exit {
        match self {
            Self::Grant(_) | Self::TooMany { .. } => Exit::Usage,
            Self::Unresolved { .. } => Exit::Unavailable,
            Self::Os { .. } => Exit::Failed,
        }
    }
}
