//! What a Faaslet's thread sits in: a CPU cgroup and, where it is to have one, a network namespace; made before any start or by it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use granted_network::Reach;
use measure_core::base::clock::now_ns;
use measure_core::base::interrupt;
use measure_core::base::label;
use measure_core::driver_kit::bare_thread::Attributes;
use measure_core::driver_kit::cgroup::{Controller, Group, Hierarchies, OwnScope};
use nix::unistd::getpid;

use crate::altstack::AltStack;
use crate::error::{FaasletError, SetupError, StartError};
use crate::laps::Laps;
use crate::netns;
use crate::settings::STACK_BYTES;

/// Name of the driver's own scope group (see [`OwnScope::enter`]).
pub const SCOPE: &str = "faasm-driver";

/// How long the kernel may take to let go of a cgroup whose thread has ended.
const REMOVE_LIMIT_NS: u64 = 5_000_000_000;

/// Of a quota of CPU time, the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// Phases of taking a seat.
pub mod phase {
    /// Making a CPU cgroup and a signal stack for this start.
    pub const CGROUP_NEW: &str = "cgroup-new";
    /// Joining the CPU cgroup.
    pub const CGROUP: &str = "cgroup";
    /// Entering the network namespace; where none is found made, making it too.
    pub const NETNS: &str = "netns";
    /// Removing the namespace that was made for this start.
    pub const NETNS_DROP: &str = "netns-drop";
    /// Removing the cgroup and the signal stack that were made for this start.
    pub const CGROUP_DROP: &str = "cgroup-drop";
}

/// What of its seat a start finds made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// All of it.
    Seat,
    /// Nothing: it makes the whole seat.
    Nothing,
}

/// What network seats are in.
#[derive(Debug)]
pub enum Network {
    /// The host's, which is of no use to a program that is offered no socket: no namespace is needed to keep it from it.
    NotOffered,
    /// A namespace each, from which there is a way to the host end of its veth pair alone.
    Namespace,
    /// A namespace each, from which what the hub leads to is reached.
    Granted(netns::Hub),
}

impl Network {
    /// What can be reached from them, if anything is granted.
    #[must_use]
    pub fn reach(&self) -> Option<&Arc<Reach>> {
        match self {
            Self::NotOffered | Self::Namespace => None,
            Self::Granted(hub) => Some(hub.reach()),
        }
    }
}

/// Seats for so many workers.
pub struct Seats {
    places: Vec<Place>,
    /// Removes its children with itself.
    parent: Group,
    namespaces: Namespaces,
    /// Of threads made for one start.
    thread_attributes: Attributes,
}

/// Where the namespaces come from.
enum Namespaces {
    None,
    /// With where their host ends lie, if something of the network is granted.
    Pooled(netns::Pool, Option<netns::Hub>),
    PerStart(netns::Config),
    /// The same with its host end in a hub.
    PerStartAt(netns::Hub),
}

/// One worker's.
struct Place {
    claimed: AtomicBool,
    /// Unless each start makes its own.
    seat: Option<Seat>,
}

/// A group of its own below the parent, as the open control file through which a thread joins: a parked
/// Faaslet should not be charged for more.
pub(crate) struct Seat {
    threads: File,
    pub(crate) alt_stack: AltStack,
}

/// A seat that is one start's alone until this is dropped.
pub(crate) struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Seat {
    fn make(parent: &Group, i: usize) -> io::Result<Self> {
        let dir = dir_of(parent, i)?;
        fs::create_dir(&dir)?;
        let v1 = dir.join("tasks");
        let threads = if v1.exists() {
            v1
        } else {
            fs::write(dir.join("cgroup.type"), "threaded")?;
            dir.join("cgroup.threads")
        };
        Ok(Self {
            threads: OpenOptions::new().write(true).open(threads)?,
            alt_stack: AltStack::map()?,
        })
    }

    /// One write moves the calling thread.
    fn join(&self) -> io::Result<()> {
        (&self.threads).write_all(b"0")
    }
}

/// Directory of the cgroup of seat `i`.
fn dir_of(parent: &Group, i: usize) -> io::Result<PathBuf> {
    let dir = parent.dir(Controller::Cpu);
    let dir = dir.ok_or_else(|| io::Error::other("the cpu controller is gone"))?;
    Ok(dir.join(i.to_string()))
}

