//! Where the server listens, and whom it lets wait.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::cli::print_lines;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::connection;
use super::log::log;
use crate::token::TOKEN_VARIABLE;

/// After a signal, how long requests under way may take.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// Out of descriptors: some become free.
const RETRY_ACCEPT: Duration = Duration::from_millis(100);

/// The address `text`.
///
/// # Errors
/// It is none, or is open to other hosts without a token.
pub(super) fn address(text: &str, token: bool) -> Result<SocketAddr, DriverError> {
    let text = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = text.parse().map_err(|_| {
        DriverError::Usage(format!(
            "--listen is `{text}`, it must be an IP address and a port, for example 127.0.0.1:8080"
        ))
    })?;
    if address.ip().is_loopback() || token {
        return Ok(address);
    }
    Err(DriverError::Usage(format!(
        "{address} can be reached from other hosts, and whoever uploads code can have it run: give --token-file FILE or ${TOKEN_VARIABLE} with a secret, or listen on 127.0.0.1"
    )))
}

/// Listens on `address`.
///
/// # Errors
/// It is taken, or not ours.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, DriverError> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => DriverError::Busy(format!(
            "{address} is in use: another server runs there; give --listen another port (0: any)"
        )),
        _ => DriverError::failed(format!("cannot listen on {address}"), e),
    })
}

/// Accepts connections until a signal comes, then lets those under way end.
///
/// # Errors
/// No signal handler to be had, or nobody can be told the address.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    timeout: Duration,
) -> Result<Exit, DriverError> {
    let no_signals = |e| DriverError::failed("cannot catch signals", e);
    let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
    announce(&listener)?;
    let (stop, stopped) = watch::channel(());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while interrupt::received().is_none() {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            Some(_) = connections.join_next() => {}
            (slot, accepted) = accept(&listener, &slots) => match accepted {
                Ok(stream) => {
                    let connection = connection::serve(stream, router.clone(), timeout, stopped.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    log(format_args!("cannot accept a connection: {error}"));
                    tokio::time::sleep(RETRY_ACCEPT).await;
                }
            },
        }
    }
    drop(listener);
    drop(stop);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (
    Option<tokio::sync::OwnedSemaphorePermit>,
    std::io::Result<tokio::net::TcpStream>,
) {
    // It is never closed, so there is always a permit to come.
    let slot = slots.clone().acquire_owned().await.ok();
    (slot, listener.accept().await.map(|(stream, _)| stream))
}

fn announce(listener: &TcpListener) -> Result<(), DriverError> {
    let failed = |e| DriverError::failed("cannot say where the server listens", e);
    let address = listener.local_addr().map_err(failed)?;
    print_lines(&format!("listening on http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_need_a_token() {
        for open in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            assert!(address(open, false).is_err(), "{open}");
            assert!(address(open, true).is_ok(), "{open}");
        }
        for own in ["127.0.0.1:0", "[::1]:80", "localhost:80", "127.9.9.9:80"] {
            assert!(address(own, false).is_ok(), "{own}");
        }
        for bad in ["", "80", "example.com:80", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(address(bad, true).is_err(), "{bad}");
        }
    }
}
