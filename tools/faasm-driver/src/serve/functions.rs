//! What `PUT` and `GET /f/<user>/<function>` do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPECT, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use faaslet::store::{Quota, Upload};
use faaslet::{FaasletEngine, FaasletError};
use measure_core::base::ids::FunctionId;
use tokio::sync::Semaphore;

use super::access::Access;
use super::admission::{Admission, Client, Place, Shares};
use super::body::{BodyError, Incoming, MIN_BYTES_PER_SECOND};
use super::download::{self, Tags};
use super::log::log;
use super::peer::Peer;
use super::refusal::Refusal;
use crate::settings::Settings;
use crate::uploads::done;

/// Uploads at once, and the bytes of them that are in memory; a client has a part of them.
const UPLOADS: Shares = Shares {
    places: 64,
    places_each: 16,
    bytes: 512 << 20,
    bytes_each: 256 << 20,
    // The compiler uses several threads for each.
    turns: 2,
};
/// Answers at once; of each a piece is in memory.
const DOWNLOADS: Shares = Shares {
    places: 128,
    places_each: 64,
    bytes: 0,
    bytes_each: 0,
    turns: 0,
};
/// Modules hashed at once.
const MAX_HASHES: usize = 2;

type FunctionPath = Result<Path<(String, String)>, PathRejection>;

/// What a client may do.
pub(super) struct Limits {
    /// The largest module.
    pub(super) max_bytes: usize,
    /// How long a client may stall.
    pub(super) timeout: Duration,
    /// What a user may have.
    pub(super) quota: Quota,
}

/// What all requests share.
pub(super) struct App {
    settings: Settings,
    engine: FaasletEngine,
    access: Access,
    limits: Limits,
    uploads: Arc<Admission>,
    downloads: Arc<Admission>,
    hashes: Semaphore,
    tags: Tags,
    /// Held while a quota is looked at and what it allows is installed.
    installing: Mutex<()>,
}

