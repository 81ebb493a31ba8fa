//! One connection: one request, and an end.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::peer::Peer;

const MAX_HEADERS: usize = 64;
const MAX_HEAD_BYTES: usize = 16 << 10;
/// What of an answer may lie between us and the kernel.
const MAX_BUFFER_BYTES: usize = 64 << 10;
const HEAD_TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Answers the request on `stream`. The head must be there within `timeout`; the body has a limit of its
/// own ([`super::body`]). When `stopped` is closed, a connection without a request ends.
pub(super) async fn serve(
    stream: TcpStream,
    peer: Arc<Peer>,
    router: Router,
    timeout: Duration,
    mut stopped: watch::Receiver<()>,
) {
    // A client that does not read its answer: the kernel gives up, and this task with it.
    let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let _ = setsockopt(&stream.as_fd(), TcpUserTimeout, &millis);
    let router = TowerToHyperService::new(router);
    let client = peer.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        client.has_sent_head(request.version());
        request.extensions_mut().insert(client.clone());
        router.call(request)
    });
    let mut connection = http1::Builder::new()
        .keep_alive(false)
        // Some clients say by closing their side that the request is whole.
        .half_close(true)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = &mut connection => break ended,
            // Dropping the connection closes it.
            () = peer.late() => return,
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if ended.is_err_and(|e| e.is_timeout()) {
        let mut stream = connection.into_parts().io.into_inner();
        // Whoever sends no head may not read an answer either.
        let answer = async {
            let _ = stream.write_all(HEAD_TIMED_OUT).await;
            let _ = stream.shutdown().await;
        };
        let _ = tokio::time::timeout(timeout, answer).await;
    }
}
