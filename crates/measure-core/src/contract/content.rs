//! Bytes that a function wrote, kept as far as they are few.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// So much of an output or a file is kept; what is longer is known by its digest alone.
pub const KEPT_BYTES: usize = 1 << 20;

/// Bytes that a function wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// How many there were.
    pub length_bytes: u64,
    /// SHA-256 of all of them, in hexadecimal.
    pub sha256: String,
    /// The first [`KEPT_BYTES`].
    #[serde(with = "text_or_hex")]
    pub kept: Vec<u8>,
}

impl Content {
    /// All of `bytes`.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut taking = Taking::default();
        taking.take(bytes);
        taking.finish()
    }

    /// Whether all of it is kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.kept.len() as u64 == self.length_bytes
    }
}

/// Content that is still coming.
#[derive(Debug, Default)]
pub struct Taking {
    length_bytes: u64,
    hash: Sha256,
    kept: Vec<u8>,
}

impl Taking {
    /// More of it.
    pub fn take(&mut self, bytes: &[u8]) {
        self.length_bytes += bytes.len() as u64;
        self.hash.update(bytes);
        let room = KEPT_BYTES - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> Content {
        Content {
            length_bytes: self.length_bytes,
            sha256: hex::encode(self.hash.finalize()),
            kept: self.kept,
        }
    }
}

/// Bytes in JSON: a string where they are text, else an object with their hexadecimal digits.
mod text_or_hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Hex { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(bytes) {
            Ok(text) => Form::Text(text.to_owned()),
            Err(_) => Form::Hex {
                hex: hex::encode(bytes),
            },
        };
        form.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        match Form::deserialize(from)? {
            Form::Text(text) => Ok(text.into_bytes()),
            Form::Hex { hex } => hex::decode(hex).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_to_keep_is_known_by_its_digest() {
        let mut bytes = vec![b'x'; KEPT_BYTES + 1];
        let long = Content::of_bytes(&bytes);
        assert!(!long.is_whole());
        assert_eq!(long.kept.len(), KEPT_BYTES);
        bytes[KEPT_BYTES] = b'y';
        let other = Content::of_bytes(&bytes);
        assert_eq!(other.kept, long.kept);
        assert_ne!(other, long);
    }
}
