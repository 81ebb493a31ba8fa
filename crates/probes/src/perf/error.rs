//! Why a counter could not be had.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::event::Event;

/// Why there is no count. The text says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PerfError {
    /// The machine (usually a virtual one) has no such hardware counter.
    #[error(
        "no hardware counter for {event}: this machine exposes no performance-monitoring unit (usual in a virtual machine), run on bare metal or give the guest a virtual PMU (QEMU/KVM: -cpu host,pmu=on)"
    )]
    NoHardware { event: Event },
    /// The kernel refuses.
    #[error(
        "no permission to count {event}: perf_event_paranoid is {paranoid}, run as root, or grant CAP_PERFMON, or `sysctl kernel.perf_event_paranoid={needed}`"
    )]
    Denied {
        event: Event,
        /// The setting in force, or why it cannot be read.
        paranoid: String,
        /// The setting that would allow it.
        needed: i32,
    },
    /// The kernel has no perf events, or a filter hides them.
    #[error(
        "perf_event_open is not available: a kernel without CONFIG_PERF_EVENTS, or a seccomp filter (a container: allow perf_event_open)"
    )]
    NoKernelSupport,
    /// Not the directory of a cgroup that perf can count.
    #[error(
        "cannot count in {}: {why}, give a cgroup2 directory, or a v1 one of the perf_event hierarchy",
        dir.display()
    )]
    Cgroup {
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The process or thread has ended.
    #[error("nothing to count {event} of: the processes are gone")]
    Gone { event: Event },
    /// Not one moment on the performance-monitoring unit.
    #[error(
        "{event} was never counted: other users (another perf, the NMI watchdog) held the counters, stop them or `sysctl kernel.nmi_watchdog=0`"
    )]
    NeverRan { event: Event },
    /// Too many descriptors.
    #[error("no descriptor left to count {event}, raise the limit of open files (`ulimit -n`)")]
    TooManyFiles { event: Event },
    /// Anything else.
    #[error("cannot count {event}: {errno}")]
    Other {
        event: Event,
        #[source]
        errno: Errno,
    },
}

impl PerfError {
    /// From what perf_event_open(2) said.
    pub(super) fn open(event: Event, error: &io::Error) -> Self {
        let hardware = matches!(event, Event::Cycles | Event::Instructions);
        match errno(error) {
            Errno::ENOENT | Errno::EOPNOTSUPP | Errno::ENODEV | Errno::ENXIO if hardware => {
                Self::NoHardware { event }
            }
            Errno::EACCES | Errno::EPERM => Self::Denied {
                event,
                paranoid: paranoid(),
                needed: 1,
            },
            Errno::ENOSYS => Self::NoKernelSupport,
            Errno::ESRCH => Self::Gone { event },
            Errno::EMFILE | Errno::ENFILE => Self::TooManyFiles { event },
            errno => Self::Other { event, errno },
        }
    }

    pub(super) fn read(event: Event, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::NeverRan { event };
        }
        Self::Other {
            event,
            errno: errno(error),
        }
    }

    pub(super) fn cgroup(dir: &Path, error: &io::Error) -> Self {
        Self::Cgroup {
            dir: dir.to_path_buf(),
            why: error.to_string(),
        }
    }

    /// What the same refusal means where a cgroup was asked for.
    pub(super) fn in_cgroup(self, dir: &Path) -> Self {
        match self {
            Self::Other {
                errno: Errno::EBADF | Errno::EINVAL,
                ..
            } => Self::Cgroup {
                dir: dir.to_path_buf(),
                why: "not a directory of a cgroup hierarchy with perf_event".to_owned(),
            },
            // Counting whole CPUs is what perf calls 0.
            Self::Denied {
                event, paranoid, ..
            } => Self::Denied {
                event,
                paranoid,
                needed: 0,
            },
            other => other,
        }
    }
}

fn errno(error: &io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// `kernel.perf_event_paranoid`, or why it cannot be read.
fn paranoid() -> String {
    match fs::read_to_string("/proc/sys/kernel/perf_event_paranoid") {
        Ok(text) => text.trim().to_owned(),
        Err(error) => format!("unreadable ({error})"),
    }
}
