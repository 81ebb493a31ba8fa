//! What a Faaslet's thread sits in: a CPU cgroup and a network namespace, made before any start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use measure_core::base::label;
use measure_core::driver_kit::bare_thread::Attributes;
use measure_core::driver_kit::cgroup::{Controller, Group, Hierarchies, OwnScope};
use nix::unistd::getpid;

use crate::altstack::AltStack;
use crate::error::{FaasletError, SetupError, StartError};
use crate::function::Laps;
use crate::netns;
use crate::settings::STACK_BYTES;

/// Name of the driver's own scope group (see [`OwnScope::enter`]).
pub const SCOPE: &str = "faasm-driver";

/// Phases of taking a seat.
pub mod phase {
    /// Joining the CPU cgroup.
    pub const CGROUP: &str = "cgroup";
    /// Entering the network namespace; for `faaslet-netns-new`, making it too.
    pub const NETNS: &str = "netns";
    /// Removing the namespace that was made for this start.
    pub const NETNS_DROP: &str = "netns-drop";
}

/// Seats for so many workers.
pub struct Seats {
    seats: Vec<Seat>,
    /// Removes its children with itself.
    _parent: Group,
    namespaces: Option<netns::Pool>,
    /// Of threads made for one start.
    thread_attributes: Attributes,
}

/// A group of its own below the parent, as the open control file through which a thread joins: a parked
/// Faaslet should not be charged for more.
struct Seat {
    threads: File,
    alt_stack: AltStack,
    claimed: AtomicBool,
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
        let dir = parent
            .dir(Controller::Cpu)
            .ok_or_else(|| io::Error::other("the cpu controller is gone"))?
            .join(i.to_string());
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
            claimed: AtomicBool::new(false),
        })
    }

    /// One write moves the calling thread.
    fn join(&self) -> io::Result<()> {
        (&self.threads).write_all(b"0")
    }
}

/// Which namespaces the seats have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// One of the pool each.
    Pooled,
    /// None: each start makes its own.
    PerStart,
}

impl Seats {
    /// `count` seats, each with a cgroup of its own.
    ///
    /// # Errors
    /// No permission, no `cpu` controller, no more namespaces.
    pub fn make(
        count: usize,
        namespaces: Namespaces,
        scope: &OwnScope,
    ) -> Result<Self, FaasletError> {
        let name = parent_name(scope);
        let parent = Group::create(&name, &[Controller::Cpu]).map_err(FaasletError::cgroup)?;
        share_out(&parent).map_err(FaasletError::cgroup)?;
        let seats = (0..count)
            .map(|i| Seat::make(&parent, i))
            .collect::<Result<Vec<_>, _>>()
            .map_err(FaasletError::cgroup)?;
        let thread_attributes = Attributes::new(STACK_BYTES).map_err(|e| FaasletError::Engine {
            cause: e.to_string(),
            hint: "",
        })?;
        let namespaces = match namespaces {
            Namespaces::Pooled => Some(netns::Pool::open(count)?),
            Namespaces::PerStart => None,
        };
        Ok(Self {
            seats,
            _parent: parent,
            namespaces,
            thread_attributes,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    pub(crate) fn thread_attributes(&self) -> &Attributes {
        &self.thread_attributes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Moves the calling thread to seat `i`; a thread cannot leave it but by ending.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn take(&self, i: usize, clock: &mut impl Laps) -> Result<(), StartError> {
        self.seat(i).join().map_err(SetupError::Cgroup)?;
        clock.lap(phase::CGROUP);
        if let Some(pool) = &self.namespaces {
            netns::enter(pool.fd(i)).map_err(SetupError::Netns)?;
            clock.lap(phase::NETNS);
        }
        Ok(())
    }

    /// Seat `i` for one start alone; `None` if another has it.
    pub(crate) fn claim(&self, i: usize) -> Option<Claim<'_>> {
        let claimed = &self.seat(i).claimed;
        (!claimed.swap(true, Ordering::Acquire)).then_some(Claim(claimed))
    }

    /// The signal stack of seat `i`.
    pub(crate) fn alt_stack(&self, i: usize) -> &AltStack {
        &self.seat(i).alt_stack
    }

    fn seat(&self, i: usize) -> &Seat {
        &self.seats[i % self.seats.len()]
    }

    /// In words, for the records.
    #[must_use]
    pub fn describe(&self) -> String {
        let cgroups = format!("{} CPU cgroups of one fair share each", self.seats.len());
        match &self.namespaces {
            Some(pool) => format!("{cgroups}, {}", pool.describe()),
            None => cgroups,
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

/// Whether seats can be made here: makes a cgroup and a namespace, and removes them.
///
/// # Errors
/// As [`Seats::make`].
pub fn probe() -> Result<(), FaasletError> {
    let name = label::name(getpid().as_raw(), "probe");
    Group::create(&name, &[Controller::Cpu]).map_err(FaasletError::cgroup)?;
    Ok(netns::probe()?)
}
