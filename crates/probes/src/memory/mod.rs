//! PSS, USS, RSS and swap of processes, process trees and cgroups.
//!
//! A [`Sampler`] finds the processes anew at each call and reads `/proc/PID/smaps_rollup` of each,
//! once, in one pass with a time stamp on either side. What vanishes meanwhile is counted, what may
//! not be read is counted with the reason; neither ends the pass.
//!
//! Not in these numbers: page tables, kernel stacks, slabs (see [`crate::kernel_memory`]) and, in PSS
//! and RSS, hugetlb pages. A process that runs in its parent's address space (between vfork and exec)
//! would count that memory twice; it is recognised and counted apart.

pub(crate) mod proc_dir;
mod reading;
mod rollup;
mod sampler;
mod series;
pub(crate) mod task;
mod tasks;
mod taskstats;
mod vm;
mod walk;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

pub use sampler::Sampler;
pub use series::{Point, Series};
pub use task::Comm;
pub use walk::{ProcessMemory, Walk};

/// Memory of one process, or of several added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Proportional set size: each page divided by how many processes map it. The only one of the
    /// sums that counts a shared page once.
    pub pss_bytes: u64,
    /// Unique set size: pages that this process alone maps (`Private_Clean + Private_Dirty +
    /// Private_Hugetlb`).
    pub uss_bytes: u64,
    /// Resident set size: pages mapped; in a sum, shared pages count once per process.
    pub rss_bytes: u64,
    /// Pages swapped out; in a sum, shared ones count once per process.
    pub swap_bytes: u64,
    /// Pages swapped out, each divided by how many processes share it.
    pub swap_pss_bytes: u64,
}

impl Memory {
    fn each(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            pss_bytes: of(self.pss_bytes, other.pss_bytes),
            uss_bytes: of(self.uss_bytes, other.uss_bytes),
            rss_bytes: of(self.rss_bytes, other.rss_bytes),
            swap_bytes: of(self.swap_bytes, other.swap_bytes),
            swap_pss_bytes: of(self.swap_pss_bytes, other.swap_pss_bytes),
        }
    }

    fn larger_of_each(self, other: Self) -> Self {
        self.each(other, u64::max)
    }
}

impl std::iter::Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| {
            sum.each(part, u64::saturating_add)
        })
    }
}

/// Why no memory can be read at all, or not of the one process asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// `/proc` cannot be opened.
    #[error("cannot open /proc: {}, mount it with `mount -t proc proc /proc`", .0.desc())]
    NoProc(#[source] Errno),
    /// The kernel has no `smaps_rollup`.
    #[error("no /proc/self/smaps_rollup: {}, it needs Linux 4.14 with CONFIG_PROC_PAGE_MONITOR", .0.desc())]
    NoRollup(#[source] Errno),
    /// There is no such process (any more).
    #[error("no process {0}")]
    Gone(i32),
    /// A kernel thread or a zombie.
    #[error("process {0} has no memory of its own: it is a kernel thread or has ended")]
    WithoutMemory(i32),
    /// Another user's process.
    #[error(
        "no permission to read the memory of process {0}, run as its user or as root (CAP_SYS_PTRACE)"
    )]
    Denied(i32),
    /// The kernel said something else.
    #[error("cannot read the memory of process {pid}: {why}")]
    Unreadable {
        pid: i32,
        /// What the kernel said, or what is wrong with the text.
        why: String,
    },
}

/// The memory of process `pid` alone, now.
///
/// # Errors
/// It is gone, has none, or may not be read.
pub fn of_process(pid: i32) -> Result<Memory, MemoryError> {
    Sampler::new()?.of_process(pid)
}

pub(crate) fn read_as_everything(text: &[u8]) {
    let _ = (
        rollup::parse(text),
        rollup::address_range(text),
        tasks::parse_stat(text),
        taskstats::parse_task(text),
    );
}

#[cfg(test)]
mod tests;
