//! What a Faaslet's thread sits in: a CPU cgroup and a network namespace, made before any start.

use measure_core::cgroup::{CgroupError, Controller, Group, Hierarchies, OwnScope, ThreadJoiner};
use measure_core::clock::PhaseClock;
use measure_core::label;
use nix::unistd::getpid;

use crate::error::{FaasletError, StartError};
use crate::netns;

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
    // Dropped in this order: children before the group that holds them.
    seats: Vec<Seat>,
    _parent: Group,
    namespaces: Option<netns::Pool>,
}

struct Seat {
    joiner: ThreadJoiner,
    _group: Group,
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
        let parent = Group::create(&name, &[Controller::Cpu]).map_err(cgroup_error)?;
        let seats = (0..count)
            .map(|i| {
                let group = Group::create(&format!("{name}/{i}"), &[Controller::Cpu])?;
                Ok::<_, CgroupError>(Seat {
                    joiner: group.thread_joiner()?,
                    _group: group,
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(cgroup_error)?;
        let namespaces = match namespaces {
            Namespaces::Pooled => Some(netns::Pool::open(count).map_err(netns_error)?),
            Namespaces::PerStart => None,
        };
        Ok(Self {
            seats,
            _parent: parent,
            namespaces,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
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
    pub fn take(&self, i: usize, clock: &mut PhaseClock) -> Result<(), StartError> {
        let seat = &self.seats[i % self.seats.len()];
        seat.joiner
            .join()
            .map_err(|e| StartError::Setup(e.to_string()))?;
        clock.lap(phase::CGROUP);
        if let Some(pool) = &self.namespaces {
            netns::enter(pool.fd(i)).map_err(|e| StartError::Setup(e.to_string()))?;
            clock.lap(phase::NETNS);
        }
        Ok(())
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

fn cgroup_error(e: impl std::fmt::Display) -> FaasletError {
    FaasletError::Host {
        why: format!("no CPU cgroup to be had ({e})"),
        mend: "run as root on a host whose cpu controller is mounted and delegated".to_owned(),
    }
}

fn netns_error(e: netns::NetnsError) -> FaasletError {
    FaasletError::Host {
        why: "no network namespaces to be had".to_owned(),
        mend: e.to_string(),
    }
}
