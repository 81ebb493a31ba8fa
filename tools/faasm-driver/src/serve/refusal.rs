//! Answers other than what was asked for.

use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use faaslet::FaasletError;
use measure_core::base::words::one_line;

use super::admission::Full;

/// When it is worth trying again.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// An answer's words, which are a line of the log as well.
const WORDS_CHARS: usize = 4000;

/// An answer other than what was asked for.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Refusal {
    /// What a module calls something may be in `why`: it is made one line that acts on no terminal.
    pub(super) fn new(status: StatusCode, why: impl AsRef<str>) -> Self {
        Self {
            status,
            why: one_line(why.as_ref(), WORDS_CHARS),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.why)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY.as_secs()));
            }
            _ => {}
        }
        response
    }
}

impl From<FaasletError> for Refusal {
    fn from(error: FaasletError) -> Self {
        let status = match error {
            FaasletError::UnknownFunction(_) => StatusCode::NOT_FOUND,
            FaasletError::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            FaasletError::NoRoom { .. } => StatusCode::INSUFFICIENT_STORAGE,
            FaasletError::Io { ref source, .. } if is_full(source) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            FaasletError::GivenUp { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        match full {
            Full::Client => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "you have as many requests or bytes here as one may have, try again",
            ),
            Full::Server => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests or bytes at once, try again",
            ),
        }
    }
}

/// Whether the file system had no room, or none for us.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}
