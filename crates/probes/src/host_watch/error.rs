//! Why something about a block is not known.

use measure_core::driver_kit::cgroup::CgroupError;
use nix::errno::Errno;

use crate::host::FactError;

/// Why something about a block is not known.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Fact(#[from] FactError),
    #[error("cannot read the CPU time of the scope's group: {0}")]
    Group(#[from] CgroupError),
    #[error("cannot read the CPU time of process {pid}: {}", errno.desc())]
    Process {
        pid: i32,
        #[source]
        errno: Errno,
    },
    #[error("no /proc/stat to take CPU times from")]
    NoCpuTimes,
    #[error("no kernel thread is seen from this pid namespace, watch from the host's")]
    NoKernelThread,
    #[error("the block was over before it was looked at twice")]
    TooShort,
}
