//! Who is at the other end of a connection, and whether anybody still is.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, send};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How often it is looked whether a client is still there.
const LOOK: Duration = Duration::from_millis(100);
/// What HTTP/1.1 lets a server say before its answer.
const PROCESSING: &[u8] = b"HTTP/1.1 102 Processing\r\n\r\n";

/// The client of one connection.
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// The connection's socket once more, to look at while the request is being answered.
    socket: OwnedFd,
    has_asked: AtomicBool,
    understands_interim: AtomicBool,
    answer_by: Mutex<Option<Instant>>,
}

impl Peer {
    pub(super) fn new(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self {
            address: stream.peer_addr()?.ip(),
            socket: stream.as_fd().try_clone_to_owned()?,
            has_asked: AtomicBool::new(false),
            understands_interim: AtomicBool::new(false),
            answer_by: Mutex::new(None),
        })
    }

    /// Its request's head has come.
    pub(super) fn has_sent_head(&self, version: hyper::Version) {
        self.has_asked.store(true, Ordering::Relaxed);
        let since_1_1 = version >= hyper::Version::HTTP_11;
        self.understands_interim.store(since_1_1, Ordering::Relaxed);
    }

    /// Whether its request's head has come.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// The answer must have been taken by `time`.
    pub(super) fn answer_by(&self, time: Instant) {
        *self
            .answer_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(time);
    }

    /// Returns when the answer should have been taken and was not.
    pub(super) async fn late(&self) {
        loop {
            let limit = *self
                .answer_by
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if limit.is_some_and(|limit| Instant::now() > limit) {
                return;
            }
            tokio::time::sleep(10 * LOOK).await;
        }
    }

    /// Returns when the client has gone. To be awaited after the request has come whole and before anything of the answer is
    /// sent: a client that has closed its side may still read, or not exist, which only something sent to it can tell.
    pub(super) async fn gone(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.is_gone() {
                return;
            }
        }
    }

    fn is_gone(&self) -> bool {
        let mut asked = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events: libc::POLLRDHUP,
            revents: 0,
        };
        // SAFETY: one structure, ours, for the length of the call, which does not wait.
        if unsafe { libc::poll(&raw mut asked, 1, 0) } < 0 {
            return false;
        }
        if asked.revents & (libc::POLLERR | libc::POLLHUP) != 0 {
            return true;
        }
        if asked.revents & libc::POLLRDHUP == 0 {
            return false;
        }
        if !self.understands_interim.load(Ordering::Relaxed) {
            return true;
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.socket.as_raw_fd(), PROCESSING, flags) {
            // A part of it would spoil the answer.
            Ok(sent) => sent < PROCESSING.len(),
            Err(nix::errno::Errno::EAGAIN) => false,
            Err(_) => true,
        }
    }
}
