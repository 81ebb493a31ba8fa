//! One network namespace.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use measure_core::base::clock::now_ns;
use measure_core::base::label;
use nix::fcntl::Flock;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getpid;

use super::config::{Config, MAX_PERSISTENT};
use super::enter::{enter, open_socket, own_namespace, socket_in};
use super::error::{NetnsError, refused};
use super::hub::Hub;
use super::requests;
use super::socket::Netlink;

/// How long a link may take to carry, and how often it is looked at meanwhile.
const CARRIES_WITHIN_NS: u64 = 100_000_000;
const LOOK_EVERY: Duration = Duration::from_micros(50);

/// What making one namespace cost, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// `unshare(CLONE_NEWNET)`, opening the namespace and a socket in it, and going back.
    pub unshare_ns: u64,
    /// Creating the veth pair.
    pub veth_ns: u64,
    /// The tbf qdisc of both ends.
    pub shaping_ns: u64,
    /// Addresses, links up (loopback included) and the default route.
    pub addresses_ns: u64,
}

/// A network namespace, complete with veth pair, addresses, route and shaping. An anonymous one goes
/// when this and the last thread inside are gone: dropping it gives it to the kernel, which tears it
/// down on a thread of its own; [`Namespace::remove`] waits for its veth pair to be gone.
#[derive(Debug)]
pub struct Namespace {
    index: u32,
    handle: Handle,
    cost: Cost,
    addresses: (Ipv4Addr, Ipv4Addr),
}

#[derive(Debug)]
enum Handle {
    /// Anonymous: it lives as long as this.
    Anonymous(OwnedFd),
    /// Persistent: this process's as long as this.
    Locked(Flock<File>),
}

/// Next index to try; see [`next_index`].
static NEXT: AtomicU32 = AtomicU32::new(u32::MAX);

impl Namespace {
    /// Makes a new anonymous namespace. The calling thread stays in its own.
    ///
    /// # Errors
    /// No permission, a kernel without veth or tbf, or a limit reached.
    pub fn create(config: &Config) -> Result<Self, NetnsError> {
        let pid = getpid().as_raw();
        for _ in 0..config.range.pairs() {
            let index = next_index(config.range.pairs());
            let alias = label::name(pid, &format!("netns{index}"));
            // The host end's name and index are taken by whoever comes first, whichever process it is.
            match Self::build(index, config, alias) {
                Err(error) if is_taken(&error) => {}
                outcome => return outcome,
            }
        }
        Err(NetnsError::Exhausted {
            what: "cannot create a veth pair".into(),
            limit: "the address range",
            mend: "end other runs or set a wider range",
        })
    }

    /// The same with its host end in `hub`, where the calling thread stays afterwards.
    ///
    /// # Errors
    /// As of [`Self::create`].
    pub fn create_at(hub: &Hub) -> Result<Self, NetnsError> {
        enter(hub.fd())?;
        Self::create(hub.config())
    }

    /// Makes namespace `index`, whose host end carries `alias`.
    pub(super) fn build(index: u32, config: &Config, alias: String) -> Result<Self, NetnsError> {
        let (host_address, address) = config.range.pair(index);
        let rate = config.rate_bits_per_s;
        let start = now_ns();
        let (mut host, mut inside, fd) = new_namespace()?;
        let unshared = now_ns();
        host.batch(requests::veth(index, fd.as_fd()))
            .map_err(refused)?;
        let paired = now_ns();
        // While both ends are down: the kernel waits for an RCU grace period when it changes the qdisc
        // of a link that is up.
        if rate > 0 {
            host.batch(requests::shape_host_end(index, rate))
                .map_err(refused)?;
            inside
                .batch(requests::shape_inside_end(rate))
                .map_err(refused)?;
        }
        let shaped = now_ns();
        host.batch(requests::host_end(index, host_address, alias))
            .map_err(refused)?;
        inside
            .batch(requests::inside_end(address, host_address, &config.targets))
            .map_err(refused)?;
        if !config.targets.is_empty() {
            wait_until_it_carries(&mut host, index)?;
        }
        Ok(Self {
            index,
            handle: Handle::Anonymous(fd),
            cost: Cost {
                unshare_ns: unshared - start,
                veth_ns: paired - unshared,
                shaping_ns: shaped - paired,
                addresses_ns: now_ns() - shaped,
            },
            addresses: (host_address, address),
        })
    }

