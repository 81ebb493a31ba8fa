//! A pool of namespaces for a run.

use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use measure_core::base::interrupt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::config::Config;
use super::enter::{enter, own_namespace};
use super::error::NetnsError;
use super::hub::{Hub, enter_new, in_thread};
use super::namespace::Namespace;
use super::persistent;
use super::survey::check_range;

/// Descriptors that the rest of the process may want beside the namespaces'.
const SPARE_DESCRIPTORS: u64 = 512;
/// So many host ends lie in one namespace at most.
const HOST_ENDS_IN_ONE: usize = 1000;

/// Namespaces for a run: persistent ones that no other process uses, then anonymous ones. They are this
/// process's until the pool is dropped; then persistent ones are free again and anonymous ones vanish. The host ends of persistent ones
/// lie in the caller's namespace, those of anonymous ones apart from it, where they lead nowhere.
#[derive(Debug)]
pub struct Pool {
    namespaces: Vec<Namespace>,
    /// Where the host ends of anonymous ones lie, if not in a hub: namespaces with nothing else in them. Dropped after those.
    _host_sides: Vec<OwnedFd>,
    persistent: usize,
    config: Config,
}

impl Pool {
    /// `n` namespaces (at least one), configured from the environment ([`Config::from_env`]).
    ///
    /// # Errors
    /// See [`Pool::open_with`].
    pub fn open(n: usize) -> Result<Self, NetnsError> {
        Self::open_with(n, &Config::from_env()?)
    }

    /// `n` namespaces (at least one); what the persistent pool lacks is made. Raises this process's soft
    /// limit of open files where that is needed.
    ///
    /// # Errors
    /// No permission, a kernel without veth or tbf, a limit reached, or the address range is taken.
    pub fn open_with(n: usize, config: &Config) -> Result<Self, NetnsError> {
        let n = n.max(1);
        raise_descriptor_limit(n as u64 + SPARE_DESCRIPTORS);
        check_range(config)?;
        let mut namespaces = persistent::take(n, config)?;
        let persistent = namespaces.len();
        let (mut made, host_sides) = make_beside(n - persistent, config)?;
        namespaces.append(&mut made);
        Ok(Self {
            namespaces,
            _host_sides: host_sides,
            persistent,
            config: config.clone(),
        })
    }

    /// `n` namespaces (at least one), all of them new, with their host ends in `hub`.
    ///
    /// # Errors
    /// As of [`Pool::open_with`].
    pub fn open_at(hub: &Hub, n: usize) -> Result<Self, NetnsError> {
        let n = n.max(1);
        raise_descriptor_limit(n as u64 + SPARE_DESCRIPTORS);
        // Threads that one in the hub starts begin there.
        let namespaces = in_thread(|| {
            enter(hub.fd())?;
            make(n, hub.config())
        })??;
        Ok(Self {
            namespaces,
            _host_sides: Vec::new(),
            persistent: 0,
            config: hub.config().clone(),
        })
    }

    /// How many of them are persistent ones.
    #[must_use]
    pub fn persistent(&self) -> usize {
        self.persistent
    }

    /// Namespace `i`, for [`super::enter()`]; wraps around, so `i` may be any worker's number.
    #[must_use]
    pub fn fd(&self, i: usize) -> BorrowedFd<'_> {
        self.namespaces[i % self.namespaces.len()].fd()
    }

    /// The namespaces.
    #[must_use]
    pub fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    /// In words, for the records: how many, persistent and anonymous, addresses and shaping.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "{} network namespaces ({} persistent), {}",
            self.namespaces.len(),
            self.persistent,
            self.config.describe()
        )
    }
}

/// The configuration from the environment, for who makes namespaces without a pool.
///
/// # Errors
/// It makes no sense ([`Config::from_env`]), or its addresses are taken.
pub fn checked_config() -> Result<Config, NetnsError> {
    let config = Config::from_env()?;
    check_range(&config)?;
    Ok(config)
}

/// Whether this process and this kernel can make namespaces: makes one and removes it.
///
/// # Errors
/// What is missing: permission, a part of the kernel, free addresses.
pub fn probe() -> Result<(), NetnsError> {
    Namespace::create(&checked_config()?)?.remove()
}

/// `n` anonymous namespaces, and those in which their host ends lie. What the kernel does for a pair takes longer the more pairs' ends lie
/// in one namespace: it looks for the other end's in the list of all that are known there.
fn make_beside(n: usize, config: &Config) -> Result<(Vec<Namespace>, Vec<OwnedFd>), NetnsError> {
    let (mut namespaces, mut host_sides) = (Vec::new(), Vec::new());
    while namespaces.len() < n {
        let some = (n - namespaces.len()).min(HOST_ENDS_IN_ONE);
        let (mut made, host_side) = in_thread(|| -> Result<_, NetnsError> {
            enter_new()?;
            // Threads that one in there starts begin there.
            Ok((make(some, config)?, own_namespace()?))
        })??;
        namespaces.append(&mut made);
        host_sides.push(host_side);
    }
    Ok((namespaces, host_sides))
}

/// `n` anonymous namespaces, made on every CPU: half of the work is outside the kernel's one lock for network
/// configuration.
fn make(n: usize, config: &Config) -> Result<Vec<Namespace>, NetnsError> {
    let threads = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(n);
    let left = AtomicUsize::new(n);
    let take = || {
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
            .is_ok()
    };
    let work = || -> Result<Vec<Namespace>, NetnsError> {
        let mut made = Vec::new();
        while take() {
            if interrupt::received().is_some() {
                return Err(NetnsError::Interrupted);
            }
            let namespace = Namespace::create(config);
            if namespace.is_err() {
                left.store(0, Ordering::Relaxed);
            }
            made.push(namespace?);
        }
        Ok(made)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut made = work();
        for worker in workers {
            let theirs = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made = made.and_then(|mut ours| {
                ours.append(&mut theirs?);
                Ok(ours)
            });
        }
        made
    })
}

/// Best effort: where it is not enough, opening a namespace says so.
fn raise_descriptor_limit(wanted: u64) {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}