impl Seats {
    /// `count` seats in `network`, of which a start is to find so much made.
    ///
    /// # Errors
    /// No permission, no `cpu` controller, no more namespaces.
    pub fn make(
        count: usize,
        found: Found,
        network: Network,
        scope: &OwnScope,
    ) -> Result<Self, FaasletError> {
        let name = parent_name(scope);
        let parent = Group::create(&name, &[Controller::Cpu]).map_err(FaasletError::cgroup)?;
        share_out(&parent).map_err(FaasletError::cgroup)?;
        let place = |i| -> io::Result<Place> {
            if interrupt::received().is_some() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let made = found != Found::Nothing;
            Ok(Place {
                claimed: AtomicBool::new(false),
                seat: made.then(|| Seat::make(&parent, i)).transpose()?,
            })
        };
        let places = (0..count)
            .map(place)
            .collect::<Result<_, _>>()
            .map_err(FaasletError::cgroup)?;
        let thread_attributes = Attributes::new(STACK_BYTES).map_err(|e| FaasletError::Engine {
            cause: e.to_string(),
            hint: "",
        })?;
        Ok(Self {
            places,
            parent,
            namespaces: Namespaces::make(count, found, network)?,
            thread_attributes,
        })
    }

    /// Lets all of them together use `percent` of one processor.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn limit_cpu(&self, percent: u32) -> Result<(), FaasletError> {
        let quota_us = u64::from(percent) * CPU_PERIOD_US / 100;
        self.parent
            .set_cpu_quota(Some(quota_us), CPU_PERIOD_US)
            .map_err(FaasletError::cgroup)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn thread_attributes(&self) -> &Attributes {
        &self.thread_attributes
    }

    /// Moves the calling thread to seat `i`, which was made before; a thread cannot leave it but by ending.
    ///
    /// # Errors
    /// The kernel refuses, or only a start makes the seat.
    pub fn take(&self, i: usize, clock: &mut impl Laps) -> Result<(), StartError> {
        let seat = self.seat(i).ok_or(SetupError::NoSeat(i))?;
        self.sit(seat, i, clock)
    }

    /// Moves the calling thread to `seat`, that of worker `i`.
    pub(crate) fn sit(
        &self,
        seat: &Seat,
        i: usize,
        clock: &mut impl Laps,
    ) -> Result<(), StartError> {
        seat.join().map_err(SetupError::Cgroup)?;
        clock.lap(phase::CGROUP);
        if let Namespaces::Pooled(pool, _) = &self.namespaces {
            netns::enter(pool.fd(i)).map_err(SetupError::Netns)?;
            clock.lap(phase::NETNS);
        }
        Ok(())
    }

    /// Seat `i` for one start alone; `None` if another has it.
    pub(crate) fn claim(&self, i: usize) -> Option<Claim<'_>> {
        let claimed = &self.place(i).claimed;
        (!claimed.swap(true, Ordering::Acquire)).then_some(Claim(claimed))
    }

    /// Seat `i`, if it was made before any start.
    pub(crate) fn seat(&self, i: usize) -> Option<&Seat> {
        self.place(i).seat.as_ref()
    }

    fn place(&self, i: usize) -> &Place {
        &self.places[i % self.places.len()]
    }

    /// A namespace for one start, if each is to make one. The calling thread is to enter it and then to end.
    pub(crate) fn make_namespace(&self) -> Option<Result<netns::Namespace, netns::NetnsError>> {
        match &self.namespaces {
            Namespaces::None | Namespaces::Pooled(..) => None,
            Namespaces::PerStart(config) => Some(netns::Namespace::create(config)),
            Namespaces::PerStartAt(hub) => Some(netns::Namespace::create_at(hub)),
        }
    }

    /// Removes it, from a thread that is not in it, and waits until its veth pair is gone.
    pub(crate) fn remove_namespace(
        &self,
        namespace: netns::Namespace,
    ) -> Result<(), netns::NetnsError> {
        match &self.namespaces {
            Namespaces::PerStartAt(hub) => namespace.remove_at(hub),
            _ => namespace.remove(),
        }
    }

    /// A seat for one start of worker `i`, which has claimed its place.
    pub(crate) fn make_seat(&self, i: usize) -> io::Result<Seat> {
        Seat::make(&self.parent, i)
    }

    /// Removes it, once its thread has been joined. The kernel takes a thread out of its cgroup a little after that.
    pub(crate) fn remove_seat(&self, i: usize, seat: Seat) -> io::Result<()> {
        drop(seat);
        let dir = dir_of(&self.parent, i)?;
        let deadline_ns = now_ns() + REMOVE_LIMIT_NS;
        loop {
            match fs::remove_dir(&dir) {
                Err(e) if e.raw_os_error() == Some(libc::EBUSY) && now_ns() < deadline_ns => {
                    thread::yield_now();
                }
                outcome => return outcome,
            }
        }
    }

    /// In words, for the records.
    #[must_use]
    pub fn describe(&self) -> String {
        let cgroups = if self.places.iter().all(|place| place.seat.is_some()) {
            format!("{} CPU cgroups of one fair share each", self.len())
        } else {
            "a CPU cgroup of one fair share made by each start".to_owned()
        };
        format!("{cgroups}, {}", self.namespaces.describe())
    }
}

