//! The client of an upload server.

use std::io::Read;
use std::time::Duration;

use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::driver_kit::DriverError;
use sha2::{Digest, Sha256};

use crate::token::{TOKEN_VARIABLE, Token};

/// A server that is there accepts at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// It may have large modules of others to compile first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// A server that has too much to do is asked again so often, after as long as it says but at most this.
const TRIES: u32 = 12;
const MAX_RETRY: Duration = Duration::from_secs(10);
/// What is read of an answer in words.
const MAX_ANSWER_BYTES: u64 = 4096;

/// The entity tag of a module: quoted hex of its SHA-256.
pub(crate) fn etag(wasm: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Sha256::digest(wasm)))
}

type Answer = ureq::http::Response<ureq::Body>;

/// An upload server.
pub(crate) struct Remote {
    host: String,
    agent: ureq::Agent,
    token: Option<Token>,
}

impl Remote {
    /// The server at `host`, as in `127.0.0.1:8080`; nothing is sent yet.
    ///
    /// # Errors
    /// That is no host and port.
    pub(crate) fn new(host: &str, token: Option<Token>) -> Result<Self, DriverError> {
        let host = host.strip_prefix("http://").unwrap_or(host);
        let host = host.strip_suffix('/').unwrap_or(host);
        let parsed = host
            .parse::<axum::http::uri::Authority>()
            .ok()
            .filter(|a| a.port_u16().is_some() && !a.host().is_empty() && !host.contains('@'));
        if parsed.is_none() {
            return Err(DriverError::Usage(format!(
                "--host is `{host}`, it must be a host and a port, for example 127.0.0.1:8080"
            )));
        }
        let agent = ureq::Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .build()
            .new_agent();
        Ok(Self {
            host: host.to_owned(),
            agent,
            token,
        })
    }

    /// As it was given.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether just `wasm` is there as `id`.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(crate) fn has(&self, id: &FunctionId, wasm: &[u8]) -> Result<bool, DriverError> {
        let tag = etag(wasm);
        let answer = self.patiently(|| {
            let request = self.agent.get(self.url(id));
            self.authorized(request.header("if-none-match", &tag))
                .call()
        })?;
        match answer.status().as_u16() {
            304 => Ok(true),
            200 | 404 => Ok(false),
            _ => Err(self.refused(answer)),
        }
    }

    /// Sends `wasm` as `id`; returns what the server did with it.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub(crate) fn put(&self, id: &FunctionId, wasm: &[u8]) -> Result<String, DriverError> {
        let answer = self.patiently(|| {
            let request = self.agent.put(self.url(id));
            let request = request.header("content-type", "application/wasm");
            // A refusal comes before the module is sent.
            self.authorized(request.header("expect", "100-continue"))
                .send(wasm)
        })?;
        match answer.status().as_u16() {
            200 | 201 => {
                let text = text_of(answer);
                let done = text.rsplit(": ").next().unwrap_or_default();
                Ok(done.to_owned())
            }
            _ => Err(self.refused(answer)),
        }
    }

    /// The answer to `ask`, once the server has the time for one.
    fn patiently(
        &self,
        ask: impl Fn() -> Result<Answer, ureq::Error>,
    ) -> Result<Answer, DriverError> {
        let mut left = TRIES;
        loop {
            let answer = ask().map_err(|e| self.unreachable(&e))?;
            left -= 1;
            let is_busy = matches!(answer.status().as_u16(), 429 | 503);
            if !is_busy || left == 0 || !interrupt::sleep(retry_after(&answer)) {
                return Ok(answer);
            }
        }
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", token.authorization()),
            None => request,
        }
    }

    fn url(&self, id: &FunctionId) -> String {
        format!("http://{}/f/{id}", self.host)
    }

    fn unreachable(&self, error: &ureq::Error) -> DriverError {
        DriverError::Failed(format!(
            "cannot talk to {}: {error}; is `faasm-driver serve` running there?",
            self.host
        ))
    }

    fn refused(&self, answer: Answer) -> DriverError {
        let status = answer.status();
        let hint = if matches!(status.as_u16(), 401 | 403) {
            format!("; give the right token by --token-file FILE or ${TOKEN_VARIABLE}")
        } else {
            String::new()
        };
        DriverError::Failed(format!(
            "{} refuses: {status}: {}{hint}",
            self.host,
            text_of(answer)
        ))
    }
}

fn retry_after(answer: &Answer) -> Duration {
    let said = answer.headers().get("retry-after");
    let seconds = said.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(MAX_RETRY)
}

/// One line that is safe to print, whoever answered.
fn text_of(answer: Answer) -> String {
    let mut bytes = Vec::new();
    // What came before it broke off is better than nothing.
    let _ = answer
        .into_body()
        .into_reader()
        .take(MAX_ANSWER_BYTES)
        .read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for good in [
            "127.0.0.1:8080",
            "[::1]:80",
            "bench.example:8080",
            "http://10.0.0.1:80/",
        ] {
            assert!(Remote::new(good, None).is_ok(), "{good}");
        }
        for bad in [
            "",
            "bench",
            ":80",
            "a:b",
            "h:99999",
            "u@h:80",
            "h:80/f",
            "https://h:80",
        ] {
            assert!(Remote::new(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_quoted_hashes() {
        assert_eq!(
            etag(b""),
            "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""
        );
    }
}
