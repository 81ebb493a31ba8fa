//! Why no probe can be run.

use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::trust::TrustError;

/// Why no probe can be run.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    /// They are not built.
    #[error("{} is missing ({source}): build the probes with `make isolation-probes`", path.display())]
    NotBuilt {
        /// The program.
        path: PathBuf,
        /// What the kernel says.
        source: TrustError,
    },
    /// They are, but others may have.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// A program without the block of parameters.
    #[error("{} holds no block of parameters, or more than one: build the probes anew with `make isolation-probes`", .0.display())]
    NoParameters(PathBuf),
    /// More than the block holds.
    #[error("{wanted} bytes of parameters do not fit into {} bytes of {}", room, path.display())]
    TooLong {
        /// The program.
        path: PathBuf,
        /// What there are.
        wanted: usize,
        /// What fits.
        room: usize,
    },
    /// Something that is aimed at cannot be planted.
    #[error("cannot plant {what}: {source}")]
    Plant {
        /// The thing, as a noun.
        what: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The results of a run cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// They are none.
    #[error("cannot read {}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where they are none.
        source: serde_json::Error,
    },
    /// They are of a later version.
    #[error("cannot read {}: schema {found}, this tool knows up to {known}; use the version that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
}

impl IsolationError {
    pub(crate) fn plant(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Plant { what, source }
    }

    /// Why the built program `path` is not run.
    pub(crate) fn built(path: &Path) -> impl FnOnce(TrustError) -> Self {
        let path = path.to_owned();
        |source| match source.is_not_found() {
            true => Self::NotBuilt { path, source },
            false => Self::Untrusted(source),
        }
    }

    pub(crate) fn path(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::plant(path.display().to_string())
    }
}

impl HasExit for IsolationError {
    fn exit(&self) -> Exit {
        match self {
            Self::NotBuilt { .. } | Self::NoParameters(_) => Exit::Unavailable,
            Self::Untrusted(_)
            | Self::TooLong { .. }
            | Self::Record { .. }
            | Self::Malformed { .. }
            | Self::Newer { .. } => Exit::Failed,
            Self::Plant { .. } => Exit::Output,
        }
    }
}