/// Ends the compilation when the request is dropped.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl App {
    pub(super) fn new(
        settings: Settings,
        engine: FaasletEngine,
        access: Access,
        limits: Limits,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            engine,
            access,
            limits,
            uploads: Admission::new(UPLOADS),
            downloads: Admission::new(DOWNLOADS),
            hashes: Semaphore::new(MAX_HASHES),
            tags: Tags::default(),
            installing: Mutex::default(),
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

    fn admit(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        path: FunctionPath,
    ) -> Result<(Client, FunctionId), Refusal> {
        let Path((user, function)) =
            path.map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, e.body_text()))?;
        let id = FunctionId::new(&user, &function)
            .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, e.to_string()))?;
        Ok((self.access.admit(headers, peer.address, &id)?, id))
    }

    async fn receive(
        &self,
        headers: &HeaderMap,
        incoming: &mut Incoming,
        place: &mut Place,
    ) -> Result<Vec<u8>, Refusal> {
        // Absent with chunks; one that is no number was refused with the head.
        let declared = headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<usize>().ok())
            .unwrap_or(0);
        let max_bytes = self.limits.max_bytes;
        let received = incoming.read(place, declared, max_bytes).await;
        let wasm = received.map_err(|e| match e {
            BodyError::TooLarge => Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a module may have {max_bytes} bytes here"),
            ),
            BodyError::TimedOut => Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "the module did not come in time",
            ),
            BodyError::TooSlow => Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "the module came slowly while others wait, try again",
            ),
            BodyError::Full(full) => full.into(),
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

    /// Refuses what would get directories that were granted to another module.
    fn require_place(&self, id: &FunctionId) -> Result<(), Refusal> {
        let granted = match self.settings.store.grants(id) {
            Err(FaasletError::UnknownFunction(_)) => false,
            Ok(grants) => !grants.dirs.is_empty(),
            // There is something of that kind, whatever is wrong with it.
            Err(_) => true,
        };
        if granted && self.access.is_open() {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                format!(
                    "{id} is given directories, and here anyone could take its place: upload it into the store itself, or run the server with tokens"
                ),
            ));
        }
        Ok(())
    }

    /// Refuses what the user has no room for.
    fn require_room(&self, id: &FunctionId, bytes: u64) -> Result<(), FaasletError> {
        let others = self.settings.store.usage_beside(id)?;
        self.limits.quota.allows(id, others, bytes)
    }

    /// Compiles and installs `wasm`, unless the client goes away first.
    async fn install(
        self: &Arc<Self>,
        peer: &Peer,
        place: Place,
        id: FunctionId,
        wasm: Vec<u8>,
    ) -> Result<Upload, Refusal> {
        let given_up = Arc::new(AtomicBool::new(false));
        let _ends_with_us = GivenUp(given_up.clone());
        let work = async {
            let turn = place.turn().await;
            let app = self.clone();
            let work = tokio::task::spawn_blocking(move || {
                // Kept until the compiler has ended, even if nobody waits for it.
                let _kept = (turn, place);
                app.compile_and_install(&id, &wasm, given_up)
            });
            joined(work).await
        };
        tokio::select! {
            done = work => done,
            () = peer.gone() => Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "the client went away while its module was compiled",
            )),
        }
    }

    fn compile_and_install(
        &self,
        id: &FunctionId,
        wasm: &[u8],
        given_up: Arc<AtomicBool>,
    ) -> Result<Upload, Refusal> {
        self.require_place(id)?;
        self.require_room(id, wasm.len() as u64)?;
        let store = &self.settings.store;
        let compiler = self.settings.compiler(Some(given_up));
        let engine = self.engine.clone().with_compiler(compiler);
        let uploaded = store.upload_changed_if(&engine, id, wasm, |code_bytes| {
            let alone = self
                .installing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.require_room(id, wasm.len() as u64 + code_bytes)?;
            // It may have been given some while this was compiled.
            self.require_place(id).map_err(|refusal| {
                let what = id.to_string();
                let cause = refusal.why;
                FaasletError::Refused { what, cause }
            })?;
            Ok(alone)
        });
        Ok(uploaded?)
    }

    async fn put(
        self: &Arc<Self>,
        headers: &HeaderMap,
        peer: &Peer,
        path: FunctionPath,
        incoming: &mut Incoming,
    ) -> Result<(FunctionId, usize, Upload), Refusal> {
        let (client, id) = self.admit(headers, peer, path)?;
        let mut place = self.uploads.enter_soon(&client).await?;
        let wasm = self.receive(headers, incoming, &mut place).await?;
        let bytes = wasm.len();
        let upload = self.install(peer, place, id.clone(), wasm).await?;
        Ok((id, bytes, upload))
    }

    async fn send_module(
        self: &Arc<Self>,
        headers: &HeaderMap,
        peer: &Peer,
        path: FunctionPath,
    ) -> Result<Response, Refusal> {
        let (client, id) = self.admit(headers, peer, path)?;
        let place = self.downloads.enter_soon(&client).await?;
        let app = self.clone();
        let _slot = self.hashes.acquire().await;
        let found = tokio::task::spawn_blocking(move || {
            let opened = app.settings.store.open_module(&id);
            let (file, bytes) = opened.map_err(|error| not_there(&client, &id, error))?;
            let tag = app.tags.tag(&file).map_err(|e| {
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{id}: {e}"))
            })?;
            Ok((file, bytes, tag))
        });
        let (file, bytes, tag) = joined(found).await?;
        let same = |sent: &axum::http::HeaderValue| sent.as_bytes() == tag.as_bytes();
        if headers.get(IF_NONE_MATCH).is_some_and(same) {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
        }
        let least_rate = Duration::from_secs(bytes / MIN_BYTES_PER_SECOND as u64);
        peer.answer_by(tokio::time::Instant::now() + self.limits.timeout + least_rate);
        let head = [
            (CONTENT_TYPE, "application/wasm".to_owned()),
            (CONTENT_LENGTH, bytes.to_string()),
            (ETAG, tag),
        ];
        Ok((head, download::body(file, bytes, place)).into_response())
    }
}

/// Why there is no module of `id`. The error names the nearest function that there is, whosever it is.
fn not_there(client: &Client, id: &FunctionId, error: FaasletError) -> Refusal {
    match (client, error) {
        (Client::User(user), FaasletError::UnknownFunction(_)) if user == id.user() => {
            Refusal::new(StatusCode::NOT_FOUND, format!("there is no {id}"))
        }
        (_, error) => error.into(),
    }
}

async fn joined<T>(work: tokio::task::JoinHandle<Result<T, Refusal>>) -> Result<T, Refusal> {
    // Only a fault in our own code can end it otherwise.
    work.await.unwrap_or_else(|e| {
        Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the work was given up: {e}"),
        ))
    })
}

async fn put_function(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Arc<Peer>>,
    path: FunctionPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let begun = Instant::now();
    let mut incoming = Incoming::new(body, app.limits.timeout);
    match app.put(&headers, &peer, path, &mut incoming).await {
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
    Extension(peer): Extension<Arc<Peer>>,
    path: FunctionPath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    app.send_module(&headers, &peer, path).await
}
