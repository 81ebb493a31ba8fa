//! The client's side of Firecracker's API: HTTP/1.1 over a Unix socket, one connection for all requests of a
//! start. Requests are laid out beforehand, so that no more than a write and a read are in the timed path.
//!
//! It stands in for an HTTP client such as hyper: those bring an executor whose tasks and timers would be in every
//! start, and a wait that SIGINT, a timeout and the monitor's end can all cut short would have to be built around them
//! all the same. The answers are parsed by httparse, hyper's own parser. `make overhead` holds it against a bare
//! loop that writes the same bytes and reads as many.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::limit::{Expired, Limit};

/// More than any answer of the API has.
const MAX_RESPONSE_BYTES: usize = 256 << 10;
const MAX_HEADERS: usize = 32;
/// Between two attempts to connect: short against the milliseconds that a monitor takes to listen.
const RETRY: Duration = Duration::from_micros(50);

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path, as messages call it.
    name: String,
    bytes: Vec<u8>,
}

impl Request {
    /// `method` on `path` with `body`.
    #[must_use]
    pub fn new(method: &str, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        Self {
            name: format!("{method} {path}"),
            bytes: format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        }
    }

    /// PUT `path`.
    #[must_use]
    pub fn put(path: &str, body: &Value) -> Self {
        Self::new("PUT", path, body)
    }

    /// PATCH `path`.
    #[must_use]
    pub fn patch(path: &str, body: &Value) -> Self {
        Self::new("PATCH", path, body)
    }

    fn failed(&self, cause: ApiFault) -> ApiError {
        let request = self.name.clone();
        ApiError { request, cause }
    }

    /// What goes over the socket.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// GET `path`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self {
            name: format!("GET {path}"),
            bytes: format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
            )
            .into_bytes(),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// For example 204.
    pub status: u16,
    /// JSON; empty where there is nothing to say.
    pub body: String,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[error("{request}: {cause}")]
pub struct ApiError {
    /// Method and path, or what was connected to.
    pub request: String,
    /// What went wrong with it.
    #[source]
    pub cause: ApiFault,
}

/// What goes wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// Nobody listens, or nobody answers, until the timeout has passed or a signal comes.
    #[error("no answer: {0}")]
    Silent(#[from] Expired),
    /// The connection broke: what the kernel said, or that the other side closed it.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// What came is no HTTP, or more than this API says.
    #[error("not an answer of this API: {0}")]
    Malformed(#[from] AnswerError),
    /// It was understood and refused.
    #[error("refused with status {status}: {fault}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The API's `fault_message`.
        fault: String,
    },
}

/// What is wrong with the bytes of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// They are no HTTP.
    #[error("{0}")]
    Http(#[from] httparse::Error),
    /// A body without a length that can be read.
    #[error("its length is `{0}`")]
    Length(String),
    /// More than any answer of this API has.
    #[error("it is longer than {MAX_RESPONSE_BYTES} bytes")]
    TooLong,
}

/// A connection to the API.
#[derive(Debug)]
pub struct Connection(UnixStream);

impl Connection {
    /// Connects to the socket at `path` as soon as somebody listens there; `None` if `gone` says before that
    /// nobody ever will.
    ///
    /// # Errors
    /// Nobody listens within the limit, or the socket cannot be used.
    pub fn open(
        path: &Path,
        limit: &Limit,
        mut gone: impl FnMut() -> bool,
    ) -> Result<Option<Self>, ApiError> {
        let cannot = |cause| ApiError {
            request: format!("connect to {}", path.display()),
            cause,
        };
        loop {
            match UnixStream::connect(path) {
                Ok(stream) => return Ok(Some(Self(stream))),
                Err(e)
                    if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
                Err(e) => return Err(cannot(e.into())),
            }
            if gone() {
                return Ok(None);
            }
            limit.left().map_err(|expired| cannot(expired.into()))?;
            thread::sleep(RETRY);
        }
    }

