//! As much of HTTP/1.1 as a request to workerd takes: one over a socket, whose body is the function's standard input.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::base::words::one_line;
use measure_core::driver_kit::PARKABLE;

/// How long a wait for an answer goes on before anyone asks whether it is still worth while.
const PATIENCE: Duration = Duration::from_millis(100);
/// The headers and the exit code: more is no answer of ours.
const MAX_BYTES: usize = 16 << 10;
/// The same with what a function has written.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const MAX_HEADERS: usize = 32;
/// What `run.mjs` writes when the function waits for input, and with its exit code.
const INSIDE: &[u8] = b"inside\n";
const EXIT: &[u8] = b"exit ";
/// Kept of what is said instead of an exit code.
const SAID_CHARS: usize = 200;

/// Why a request was not answered with an exit code.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("interrupted")]
    Interrupted,
    #[error("closed the connection without an answer")]
    Closed,
    #[error("answered what is no HTTP: {0}")]
    Http(#[from] httparse::Error),
    #[error("answered status {status}: {said}")]
    Status { status: u16, said: String },
    #[error("answered something else than an exit code: {0}")]
    NoCode(String),
    #[error("ended with exit code {code} instead of staying blocked inside its function: {PARKABLE}", code = .0)]
    Ended(i32),
}

/// A connection, for one request after the other.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    /// What has come of the answer.
    bytes: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            bytes: Vec::new(),
        })
    }

    /// Asks for `path` without a body: standard input is at its end.
    pub(super) fn ask(&mut self, path: &str) -> io::Result<()> {
        self.bytes.clear();
        let request = format!("GET {path} HTTP/1.1\r\nHost: function\r\n\r\n");
        self.stream.write_all(request.as_bytes())
    }

    /// Asks for `path` with a body of which a byte is there and that [`Connection::end_input`] ends.
    pub(super) fn ask_with_input(&mut self, path: &str) -> io::Result<()> {
        self.bytes.clear();
        let head = "HTTP/1.1\r\nHost: function\r\nTransfer-Encoding: chunked";
        let request = format!("POST {path} {head}\r\n\r\n1\r\n\n\r\n");
        self.stream.write_all(request.as_bytes())
    }

    pub(super) fn end_input(&mut self) -> io::Result<()> {
        self.stream.write_all(b"0\r\n\r\n")
    }

    /// Waits until the function waits for input; see [`Connection::exit_code`].
    pub(super) fn inside(
        &mut self,
        limit: Duration,
        alive: impl Fn() -> bool,
    ) -> Result<(), HttpError> {
        self.wait(limit, MAX_BYTES, alive, |body| {
            // One that ends without waiting never will.
            let ended = exit_code_in(body).map(|code| Err(HttpError::Ended(code)));
            ended.or_else(|| find(body, INSIDE).map(|_| Ok(())))
        })
    }

    /// The exit code that the function's run is answered with, waited for at most `limit` and as long as `alive`.
    pub(super) fn exit_code(
        &mut self,
        limit: Duration,
        alive: impl Fn() -> bool,
    ) -> Result<i32, HttpError> {
        self.wait(limit, MAX_BYTES, alive, |body| exit_code_in(body).map(Ok))
    }

    /// The same with what the function wrote, where that is handed back.
    pub(super) fn exit_code_and_output(
        &mut self,
        limit: Duration,
        alive: impl Fn() -> bool,
    ) -> Result<(i32, Vec<u8>), HttpError> {
        self.wait(limit, MAX_ANSWER_BYTES, alive, |body| {
            output_in(body).map(Ok)
        })
    }

    /// Reads on until `look` finds in the answer's body, of at most so many bytes, what is waited for.
    fn wait<T>(
        &mut self,
        limit: Duration,
        most: usize,
        alive: impl Fn() -> bool,
        look: impl Fn(&[u8]) -> Option<Result<T, HttpError>>,
    ) -> Result<T, HttpError> {
        let deadline = Instant::now() + limit;
        let mut buffer = [0; 1024];
        loop {
            if let Some(body) = body(&self.bytes)?
                && let Some(found) = look(body)
            {
                return found;
            }
            if self.bytes.len() > most {
                return Err(HttpError::NoCode("too much".to_owned()));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(HttpError::Closed),
                Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
                Err(error) if !is_pause(&error) => return Err(error.into()),
                Err(_) if interrupt::received().is_some() => return Err(HttpError::Interrupted),
                Err(_) if !alive() => return Err(HttpError::Closed),
                Err(_) if Instant::now() >= deadline => return Err(HttpError::TimedOut(limit)),
                Err(_) => {}
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn find(body: &[u8], word: &[u8]) -> Option<usize> {
    body.windows(word.len()).position(|there| there == word)
}

/// The code in `exit CODE` and a line's end, which come in one piece however the body is cut up.
fn exit_code_in(body: &[u8]) -> Option<i32> {
    let rest = &body[find(body, EXIT)? + EXIT.len()..];
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// The code in `exit CODE`, and of what follows, a line with a length and so many bytes, these: once all is there.
fn output_in(body: &[u8]) -> Option<(i32, Vec<u8>)> {
    let code = exit_code_in(body)?;
    let mut parts = body.splitn(3, |&byte| byte == b'\n').skip(1);
    let length = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let output = parts.next()?.get(..length)?;
    Some((code, output.to_vec()))
}

/// What has come of the body, once the head is whole.
fn body(bytes: &[u8]) -> Result<Option<&[u8]>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes)? else {
        return Ok(None);
    };
    let body = bytes.get(start..).unwrap_or_default();
    match head.code {
        Some(200) => Ok(Some(body)),
        // The reason comes with the head, as it is short.
        status => Err(HttpError::Status {
            status: status.unwrap_or_default(),
            said: one_line(&String::from_utf8_lossy(body), SAID_CHARS),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_waited_for_until_its_line_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nexit 17\n";
        for end in 0..=whole.len() {
            let body = body(&whole[..end]).expect("no error");
            let code = body.and_then(exit_code_in);
            assert_eq!(code, (end == whole.len()).then_some(17), "{end}");
        }
        let parts = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ninside\n\r\n7\r\nexit 0\n\r\n";
        let body_of = body(parts).expect("no error").expect("a body");
        assert!(find(body_of, INSIDE).is_some());
        assert_eq!(exit_code_in(body_of), Some(0));
        let error =
            body(b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nLinkError").expect_err("no code");
        assert_eq!(error.to_string(), "answered status 500: LinkError");
        assert!(body(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn what_was_written_is_waited_for_to_its_last_byte() {
        let whole = b"exit 3\n8\ntwo\nline";
        for end in 0..whole.len() {
            assert_eq!(output_in(&whole[..end]), None, "{end}");
        }
        assert_eq!(output_in(whole), Some((3, b"two\nline".to_vec())));
        assert_eq!(output_in(b"exit 0\n0\n"), Some((0, Vec::new())));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = output_in(&bytes);
            let _ = body(&bytes).ok().flatten().and_then(exit_code_in);
        }
    }
}
