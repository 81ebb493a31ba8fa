//! PSS, USS, RSS and swap of processes, process trees and cgroups.
//!
//! A [`Sampler`] finds the processes anew at each call and reads `/proc/PID/smaps_rollup` of each,
//! once, in one pass with a time stamp on either side. What vanishes meanwhile is counted, what may
//! not be read is counted with the reason; neither ends the pass.
//!
//! Not in these numbers: page tables, kernel stacks, slabs (see [`crate::kernel_memory`]) and, in PSS
//! and RSS, hugetlb pages. A process that runs in its parent's address space (between vfork and exec)
//! would count that memory twice; it is recognised and counted apart.

mod amounts;
mod error;
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

pub use amounts::Memory;
pub use error::MemoryError;
pub use sampler::Sampler;
pub use series::{Point, Series};
pub use task::Comm;
pub use walk::{ProcessMemory, Walk};

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