    /// Persistent namespace `index`, locked for this process.
    pub(super) fn existing(index: u32, config: &Config, locked: Flock<File>) -> Self {
        Self {
            index,
            handle: Handle::Locked(locked),
            cost: Cost::default(),
            addresses: config.range.pair(index),
        }
    }

    /// The namespace, for [`enter`] and `setns`.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.handle {
            Handle::Anonymous(fd) => fd.as_fd(),
            Handle::Locked(file) => file.as_fd(),
        }
    }

    /// The index that its names and addresses follow from.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The host's and the inside address of its pair.
    #[must_use]
    pub fn addresses(&self) -> (Ipv4Addr, Ipv4Addr) {
        self.addresses
    }

    /// What making it cost; zero for a namespace that was there already.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Removes the veth pair, whose host end is in the calling thread's namespace, and waits until it is gone; the
    /// rest of the namespace follows when the last thread has left it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(self) -> Result<(), NetnsError> {
        delete_host_end(self.index)
    }

    /// As [`Self::remove`], of one whose host end is in `hub`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_at(self, hub: &Hub) -> Result<(), NetnsError> {
        delete_host_end_by(socket_in(hub.fd())?, self.index)
    }
}

/// Waits until the host end of pair `index`, which was brought up before its other end was, sends: until a worker of the kernel has come
/// to it, it drops what it is given, and whoever connects at once waits a second to try again. Since Linux 6.7 looking at it does that
/// worker's work (`linkwatch_sync_dev`).
fn wait_until_it_carries(host: &mut Netlink, index: u32) -> Result<(), NetnsError> {
    let deadline_ns = now_ns() + CARRIES_WITHIN_NS;
    loop {
        let link = host
            .ask(requests::look_at_host_end(index))
            .map_err(refused)?;
        // Late, it is as if nobody had waited.
        if requests::carries(link.as_ref()) || now_ns() > deadline_ns {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Removes the veth pair `index`, if it is there.
pub(super) fn delete_host_end(index: u32) -> Result<(), NetnsError> {
    delete_host_end_by(open_socket()?, index)
}

fn delete_host_end_by(mut host: Netlink, index: u32) -> Result<(), NetnsError> {
    match host.batch(requests::delete_veth(index)) {
        Err(error) if error.source.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        outcome => outcome.map_err(refused),
    }
}

/// Anonymous indices in a round, each process beginning elsewhere, so that two seldom meet.
fn next_index(pairs: u32) -> u32 {
    let span = pairs.saturating_sub(MAX_PERSISTENT).max(1);
    let seed = getpid().as_raw().unsigned_abs().wrapping_mul(2_654_435_761) % span;
    let _ = NEXT.compare_exchange(u32::MAX, seed, Ordering::Relaxed, Ordering::Relaxed);
    MAX_PERSISTENT + NEXT.fetch_add(1, Ordering::Relaxed) % span
}

fn is_taken(error: &NetnsError) -> bool {
    matches!(
        error.raw_os_error(),
        // The name and the interface index, respectively.
        Some(libc::EEXIST | libc::EBUSY)
    )
}

/// A new namespace: a socket in the thread's own, a socket in the new one, and the new one.
fn new_namespace() -> Result<(Netlink, Netlink, OwnedFd), NetnsError> {
    let host = open_socket()?;
    let own = own_namespace()?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| match e {
        nix::errno::Errno::EINVAL => NetnsError::Kernel {
            feature: "network namespaces",
            mend: "build it with CONFIG_NET_NS",
            source: e.into(),
        },
        _ => NetnsError::os("cannot create a network namespace", e.into()),
    })?;
    let inside = open_socket().and_then(|socket| Ok((socket, own_namespace()?)));
    // Back before anything else, whatever happened: the thread may go on to do other things.
    enter(own.as_fd())?;
    let (inside, fd) = inside?;
    Ok((host, inside, fd))
}
