//! Entering a network namespace, for good or to open a socket in it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns};

use super::error::NetnsError;
use super::socket::Netlink;

/// Moves the calling thread into the namespace `fd`.
///
/// # Errors
/// `fd` is no network namespace, or no permission.
pub fn enter(fd: BorrowedFd<'_>) -> Result<(), NetnsError> {
    setns(fd, CloneFlags::CLONE_NEWNET)
        .map_err(|e| NetnsError::os("cannot enter a network namespace", io::Error::from(e)))
}

/// The calling thread's own network namespace.
pub(super) fn own_namespace() -> Result<OwnedFd, NetnsError> {
    File::open("/proc/thread-self/ns/net")
        .map(OwnedFd::from)
        .map_err(|e| NetnsError::os("cannot open the thread's network namespace", e))
}

/// A socket in the calling thread's namespace.
pub(super) fn open_socket() -> Result<Netlink, NetnsError> {
    Netlink::open().map_err(|e| NetnsError::os("cannot open a netlink socket", e))
}

/// A socket in the namespace `fd`; the calling thread stays in its own.
pub(super) fn socket_in(fd: BorrowedFd<'_>) -> Result<Netlink, NetnsError> {
    let own = own_namespace()?;
    enter(fd)?;
    let socket = open_socket();
    enter(own.as_fd())?;
    socket
}
