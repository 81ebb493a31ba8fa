//! A snapshot's state file: how far its guest was.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::guest::Step;

/// The content of a snapshot's state file, with a mark at its end.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    pub steps: Vec<Step>,
    pub done: usize,
    pub mem_size_mib: u64,
}
const MARK: &str = "end of snapshot";

/// Why a state file is not read, in Firecracker's words.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("Failed to open snapshot file: {0}")]
    Open(#[source] io::Error),
    #[error(
        "Failed to load snapshot state from file: An error occurred during bitcode serialization: bitcode error"
    )]
    CutShort,
    #[error("Failed to load snapshot state from file: CRC64 validation failed")]
    Checksum(#[source] serde_json::Error),
}

impl Saved {
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, json!(self).to_string() + MARK)
    }

    pub fn read(path: &Path) -> Result<Self, SnapshotError> {
        let text = fs::read_to_string(path).map_err(SnapshotError::Open)?;
        let text = text.strip_suffix(MARK).ok_or(SnapshotError::CutShort)?;
        serde_json::from_str(text).map_err(SnapshotError::Checksum)
    }
}
