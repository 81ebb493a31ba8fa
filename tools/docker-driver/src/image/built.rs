//! The image that was built, as noted beside its archive.

use std::fs;
use std::path::PathBuf;

use measure_core::base::home;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::base_choice::BaseChoice;

/// The image's name.
pub const TAG: &str = "faasm/noop:latest";
/// The base that is preferred.
pub const ALPINE: &str = "alpine:3";
/// The base that is made here.
pub const LOCAL: &str = "faasm/base:local";

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
    /// Digest of what it was built of, its base included ([`key_on`]).
    pub key: String,
    /// Its id, `sha256:...`.
    pub image: String,
    /// What it was built on.
    pub base: Base,
    /// Ids of the functions in it.
    pub functions: Vec<String>,
}

/// The key of an image with `content` (a digest) on `base`: an image built of the same key is the same.
#[must_use]
pub fn key_on(base: &Base, content: &str) -> String {
    let parts = [content, &base.reference, &base.digest];
    hex::encode(Sha256::digest(parts.join("\0")))
}

impl Built {
    /// Whether it is the image with `content` on a base that `choice` allows.
    #[must_use]
    pub fn serves(&self, content: &str, choice: BaseChoice) -> bool {
        let allowed = match choice {
            BaseChoice::Auto => true,
            BaseChoice::Alpine => self.base.reference == ALPINE,
            BaseChoice::Local => self.base.reference == LOCAL,
        };
        allowed && self.key == key_on(&self.base, content)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_serves_who_asked_for_its_base_and_its_functions() {
        let on = |reference: &str, digest: &str| {
            let base = Base {
                reference: reference.into(),
                digest: digest.into(),
                what: "a base".into(),
            };
            Built {
                key: key_on(&base, "functions"),
                image: "sha256:0".into(),
                base,
                functions: Vec::new(),
            }
        };
        let (local, alpine) = (on(LOCAL, "sha256:1"), on(ALPINE, "alpine@sha256:1"));
        for (choice, by_local, by_alpine) in [
            (BaseChoice::Auto, true, true),
            (BaseChoice::Alpine, false, true),
            (BaseChoice::Local, true, false),
        ] {
            assert_eq!(local.serves("functions", choice), by_local, "{choice:?}");
            assert_eq!(alpine.serves("functions", choice), by_alpine, "{choice:?}");
            assert!(!local.serves("others", choice) && !alpine.serves("others", choice));
        }
        assert_ne!(local.key, on(LOCAL, "sha256:2").key);
        // A note whose base was changed is of no image.
        let changed = Built {
            base: alpine.base,
            ..local
        };
        assert!(!changed.serves("functions", BaseChoice::Auto));
    }
}
