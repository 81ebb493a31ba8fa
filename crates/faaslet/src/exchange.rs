//! What the starts of a handler are asked, and what came of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST as HOST_HEADER};
use http_body_util::Full;
use measure_core::base::clock::Phases;
use measure_core::contract::exchange::{HOST, Request, Response, wrong_status};

use crate::error::FaasletError;

/// The request of a handler's starts, how often each instance is asked, and what that took. Shared with whoever starts them.
#[derive(Debug)]
pub struct Exchange {
    request: Prepared,
    expected: Option<u16>,
    /// How many more requests an instance answers after its first.
    more: AtomicU64,
    keeps: AtomicBool,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    phases: Vec<Phases>,
    responses: Vec<Response>,
}

impl Exchange {
    /// `request`, whose answers are to have the status `expected`, if that is said.
    ///
    /// # Errors
    /// It is none that HTTP has words for.
    pub fn new(request: &Request, expected: Option<u16>) -> Result<Self, FaasletError> {
        let prepared = Prepared::new(request);
        Ok(Self {
            request: prepared.map_err(|e| FaasletError::refused("the request", e))?,
            expected,
            more: AtomicU64::new(0),
            keeps: AtomicBool::new(false),
            heard: Mutex::default(),
        })
    }

    /// Has each instance that is started from now on answer `more` requests after its first.
    pub fn ask_more(&self, more: u64) {
        self.more.store(more, Ordering::Relaxed);
    }

    /// Has answers be kept from now on.
    pub fn keep(&self) {
        self.keeps.store(true, Ordering::Relaxed);
    }

    /// The phases of each request after an instance's first, of all starts since the last call.
    #[must_use]
    pub fn take_phases(&self) -> Vec<Phases> {
        std::mem::take(&mut self.heard().phases)
    }

    /// The answers of all starts since the last call, where they are kept.
    #[must_use]
    pub fn take_responses(&self) -> Vec<Response> {
        std::mem::take(&mut self.heard().responses)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn request(&self) -> &Prepared {
        &self.request
    }

    pub(crate) fn more(&self) -> u64 {
        self.more.load(Ordering::Relaxed)
    }

    pub(crate) fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Relaxed)
    }

    /// Why an answer with `status` is none to wish for. One that is kept is looked at by others.
    pub(crate) fn wrong_status(&self, status: u16) -> Option<String> {
        match self.keeps() {
            true => None,
            false => wrong_status(status, self.expected),
        }
    }

    pub(crate) fn note_phases(&self, phases: Phases) {
        self.heard().phases.push(phases);
    }

    pub(crate) fn note_response(&self, response: Response) {
        self.heard().responses.push(response);
    }
}

/// A request in the form that handlers are given it in: made once, handed over by reference counts.
#[derive(Debug, Clone)]
pub(crate) struct Prepared(pub(crate) http::Request<Full<Bytes>>);

impl Prepared {
    /// `request`, if HTTP has words for all of it.
    ///
    /// # Errors
    /// A method, path or header that cannot be.
    pub(crate) fn new(request: &Request) -> Result<Self, http::Error> {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(request.path.as_str())
            .header(HOST_HEADER, HOST);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let body = Bytes::copy_from_slice(&request.body);
        if !body.is_empty() || request.method != "GET" {
            builder = builder.header(CONTENT_LENGTH, body.len());
        }
        builder.body(Full::new(body)).map(Self)
    }
}
