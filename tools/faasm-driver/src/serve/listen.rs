//! Where the server listens, and whom it lets wait.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use axum::Router;
use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::cli::print_lines;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::admission::Client;
use super::connection;
use super::log::log;
use super::peer::Peer;
use crate::token::TOKEN_VARIABLE;

/// After a signal, how long requests under way may take.
pub(super) const GRACE: Duration = Duration::from_millis(1500);
/// After that, how long threads that read, hash or install may take.
pub(super) const LAST_GRACE: Duration = Duration::from_millis(300);
/// Connections at once. A further one takes the place of one that has not sent its request's head.
const MAX_CONNECTIONS: usize = 256;
/// Of these a client has as many at most: whoever sends heads and then nothing keeps itself out.
const MAX_CONNECTIONS_EACH: usize = 128;
/// As long as that, a connection may keep its place though it has sent nothing.
const HEAD_GRACE: Duration = Duration::from_millis(500);
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
        "{address} can be reached from other hosts, and whoever uploads code can have it run: give --users-file FILE with a token for each user, or --token-file FILE or ${TOKEN_VARIABLE} with one for all, or listen on 127.0.0.1"
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
    let mut connections = JoinSet::new();
    let mut table = Table::default();
    while interrupt::received().is_none() {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener) => match accepted {
                // Whoever is not let in is cut off.
                Ok((peer, _)) if !table.has_room(peer.address) => {}
                Ok((peer, stream)) => {
                    let (router, stopped) = (router.clone(), stopped.clone());
                    let connection = connection::serve(stream, peer.clone(), router, timeout, stopped);
                    table.add(&peer, connections.spawn(connection));
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

async fn accept(listener: &TcpListener) -> io::Result<(Arc<Peer>, TcpStream)> {
    let (stream, _) = listener.accept().await?;
    Ok((Arc::new(Peer::new(&stream)?), stream))
}

/// A connection, since when, and whose.
struct Entry {
    // The connection's own, which closes the socket with it.
    peer: Weak<Peer>,
    client: Client,
    begun: Instant,
    task: AbortHandle,
}

/// The connections there are.
#[derive(Default)]
struct Table(Vec<Entry>);

impl Table {
    /// Whether one from `address` may be added. If there are as many as may be, or of that client, one that has sent no head goes: the
    /// oldest of the client that has the most of them.
    fn has_room(&mut self, address: IpAddr) -> bool {
        self.0.retain(|entry| !entry.task.is_finished());
        let client = Client::at(address);
        let own = self.0.iter().filter(|entry| entry.client == client).count();
        let has_its_share = own >= MAX_CONNECTIONS_EACH;
        if self.0.len() < MAX_CONNECTIONS && !has_its_share {
            return true;
        }
        let mut silent: HashMap<&Client, (usize, usize)> = HashMap::new();
        for (at, entry) in self.0.iter().enumerate() {
            let may_go = !has_its_share || entry.client == client;
            let is_silent = entry.peer.upgrade().is_some_and(|peer| !peer.has_asked());
            if may_go && is_silent && entry.begun.elapsed() > HEAD_GRACE {
                silent.entry(&entry.client).or_insert((0, at)).0 += 1;
            }
        }
        let Some(&(_, oldest)) = silent.values().max_by_key(|(count, _)| *count) else {
            let under_way = self.0.len();
            log(format_args!(
                "a connection from {address} is cut off: {under_way} are under way, {own} of that client"
            ));
            return false;
        };
        self.0.remove(oldest).task.abort();
        true
    }

    fn add(&mut self, peer: &Arc<Peer>, task: AbortHandle) {
        self.0.push(Entry {
            peer: Arc::downgrade(peer),
            client: Client::at(peer.address),
            begun: Instant::now(),
            task,
        });
    }
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
