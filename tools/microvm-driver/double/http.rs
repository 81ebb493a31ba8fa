//! Requests and answers of HTTP/1.1, as far as Firecracker's API goes.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

/// Firecracker's own limit to a request.
const MAX_REQUEST_BYTES: usize = 51200;

/// A request.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub body: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    body: Option<String>,
    /// The process ends after it.
    pub fatal: bool,
}

impl Answer {
    fn new(status: u16, body: Option<&Value>) -> Self {
        Self {
            status,
            body: body.map(Value::to_string),
            fatal: false,
        }
    }

    /// Done, and nothing to say.
    pub fn done() -> Self {
        Self::new(204, None)
    }

    /// `value`.
    pub fn value(value: &Value) -> Self {
        Self::new(200, Some(value))
    }

    /// Refused.
    pub fn fault(message: impl std::fmt::Display) -> Self {
        let message = message.to_string();
        Self::new(400, Some(&json!({ "fault_message": message })))
    }

    /// The same, and the process ends after it.
    pub fn and_end(self) -> Self {
        Self {
            fatal: true,
            ..self
        }
    }

    /// As it goes over the socket.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 {} \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n",
            self.status
        );
        let rest = self.body.as_ref().map_or_else(
            || "\r\n".to_owned(),
            |body| {
                let length = body.len();
                format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            },
        );
        (head + &rest).into_bytes()
    }
}

/// The next request; `None` when the other side has closed. `pending` keeps what came too early.
pub fn next(stream: &mut UnixStream, pending: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, length)) = parse(pending)? {
            pending.drain(..length);
            return Ok(Some(request));
        }
        if pending.len() > MAX_REQUEST_BYTES {
            return Err(io::Error::other("a request beyond the limit"));
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            length => pending.extend_from_slice(&chunk[..length]),
        }
    }
}

fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let length = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok())
        .unwrap_or(0);
    let Some(body) = bytes.get(start..start + length) else {
        return Ok(None);
    };
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
    };
    Ok(Some((request, start + length)))
}
