//! What a handler is asked, and what it answers.

use serde::{Deserialize, Serialize};

use super::content::Content;

/// A request, the same on every rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names and values, beside `Host` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Whom a request says that it goes to: nobody looks the name up.
pub const HOST: &str = "function";

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

impl Request {
    /// As HTTP/1.1 has it (RFC 9112), of a connection that stays open.
    #[must_use]
    pub fn to_http(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {HOST}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() || self.method != "GET" {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What of an answer is compared: other headers are the servers' own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its header `Content-Type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its body.
    pub body: Content,
}

/// The lowest status that says that the handler failed.
const FAILED: u16 = 500;

/// Why an answer with `status` counts as a failed start; `expected` is what the function's file says of it.
#[must_use]
pub fn wrong_status(status: u16, expected: Option<u16>) -> Option<String> {
    match expected {
        Some(expected) if status != expected => Some(format!(
            "it answered with status {status} instead of {expected}"
        )),
        None if status >= FAILED => Some(format!("it answered with status {status}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_http_has_it() {
        let get = Request::default().to_http();
        assert_eq!(get, b"GET / HTTP/1.1\r\nHost: function\r\n\r\n");
        let post = Request {
            method: "POST".to_owned(),
            path: "/a?b=c".to_owned(),
            headers: vec![("X-It".to_owned(), "1".to_owned())],
            body: b"body".to_vec(),
        };
        assert_eq!(
            post.to_http(),
            b"POST /a?b=c HTTP/1.1\r\nHost: function\r\nX-It: 1\r\nContent-Length: 4\r\n\r\nbody"
        );
    }

    #[test]
    fn a_status_is_wrong_if_another_is_expected_or_it_says_so_itself() {
        assert_eq!(wrong_status(404, None), None);
        assert_eq!(wrong_status(500, Some(500)), None);
        assert!(wrong_status(500, None).is_some_and(|words| words.contains("500")));
        assert!(wrong_status(200, Some(201)).is_some_and(|words| words.contains("instead of 201")));
    }
}
