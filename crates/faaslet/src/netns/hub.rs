//! The other end of the veth pairs of functions that were granted something: a namespace that holds an address and a listener for each
//! target, and nothing else.
//!
//! The host ends lie in it and not in the host's own namespace, so from inside there is no way to the host, its loopback, its other
//! ports or another machine, whatever listens there and whatever the host forwards: no firewall rule has to say so. A proxy of this
//! process takes what comes in at the listeners and goes on from the host's namespace. It all goes when this process does.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use granted_network::{Grant, Limits, NetworkError, Proxy, Reach};
use nix::sched::{CloneFlags, unshare};

use super::config::{Config, Range};
use super::enter::{open_socket, own_namespace};
use super::error::{NetnsError, RANGE_VARIABLE, refused};
use super::requests;

/// Whether a packet that is not for this namespace goes on; as it is in the host's, unless it is said otherwise.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A grant is wrong or leads nowhere.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The kernel refuses.
    #[error(transparent)]
    Netns(#[from] NetnsError),
}

/// One of them, for namespaces of one configuration and all functions with the same grants.
#[derive(Debug)]
pub struct Hub {
    fd: OwnedFd,
    reach: Arc<Reach>,
    config: Config,
    proxy: Proxy,
}

impl Hub {
    /// One from which `grants` are reached. Functions see this host at the first pair's inside address: that pair is of a persistent
    /// namespace, of which none has its host end here.
    ///
    /// # Errors
    /// A name has no address, or the kernel refuses.
    pub fn open(grants: &[Grant], config: &Config) -> Result<Self, HubError> {
        let host_end = config.range.pair(0).1;
        let reach = Reach::resolve(grants, host_end)?;
        check_addresses(&reach, host_end, config)?;
        let (fd, listeners) = in_thread(|| furnish(&reach))??;
        let proxy = Proxy::start(listeners, Limits::default())
            .map_err(|e| NetnsError::os("cannot start the proxy of the granted network", e))?;
        let config = Config {
            targets: reach.addresses(),
            ..config.clone()
        };
        Ok(Self {
            fd,
            reach: Arc::new(reach),
            config,
            proxy,
        })
    }

    /// The namespace, for [`super::enter()`].
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What can be reached through it.
    #[must_use]
    pub fn reach(&self) -> &Arc<Reach> {
        &self.reach
    }

    /// How namespaces are made whose host ends are to lie in it.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The proxy.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }
}

/// That no granted host has an address of the range that namespaces have theirs from.
fn check_addresses(reach: &Reach, host_end: Ipv4Addr, config: &Config) -> Result<(), NetnsError> {
    let is_ours = |&address: &Ipv4Addr| {
        address != host_end && config.range.contains(&Range::new(address, 32))
    };
    match reach.addresses().into_iter().find(is_ours) {
        Some(address) => Err(NetnsError::Config(format!(
            "{address} is granted and lies in {}, from which namespaces have their addresses; set {RANGE_VARIABLE} to a free IPv4 range, \
             for example 10.96.0.0/15",
            config.range
        ))),
        None => Ok(()),
    }
}

/// `work` on a thread that may change its namespace, as it ends with it.
pub(super) fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .spawn_scoped(scope, work)
            .map_err(|e| NetnsError::os("cannot start a thread", e))?;
        Ok(thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

type Furnished = (OwnedFd, Vec<(TcpListener, SocketAddrV4)>);

/// Moves the calling thread into a new namespace that has nothing and passes nothing on.
pub(super) fn enter_new() -> Result<(), NetnsError> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|e| NetnsError::os("cannot create a network namespace", e.into()))?;
    stop_forwarding()
}

/// Moves the calling thread into a new namespace and puts there what `reach` wants.
fn furnish(reach: &Reach) -> Result<Furnished, NetnsError> {
    enter_new()?;
    open_socket()?
        .batch(requests::loopback(&reach.addresses()))
        .map_err(refused)?;
    let listener = |seen: SocketAddrV4| {
        TcpListener::bind(seen)
            .map_err(|e| NetnsError::os(format!("cannot listen for what goes to {seen}"), e))
    };
    let listeners = reach
        .targets()
        .map(|target| Ok((listener(target.seen)?, target.real)));
    Ok((
        own_namespace()?,
        listeners.collect::<Result<_, NetnsError>>()?,
    ))
}

fn stop_forwarding() -> Result<(), NetnsError> {
    let failed = |e| NetnsError::os(format!("cannot write to {FORWARDING}"), e);
    if fs::read_to_string(FORWARDING).is_ok_and(|text| text.trim() == "0") {
        return Ok(());
    }
    fs::write(FORWARDING, "0").map_err(failed)?;
    match fs::read_to_string(FORWARDING).map_err(failed)?.trim() {
        "0" => Ok(()),
        other => Err(failed(io::Error::other(format!("it stays {other}")))),
    }
}