    /// Sends `request` and expects it to be carried out.
    ///
    /// # Errors
    /// It was refused, or not answered properly or in time.
    pub fn call(&mut self, request: &Request, limit: &Limit) -> Result<Response, ApiError> {
        let response = self.exchange(request, limit)?;
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        Err(request.failed(ApiFault::Refused {
            status: response.status,
            fault: fault(&response.body),
        }))
    }

    /// Sends `request` and returns the answer, whatever it is.
    ///
    /// # Errors
    /// No proper answer in time.
    pub fn exchange(&mut self, request: &Request, limit: &Limit) -> Result<Response, ApiError> {
        let answer = self.answer(request, limit);
        answer.map_err(|cause| request.failed(cause))
    }

    fn answer(&mut self, request: &Request, limit: &Limit) -> Result<Response, ApiFault> {
        // A request is far smaller than a socket's buffer: this does not block.
        self.0.write_all(&request.bytes)?;
        let mut answer = Vec::new();
        loop {
            limit.readable(self.0.as_fd())?;
            let mut chunk = [0; 4096];
            let length = match self.0.read(&mut chunk) {
                Ok(length) => length,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            if length == 0 {
                let length = answer.len();
                let how = format!("closed by the other side after {length} bytes of an answer");
                return Err(io::Error::other(how).into());
            }
            answer.extend_from_slice(&chunk[..length]);
            if let Some(response) = parse(&answer)? {
                return Ok(response);
            }
        }
    }
}

/// The `fault_message` of `body`, or all of it.
fn fault(body: &str) -> String {
    let message = serde_json::from_str::<Value>(body).ok();
    let message = message.and_then(|v| Some(v.get("fault_message")?.as_str()?.to_owned()));
    message.unwrap_or_else(|| body.to_owned())
}

/// The response that `bytes` are; `None` if more must come.
fn parse(bytes: &[u8]) -> Result<Option<Response>, AnswerError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes)? else {
        return within(bytes.len()).map(|()| None);
    };
    let mut length = 0;
    for header in head.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = String::from_utf8_lossy(header.value);
            let number = text.trim().parse();
            length = number.map_err(|_| AnswerError::Length(text.into_owned()))?;
        }
    }
    within(length)?;
    let Some(body) = bytes.get(start..start + length) else {
        return Ok(None);
    };
    Ok(Some(Response {
        status: head.code.unwrap_or(0),
        body: String::from_utf8_lossy(body).into_owned(),
    }))
}

fn within(length: usize) -> Result<(), AnswerError> {
    if length <= MAX_RESPONSE_BYTES {
        return Ok(());
    }
    Err(AnswerError::TooLong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_come_in_any_pieces() {
        let whole = b"HTTP/1.1 400 \r\nServer: Firecracker API\r\ncontent-length: 21\r\n\r\n{\"fault_message\":\"x\"}";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), Ok(None), "{length} bytes");
        }
        let response = parse(whole).expect("well-formed").expect("complete");
        assert_eq!(
            (response.status, fault(&response.body).as_str()),
            (400, "x")
        );
    }

    #[test]
    fn answers_without_end_are_refused() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
        let mut endless = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        endless.resize(MAX_RESPONSE_BYTES + 1, b'x');
        assert!(parse(&endless).is_err());
        assert!(parse(b"SSH-2.0-OpenSSH\r\n").is_err());
    }

    #[test]
    fn a_fault_without_the_usual_form_is_shown_as_it_is() {
        assert_eq!(fault("plain"), "plain");
        assert_eq!(fault(r#"{"error":1}"#), r#"{"error":1}"#);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn bodies_survive(status in 100_u16..600, body in "[ -~]{0,80}", surplus in "[ -~]{0,9}") {
            let text = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}{surplus}", body.len());
            prop_assert_eq!(parse(text.as_bytes()), Ok(Some(Response { status, body })));
        }
    }
}
