//! Handlers: components that export `wasi:http/incoming-handler`. A request is handed to one as what an HTTP server would have made of it,
//! and its answer taken in the same form: no socket lies between, and no bytes are parsed.

use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http_body::Body;
use measure_core::base::clock::now_ns;
use measure_core::contract::answer::{Content, Taking};
use measure_core::contract::exchange::Response;
use wasmtime::Store as WasmStore;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::host::ComponentHost;
use super::streams::{Shared, lock as lock_written};
use crate::exchange::Prepared;

/// Why a handler did not answer, beside a trap.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("{0}")]
    Status(String),
    #[error("it returned without an answer")]
    None,
    #[error("it exited instead of answering and returning")]
    Exit,
    #[error("it answered with the error {0}")]
    Code(String),
    #[error("its answer broke off: {0}")]
    Body(String),
    #[error("it answered with more than it may write (--disk-limit)")]
    TooMuch,
}

/// When the handler has set the answer's head, and what that is.
type Head = (u64, Result<http::Response<HyperOutgoingBody>, ErrorCode>);
/// Where it puts that.
type Slot = Mutex<Option<Head>>;

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Head>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer, as far as it has come.
#[derive(Default)]
pub(super) struct Heard {
    /// When its head was there, by the clock of phases.
    pub(super) first_byte_ns: u64,
    /// Its status; 0 before its head is there.
    pub(super) status: u16,
    content_type: Option<String>,
    body: Option<HyperOutgoingBody>,
    /// Of the body, where it is to be known.
    taking: Option<Taking>,
    /// Whether a server would send none of it on.
    is_head: bool,
}

impl Heard {
    /// What of it is compared; of an answer whose body was not kept, an empty one.
    pub(super) fn into_response(self) -> Response {
        Response {
            status: self.status,
            content_type: self.content_type,
            body: self.taking.map_or_else(Content::default, Taking::finish),
        }
    }

    /// Takes what has come of it.
    fn take(
        &mut self,
        cx: &mut Context<'_>,
        slot: &Slot,
        written: &Shared,
    ) -> Result<(), NoAnswer> {
        if self.status == 0 {
            let Some((at_ns, head)) = lock(slot).take() else {
                return Ok(());
            };
            let head = head.map_err(|code| NoAnswer::Code(code.to_string()))?;
            self.first_byte_ns = at_ns;
            self.status = head.status().as_u16();
            if self.taking.is_some() {
                let named = head.headers().get(CONTENT_TYPE);
                let text =
                    named.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                self.content_type = text;
            }
            self.body = Some(head.into_body());
        }
        while let Some(body) = &mut self.body {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => self.body = None,
                Poll::Ready(Some(Err(e))) => return Err(NoAnswer::Body(e.to_string())),
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else {
                        continue;
                    };
                    let counted = lock_written(written).count_output(bytes.len());
                    counted.map_err(|_| NoAnswer::TooMuch)?;
                    if let Some(taking) = self.taking.as_mut().filter(|_| !self.is_head) {
                        taking.take(&bytes);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Has `proxy` answer `request` once; what its body is, is known only if it is to be kept.
///
/// # Errors
/// It trapped, is late, or answered nothing.
pub(super) async fn ask(
    store: &mut WasmStore<ComponentHost>,
    proxy: &Proxy,
    request: &Prepared,
    keeps: bool,
) -> wasmtime::Result<Heard> {
    let slot = Arc::new(Slot::default());
    let theirs = slot.clone();
    let written = store.data().written().clone();
    let is_head = request.0.method() == http::Method::HEAD;
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request.0.clone())?;
    let out = http.new_response_outparam_from_callback(move |head| {
        *lock(&theirs) = Some((now_ns(), head));
    })?;
    let mut heard = Heard {
        taking: keeps.then(Taking::default),
        is_head,
        ..Heard::default()
    };
    let mut call = pin!(
        proxy
            .wasi_http_incoming_handler()
            .call_handle(&mut *store, request, out)
    );
    let mut returned = false;
    poll_fn(|cx| -> Poll<wasmtime::Result<()>> {
        if !returned && let Poll::Ready(outcome) = call.as_mut().poll(cx) {
            outcome?;
            returned = true;
        }
        heard.take(cx, &slot, &written)?;
        // One that has returned writes nothing more, whatever it has left open.
        match returned {
            true if heard.status == 0 => Poll::Ready(Err(NoAnswer::None.into())),
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    })
    .await?;
    Ok(heard)
}
