//! The secret that an upload server beyond the loopback address asks for.

use std::env;
use std::fs;
use std::path::Path;

use measure_core::driver_kit::DriverError;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Environment variable with the token, where no file is named.
pub(crate) const TOKEN_VARIABLE: &str = "FAASM_BENCH_TOKEN";
/// Shorter ones can be guessed.
pub(crate) const MIN_BYTES: usize = 16;
pub(crate) const MAX_BYTES: usize = 1024;

/// A token: visible ASCII. It has no `Debug`, so that it cannot end up in a log.
pub(crate) struct Token(String);

impl Token {
    /// The token in `file`, else in [`TOKEN_VARIABLE`], if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or what it holds is no token.
    pub(crate) fn find(file: Option<&Path>) -> Result<Option<Self>, DriverError> {
        let (text, place) = match file {
            Some(path) => {
                let text =
                    fs::read_to_string(path).map_err(|e| DriverError::failed(path.display(), e))?;
                (text, path.display().to_string())
            }
            None => match env::var_os(TOKEN_VARIABLE) {
                Some(text) if !text.is_empty() => (
                    text.to_string_lossy().into_owned(),
                    format!("${TOKEN_VARIABLE}"),
                ),
                _ => return Ok(None),
            },
        };
        Self::new(text.trim()).map(Some).ok_or_else(|| {
            DriverError::Usage(format!(
                "{place} holds no token: {MIN_BYTES} to {MAX_BYTES} visible ASCII characters, for example from `openssl rand -hex 32`"
            ))
        })
    }

    /// `text`, if it can be a token.
    pub(crate) fn new(text: &str) -> Option<Self> {
        ((MIN_BYTES..=MAX_BYTES).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic()))
        .then(|| Self(text.to_owned()))
    }

    /// The value of an `Authorization` header.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether `header` is [`Token::authorization`]. How long this takes tells nothing about the token.
    pub(crate) fn admits(&self, header: &[u8]) -> bool {
        let digest = |bytes: &[u8]| Sha256::digest(bytes);
        digest(header)
            .as_slice()
            .ct_eq(digest(self.authorization().as_bytes()).as_slice())
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_is_admitted() {
        let token = Token::new("0123456789abcdef").expect("a token");
        assert!(token.admits(b"Bearer 0123456789abcdef"));
        for wrong in [
            &b""[..],
            b"0123456789abcdef",
            b"Bearer ",
            b"Bearer 0123456789abcdeg",
            b"Bearer 0123456789abcdef ",
            b"bearer 0123456789abcdef",
            b"Basic 0123456789abcdef",
        ] {
            assert!(!token.admits(wrong), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn what_can_be_guessed_or_cannot_be_sent_is_no_token() {
        for bad in [
            "",
            "short",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789\nabcdef",
            "0123456789äbcdef",
        ] {
            assert!(Token::new(bad).is_none(), "{bad}");
        }
        assert!(Token::new(&"x".repeat(MAX_BYTES + 1)).is_none());
    }
}
