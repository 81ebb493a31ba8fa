//! Why an image that somebody brings is not taken.

use std::io;
use std::path::{Path, PathBuf};

use measure_core::driver_kit::DriverError;

/// Why a file is no image that could run here.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The archive, or a file of the layout.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// It holds no image.
    #[error("{} is no image: {why}", path.display())]
    NoImage {
        /// The archive or directory.
        path: PathBuf,
        /// What it lacks.
        why: String,
    },
    /// It is for another machine.
    #[error("{} is an image for {theirs}, containers here run {ours}", path.display())]
    Machine {
        /// The archive or directory.
        path: PathBuf,
        /// System and machine.
        theirs: String,
        /// The same of this host.
        ours: String,
    },
}

impl ArchiveError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl From<ArchiveError> for DriverError {
    fn from(error: ArchiveError) -> Self {
        match error {
            error @ ArchiveError::Io { .. } => Self::library(error),
            refused => Self::Usage(refused.to_string()),
        }
    }
}
