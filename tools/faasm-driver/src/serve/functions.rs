//! What `PUT` and `GET /f/<user>/<function>` do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPECT, HOST, IF_NONE_MATCH, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use faaslet::store::Upload;
use faaslet::{FaasletEngine, FaasletError, Store};
use measure_core::base::ids::FunctionId;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::body::{BodyError, Incoming};
use super::log::log;
use crate::remote::etag;
use crate::token::Token;
use crate::uploads::done;

/// Bodies in memory at once, each at most as large as a module may be.
const MAX_BODIES: usize = 4;
/// Modules compiled at once; the compiler uses several threads for each.
const MAX_COMPILES: usize = 2;

type FunctionPath = Result<Path<(String, String)>, PathRejection>;

/// What a client may do.
pub(super) struct Limits {
    /// The largest module.
    pub(super) max_bytes: usize,
    /// How long a client may stall.
    pub(super) timeout: Duration,
}

/// What all requests share.
pub(super) struct App {
    store: Store,
    engine: FaasletEngine,
    token: Option<Token>,
    max_bytes: usize,
    timeout: Duration,
    /// Only this host can connect.
    local: bool,
    bodies: Semaphore,
    compiles: Semaphore,
}

/// An answer other than what was asked for.
struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.why)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    WWW_AUTHENTICATE,
                    axum::http::HeaderValue::from_static("Bearer"),
                );
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, axum::http::HeaderValue::from_static("5"));
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
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl App {
    pub(super) fn new(
        store: Store,
        engine: FaasletEngine,
        token: Option<Token>,
        limits: &Limits,
        local: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            engine,
            token,
            max_bytes: limits.max_bytes,
            timeout: limits.timeout,
            local,
            bodies: Semaphore::new(MAX_BODIES),
            compiles: Semaphore::new(MAX_COMPILES),
        })
    }

    pub(super) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/f/{user}/{function}", get(get_function).put(put_function))
            .fallback(|| async {
                Refusal::new(StatusCode::NOT_FOUND, "there is only /f/<user>/<function>")
            })
            .with_state(self)
    }

    fn admit(&self, headers: &HeaderMap, path: FunctionPath) -> Result<FunctionId, Refusal> {
        match &self.token {
            Some(token) => {
                let sent = headers
                    .get(AUTHORIZATION)
                    .map_or(&b""[..], |v| v.as_bytes());
                if !token.admits(sent) {
                    return Err(Refusal::new(
                        StatusCode::UNAUTHORIZED,
                        "this server wants its token: Authorization: Bearer <token>",
                    ));
                }
            }
            // A page in a browser on this host can send requests here under a name of its own.
            None if self.local && !is_own_name(headers) => {
                return Err(Refusal::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    "this server answers to localhost and to addresses only",
                ));
            }
            None => {}
        }
        let Path((user, function)) =
            path.map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, e.body_text()))?;
        FunctionId::new(&user, &function).map_err(|e| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                e.to_string().escape_debug().to_string(),
            )
        })
    }

    async fn body_slot(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        match tokio::time::timeout(self.timeout, self.bodies.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many uploads at once, try again",
            )),
        }
    }

    async fn receive(
        &self,
        headers: &HeaderMap,
        incoming: &mut Incoming,
    ) -> Result<Vec<u8>, Refusal> {
        // Absent with chunks; one that is no number was refused with the head.
        let declared = headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<usize>().ok())
            .unwrap_or(0);
        let read = incoming.read(declared, self.max_bytes).await;
        let wasm = read.map_err(|e| match e {
            BodyError::TooLarge => Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a module may have {} bytes here", self.max_bytes),
            ),
            BodyError::TimedOut => Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "the module did not come in time",
            ),
            BodyError::Broken(why) => Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the module did not come whole: {why}"),
            ),
        })?;
        if wasm.is_empty() {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "the request has no body: send the module as it is",
            ));
        }
        Ok(wasm)
    }

    async fn install(self: &Arc<Self>, id: FunctionId, wasm: Vec<u8>) -> Result<Upload, Refusal> {
        let _slot = self.compiles.acquire().await;
        let app = self.clone();
        let installed =
            tokio::task::spawn_blocking(move || app.store.upload_changed(&app.engine, &id, &wasm));
        joined(installed).await
    }

    async fn put(
        self: &Arc<Self>,
        headers: &HeaderMap,
        path: FunctionPath,
        incoming: &mut Incoming,
    ) -> Result<(FunctionId, usize, Upload), Refusal> {
        let id = self.admit(headers, path)?;
        let _slot = self.body_slot().await?;
        let wasm = self.receive(headers, incoming).await?;
        let bytes = wasm.len();
        Ok((id.clone(), bytes, self.install(id, wasm).await?))
    }
}

async fn joined<T>(work: tokio::task::JoinHandle<Result<T, FaasletError>>) -> Result<T, Refusal> {
    // Only a fault in the compiler can end it otherwise.
    work.await.map_or_else(
        |e| {
            Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the work was given up: {e}"),
            ))
        },
        |done| done.map_err(Refusal::from),
    )
}

/// Whether the client called us by an address or as localhost; old clients do not say.
fn is_own_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok()
}

async fn put_function(
    State(app): State<Arc<App>>,
    path: FunctionPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let begun = Instant::now();
    let mut incoming = Incoming::new(body, app.timeout);
    match app.put(&headers, path, &mut incoming).await {
        Ok((id, bytes, upload)) => {
            let status = match upload {
                Upload::New => StatusCode::CREATED,
                Upload::Replaced | Upload::Unchanged => StatusCode::OK,
            };
            let done = done(upload);
            let took = begun.elapsed();
            log(format_args!("PUT {id}: {done}, {bytes} bytes, {took:.1?}"));
            (status, format!("{id}: {done}\n")).into_response()
        }
        Err(refusal) => {
            log(format_args!(
                "PUT refused: {}: {}",
                refusal.status, refusal.why
            ));
            // A client that asked first has not sent anything.
            if refusal.status != StatusCode::REQUEST_TIMEOUT && !headers.contains_key(EXPECT) {
                incoming.discard().await;
            }
            refusal.into_response()
        }
    }
}

async fn get_function(
    State(app): State<Arc<App>>,
    path: FunctionPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id = app.admit(&headers, path)?;
    let store = app.store.clone();
    let wasm = joined(tokio::task::spawn_blocking(move || store.wasm(&id))).await?;
    let tag = etag(&wasm);
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|sent| sent.as_bytes() == tag.as_bytes())
    {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let head = [(CONTENT_TYPE, "application/wasm".to_owned()), (ETAG, tag)];
    Ok((head, wasm).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_own_names() {
        let called = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a header"));
            is_own_name(&headers)
        };
        for own in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "10.0.0.1",
        ] {
            assert!(called(own), "{own}");
        }
        for foreign in [
            "example.com",
            "localhost.example.com:80",
            "",
            "127.0.0.1.example.com",
        ] {
            assert!(!called(foreign), "{foreign}");
        }
        assert!(is_own_name(&HeaderMap::new()));
    }
}
