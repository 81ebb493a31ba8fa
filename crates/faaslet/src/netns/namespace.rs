//! One network namespace.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns};

use super::{Config, NetnsError};

/// What making one namespace cost, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// `unshare(CLONE_NEWNET)`, opening the namespace and a socket in it, and going back.
    pub unshare_ns: u64,
    /// Creating the veth pair.
    pub veth_ns: u64,
    /// The htb qdisc and class of both ends.
    pub shaping_ns: u64,
    /// Addresses, links up (loopback included) and the default route.
    pub addresses_ns: u64,
}

/// A network namespace, complete with veth pair, addresses, route and shaping. An anonymous one goes
/// when this and the last thread inside are gone: dropping it gives it to the kernel, which tears it
/// down on a thread of its own; [`Namespace::remove`] waits for that.
#[derive(Debug)]
pub struct Namespace {
    index: u32,
    fd: OwnedFd,
    cost: Cost,
    config: Config,
}

impl Namespace {
    /// Makes a new anonymous namespace. The calling thread stays in its own.
    ///
    /// # Errors
    /// No permission, a kernel without veth or htb, or a limit reached.
    pub fn create(config: &Config) -> Result<Self, NetnsError> {
        let _ = config;
        Err(NetnsError::Config("not there yet".into()))
    }

    /// The namespace, for [`enter`] and `setns`.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The index that its names and addresses follow from.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The host's and the inside address of its pair.
    #[must_use]
    pub fn addresses(&self) -> (Ipv4Addr, Ipv4Addr) {
        self.config.range.pair(self.index)
    }

    /// What making it cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Removes the veth pair and waits until it is gone; the rest of the namespace follows when the last
    /// thread has left it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(self) -> Result<(), NetnsError> {
        Err(NetnsError::Config("not there yet".into()))
    }
}

/// Moves the calling thread into the namespace `fd`.
///
/// # Errors
/// `fd` is no network namespace, or no permission.
pub fn enter(fd: BorrowedFd<'_>) -> Result<(), NetnsError> {
    setns(fd, CloneFlags::CLONE_NEWNET)
        .map_err(|e| NetnsError::os("cannot enter a network namespace", io::Error::from(e)))
}

/// Whether this process and this kernel can make namespaces: makes one and removes it.
///
/// # Errors
/// Why not.
pub fn probe() -> Result<(), NetnsError> {
    Namespace::create(&Config::from_env()?)?.remove()
}