impl Namespaces {
    fn make(count: usize, found: Found, network: Network) -> Result<Self, FaasletError> {
        Ok(match (found, network) {
            (_, Network::NotOffered) => Self::None,
            (Found::Seat, Network::Namespace) => Self::Pooled(netns::Pool::open(count)?, None),
            (Found::Seat, Network::Granted(hub)) => {
                Self::Pooled(netns::Pool::open_at(&hub, count)?, Some(hub))
            }
            (Found::Nothing, Network::Namespace) => Self::PerStart(netns::checked_config()?),
            (Found::Nothing, Network::Granted(hub)) => Self::PerStartAt(hub),
        })
    }

    fn describe(&self) -> String {
        let per_start = |config: &netns::Config| {
            let namespace = config.describe();
            format!("a network namespace made by each start, {namespace}")
        };
        let (namespaces, hub) = match self {
            Self::None => return "no network namespace, as no socket is offered".to_owned(),
            Self::Pooled(pool, hub) => (pool.describe(), hub.as_ref()),
            Self::PerStart(config) => (per_start(config), None),
            Self::PerStartAt(hub) => (per_start(hub.config()), Some(hub)),
        };
        match hub {
            Some(hub) => format!(
                "{namespaces}, from which {} can be reached, through a proxy of this process",
                hub.reach()
            ),
            None => namespaces,
        }
    }
}

/// Hands the cpu controller to the seats; on v1 they have it anyway.
fn share_out(parent: &Group) -> io::Result<()> {
    let control = parent
        .dir(Controller::Cpu)
        .map(|dir| dir.join("cgroup.subtree_control"))
        .filter(|control| control.exists());
    match control {
        Some(control) => {
            let kind = control.with_file_name("cgroup.type");
            fs::write(kind, "threaded")?;
            fs::write(control, "+cpu")
        }
        None => Ok(()),
    }
}

/// Where the seats' groups lie. Where `cpu` and `cpuacct` share a hierarchy, they must be inside our
/// scope, or its CPU time would not count them.
fn parent_name(scope: &OwnScope) -> String {
    let pid = getpid().as_raw();
    let shared = Hierarchies::discover().is_ok_and(|h| {
        !h.is_v2(Controller::Cpu) && h.mount(Controller::Cpu) == h.mount(Controller::Cpuacct)
    });
    let in_scope = scope
        .group()
        .is_some_and(|group| group.dir(Controller::Cpuacct).is_some());
    if shared && in_scope {
        format!("{}/faaslets", label::name(pid, SCOPE))
    } else {
        label::name(pid, "faaslets")
    }
}

/// Whether seats can be made here: makes a cgroup, in a scope as [`Seats::make`] is given one, and a
/// namespace if they are to have one, and removes them.
///
/// # Errors
/// As [`Seats::make`].
pub fn probe(has_namespace: bool) -> Result<(), FaasletError> {
    let _scope = OwnScope::enter("probe-scope");
    let name = label::name(getpid().as_raw(), "probe");
    Group::create(&name, &[Controller::Cpu]).map_err(FaasletError::cgroup)?;
    match has_namespace {
        true => Ok(netns::probe()?),
        false => Ok(()),
    }
}
