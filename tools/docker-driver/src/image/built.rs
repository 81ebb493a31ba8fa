//! The image that was built, as noted beside its archive.

use std::fs;
use std::path::PathBuf;

use measure_core::base::home;
use serde::{Deserialize, Serialize};

/// The image's name.
pub const TAG: &str = "faasm/noop:latest";
/// The base that is preferred.
pub const ALPINE: &str = "alpine:3";

/// What an image was built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// As the build names it.
    pub reference: String,
    /// By what it is known: of a registry's image the repository digest, of a local image its id, of
    /// the local base the digest of its archive.
    pub digest: String,
    /// In words, and why it was taken.
    pub what: String,
}

/// A built image, as noted beside its archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Digest of the content it was built of.
    pub key: String,
    /// Its id, `sha256:...`.
    pub image: String,
    /// What it was built on.
    pub base: Base,
    /// Ids of the functions in it.
    pub functions: Vec<String>,
}

impl Built {
    /// The image and its base, for the records.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!(
            "image faasm/noop {}, base {} {}",
            self.image, self.base.what, self.base.digest
        )
    }
}

/// Where the archive lies.
#[must_use]
pub fn archive() -> PathBuf {
    home::images().join("faasm-noop.tar")
}

/// Where what is known of it is noted.
pub(super) fn note() -> PathBuf {
    home::images().join("faasm-noop.json")
}

/// The image that is there, whatever its content.
#[must_use]
pub fn present() -> Option<Built> {
    let text = fs::read(note()).ok()?;
    archive().is_file().then_some(())?;
    serde_json::from_slice(&text).ok()
}
