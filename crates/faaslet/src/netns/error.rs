//! Why a network namespace could not be had, with what to do about it.

use std::io;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::interrupt;

use super::socket::Refused;

/// Environment variable that overrides [`Config::range`](super::Config::range), for example `10.96.0.0/15`.
pub const RANGE_VARIABLE: &str = "FAASM_BENCH_NETNS_RANGE";

/// Why a network namespace could not be made, found or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetnsError {
    /// The kernel refuses for want of a capability.
    #[error(
        "{what}: not permitted; network namespaces need CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root (sudo)"
    )]
    Permission {
        /// What was refused.
        what: String,
    },
    /// The kernel was built without something that is needed.
    #[error("this kernel has no {feature} ({source}); {mend}")]
    Kernel {
        /// What is missing.
        feature: &'static str,
        /// How to get it.
        mend: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Our addresses would clash with a route of the host.
    #[error(
        "the address range {range} clashes with this host's route {route}; set {} to a free IPv4 range, for example 10.96.0.0/15",
        RANGE_VARIABLE
    )]
    RangeTaken {
        /// Our range.
        range: String,
        /// The route in the way.
        route: String,
    },
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(String),
    /// No descriptor, memory or index left.
    #[error("{what}: {limit} is exhausted; {mend}")]
    Exhausted {
        /// What was being made.
        what: String,
        /// Which limit.
        limit: &'static str,
        /// How to raise it.
        mend: &'static str,
    },
    /// A signal asked the whole program to end.
    #[error("stopped because the run was interrupted")]
    Interrupted,
    /// Another process holds what would have to change.
    #[error("{0}")]
    Busy(String),
    /// The kernel refuses for another reason.
    #[error("{what}: {source}")]
    Os {
        /// What was refused.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl NetnsError {
    /// The variant that fits what the kernel answered while doing `what`.
    pub(crate) fn os(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        let (limit, mend) = match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => return Self::Permission { what },
            Some(libc::EMFILE) => (
                "the limit of open files of this process",
                "raise it with `ulimit -n`",
            ),
            Some(libc::ENFILE) => ("the kernel's table of open files", "raise fs.file-max"),
            Some(libc::ENOSPC) => (
                "the number of network namespaces",
                "raise user.max_net_namespaces",
            ),
            Some(libc::ENOMEM) => ("memory", "ask for fewer namespaces"),
            _ => return Self::Os { what, source },
        };
        Self::Exhausted { what, limit, mend }
    }

    /// The raw error number, where there is one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Kernel { source, .. } | Self::Os { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

impl HasExit for NetnsError {
    fn exit(&self) -> Exit {
        match self {
            Self::Permission { .. } | Self::Kernel { .. } | Self::RangeTaken { .. } => {
                Exit::Unavailable
            }
            Self::Config(_) => Exit::Usage,
            Self::Busy(_) => Exit::Busy,
            Self::Interrupted => interrupt::received().unwrap_or(Exit::Interrupted),
            Self::Exhausted { .. } | Self::Os { .. } => Exit::Failed,
        }
    }
}

/// What a refusal means.
pub(super) fn refused(error: Refused) -> NetnsError {
    let Refused { what, source } = error;
    match source.raw_os_error() {
        Some(libc::EOPNOTSUPP) if what.contains("veth") => NetnsError::Kernel {
            feature: "veth pairs",
            mend: "load the module `veth` or build it with CONFIG_VETH",
            source,
        },
        Some(libc::ENOENT | libc::EOPNOTSUPP) if what.contains("tbf") => NetnsError::Kernel {
            feature: "tbf packet scheduler",
            mend: "load the module `sch_tbf` (CONFIG_NET_SCH_TBF) or leave the shaping out with FAASM_BENCH_NETNS_RATE=0",
            source,
        },
        _ => NetnsError::os(what, source),
    }
}
