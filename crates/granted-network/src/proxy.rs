//! The proxy: carries connections from where a function sees a target to the target itself.
//!
//! One thread, whatever comes: a listener for each target, a bounded number of connections for each address that they come from and in
//! all, a limit for each wait. What is beyond a bound is closed at once. A connection lies in the network in which its listener was
//! made; the way on is from the network of whoever starts the proxy.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddrV4, TcpListener as Listener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::background::Background;

/// After a connection could not be accepted, which is for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes that are read before they are written on.
const CHUNK_BYTES: usize = 16 << 10;

/// What connections may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once from one address, that is of one function.
    pub of_one: usize,
    /// Connections at once in all.
    pub in_all: usize,
    /// How long a target may take to accept.
    pub connect: Duration,
    /// How long a connection may lie idle, or go on after its target has ended it.
    pub idle: Duration,
    /// How long it may go on after the function has ended it: with its start, for all that can be told, and the next is to find its places free.
    pub ended: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            of_one: 32,
            in_all: 1024,
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            ended: Duration::from_secs(2),
        }
    }
}

/// A proxy at work. Dropping it closes its listeners and every connection.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    _thread: Background,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    open: Mutex<HashMap<IpAddr, usize>>,
    carried: AtomicU64,
    refused: AtomicU64,
}

/// A connection that counts until this is dropped.
struct Place {
    shared: Arc<Shared>,
    from: IpAddr,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `from`, if there is one.
    fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut open = self.open();
        let all: usize = open.values().sum();
        let of_one = open.get(&from).copied().unwrap_or(0);
        if all >= self.limits.in_all || of_one >= self.limits.of_one {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        open.insert(from, of_one + 1);
        self.carried.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            shared: Arc::clone(self),
            from,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.shared.open();
        match open.get_mut(&self.from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.from)),
        }
    }
}

impl Proxy {
    /// Carries what comes in at each listener to its target.
    ///
    /// # Errors
    /// No thread, or no descriptors.
    pub fn start(listeners: Vec<(Listener, SocketAddrV4)>, limits: Limits) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            limits,
            open: Mutex::default(),
            carried: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&shared);
        let thread = Background::start("network-proxy", || {
            let mut ready = Vec::new();
            for (listener, target) in listeners {
                listener.set_nonblocking(true)?;
                ready.push((TcpListener::from_std(listener)?, target));
            }
            Ok(async move {
                let mut takers = JoinSet::new();
                for (listener, target) in ready {
                    takers.spawn(take(listener, target, Arc::clone(&theirs)));
                }
                while takers.join_next().await.is_some() {}
            })
        })?;
        Ok(Self {
            shared,
            _thread: thread,
        })
    }

    /// How many connections it has carried, those under way included.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }

    /// How many it has closed at once, as there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

async fn take(listener: TcpListener, target: SocketAddrV4, shared: Arc<Shared>) {
    loop {
        let Ok((inside, from)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        // Without a place the connection is dropped here, which closes it.
        if let Some(place) = shared.admit(from.ip()) {
            tokio::spawn(async move {
                // How a connection ends is between its two sides.
                let _ = carry(inside, target, &place.shared.limits).await;
                drop(place);
            });
        }
    }
}

/// Carries both ways until both sides have ended, one has failed, or nothing moves any more.
async fn carry(inside: TcpStream, target: SocketAddrV4, limits: &Limits) -> io::Result<()> {
    let outside = timeout(limits.connect, TcpStream::connect(target)).await??;
    inside.set_nodelay(true)?;
    outside.set_nodelay(true)?;
    let ((from_inside, to_inside), (from_outside, to_outside)) = (split(inside), split(outside));
    let out = one_way(from_inside, to_outside, limits.idle);
    let back = one_way(from_outside, to_inside, limits.idle);
    tokio::pin!(out, back);
    tokio::select! {
        ended = &mut out => { ended?; timeout(limits.ended, back).await? }
        ended = &mut back => { ended?; timeout(limits.idle, out).await? }
    }
}

/// Until `from` ends, which ends `to`; or until nothing has come for so long.
async fn one_way(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<TcpStream>,
    idle: Duration,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = timeout(idle, from.read(&mut chunk)).await??;
        if count == 0 {
            return to.shutdown().await;
        }
        timeout(idle, to.write_all(&chunk[..count])).await??;
    }
}
