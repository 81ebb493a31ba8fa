//! What all Faaslets of an engine may have together, so that no one of them takes it from the others or from the host.
//!
//! A start is admitted if what it begins with fits beside what the others have; what it asks for later is counted as it gets it, and denied
//! when the budget is spent: growth of memory, an open file, a write. What it had is given back when it ends, but for what it
//! wrote: there each start has a limit of its own, and room for all of that is kept on the file system while it runs.
//!
//! Counted are the sizes of linear memories (not how much of them was touched), descriptors that are open for a program, threads of starts, and
//! blocks that were written to. The memory that every start of a function begins with is put aside for all slots at once when the function is
//! loaded, if it fits, so that a start counts nothing.

mod host;

use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

pub(crate) use host::BLOCK_BYTES;

const MIB: u64 = 1 << 20;

/// What all starts of an engine may have together, and each may write. What is `None` follows from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Linear memories, in bytes; by default three quarters of the host's memory, or of what its cgroup lets this process have.
    pub memory_bytes: Option<u64>,
    /// Descriptors open for programs; by default what the limit of open files leaves.
    pub descriptors: Option<u64>,
    /// Threads of starts; by default nine tenths of what the host and the cgroup allow.
    pub threads: Option<u64>,
    /// Blocks that one start may write to, in bytes, and as much output.
    pub disk_limit_bytes: u64,
    /// Percent of one processor that all starts with seats may use together; by default all processors.
    pub cpu_percent: Option<u32>,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            descriptors: None,
            threads: None,
            disk_limit_bytes: 256 * MIB,
            cpu_percent: None,
        }
    }
}

impl BudgetSettings {
    /// In words, for a description's `settings`.
    #[must_use]
    pub fn describe(&self) -> String {
        let memory_mib = self.memory_bytes.unwrap_or_else(host::memory_bytes) / MIB;
        let threads = self.threads.unwrap_or_else(host::threads);
        let descriptors = match self.descriptors {
            Some(descriptors) => descriptors.to_string(),
            None => "as many as the limit of open files leaves".to_owned(),
        };
        let cpu = match self.cpu_percent {
            Some(percent) => format!("{percent} % of a processor"),
            None => "all processors, in fair shares".to_owned(),
        };
        format!(
            "budgets of all starts of a process: memory {memory_mib} MiB, descriptors {descriptors}, threads {threads}, {cpu}; each writes at most {} MiB, and as much output",
            self.disk_limit_bytes / MIB
        )
    }
}

/// Why a start, or what it asked for, does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// Linear memory.
    #[error(
        "{0} bytes of memory do not fit the budget: all starts of this process have {1} of {2} together; start fewer at once or raise --memory-budget"
    )]
    Memory(u64, u64, u64),
    /// Open files.
    #[error(
        "{0} more descriptors do not fit the budget: all starts of this process have {1} of {2} open together; start fewer at once, or raise `ulimit -n` or --descriptor-budget"
    )]
    Descriptors(u64, u64, u64),
    /// Threads.
    #[error(
        "{0} more thread does not fit the budget: all starts of this process have {1} of {2} together; start fewer at once or raise --thread-budget"
    )]
    Threads(u64, u64, u64),
    /// Room on the file system of a directory that it may write to.
    #[error(
        "{0} bytes that it may write do not fit the budget: {1} are kept for other starts of this process, and the file system has {2} to give (a twentieth of it, 1 GiB at most, is left to others); free some, start fewer at once, or lower --disk-limit"
    )]
    Disk(u64, u64, u64),
}

/// So much of something, of which all starts take.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: u64,
    taken: AtomicU64,
    error: fn(u64, u64, u64) -> OverBudget,
}

impl Pool {
    fn new(limit: u64, error: fn(u64, u64, u64) -> OverBudget) -> Self {
        Self {
            limit,
            taken: AtomicU64::new(0),
            error,
        }
    }

    /// Takes `amount`, all of it or nothing.
    ///
    /// # Errors
    /// There is not so much left.
    pub(crate) fn take(&self, amount: u64) -> Result<(), OverBudget> {
        // Not added first and looked at then: a request that is far too large would have others refused meanwhile.
        let fits = |taken: u64| taken.checked_add(amount).filter(|sum| *sum <= self.limit);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .map(drop)
            .map_err(|taken| (self.error)(amount, taken, self.limit))
    }

    /// Gives `amount`, which was taken, back.
    pub(crate) fn give(&self, amount: u64) {
        self.taken.fetch_sub(amount, Ordering::AcqRel);
    }

    /// Takes `amount` until what is returned is dropped.
    ///
    /// # Errors
    /// There is not so much left.
    pub(crate) fn hold(&self, amount: u64) -> Result<Held<'_>, OverBudget> {
        self.take(amount)?;
        Ok(Held { pool: self, amount })
    }

    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }
}

/// What was taken of a pool.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pool: &'a Pool,
    amount: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.pool.give(self.amount);
    }
}

/// A thread that is counted for as long as this is kept, wherever that is.
#[derive(Debug)]
pub(crate) struct HeldThread(Arc<Budget>);

impl HeldThread {
    /// # Errors
    /// There are as many as there may be.
    pub(crate) fn take(budget: &Arc<Budget>) -> Result<Self, OverBudget> {
        budget.threads.take(1)?;
        Ok(Self(budget.clone()))
    }
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        self.0.threads.give(1);
    }
}

/// The budget of one engine.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) memory: Pool,
    pub(crate) descriptors: Pool,
    pub(crate) threads: Pool,
    /// What starts under way may still write.
    pub(crate) disk_kept: AtomicU64,
    pub(crate) disk_limit_bytes: u64,
    instances: u64,
    /// What was put aside of `memory` for each slot.
    put_aside_bytes: Mutex<u64>,
}

impl Budget {
    /// That of an engine of `instances` slots in this process, as it is now.
    pub(crate) fn new(settings: &BudgetSettings, instances: u32) -> Self {
        let instances = u64::from(instances);
        let memory = settings.memory_bytes.unwrap_or_else(host::memory_bytes);
        let descriptors = settings.descriptors;
        let descriptors = descriptors.unwrap_or_else(|| host::free_descriptors(instances));
        let threads = settings.threads.unwrap_or_else(host::threads);
        Self {
            memory: Pool::new(memory, OverBudget::Memory),
            descriptors: Pool::new(descriptors, OverBudget::Descriptors),
            threads: Pool::new(threads, OverBudget::Threads),
            disk_kept: AtomicU64::new(0),
            disk_limit_bytes: settings.disk_limit_bytes,
            instances,
            put_aside_bytes: Mutex::new(0),
        }
    }

    /// Puts `bytes` aside for every slot, for starts that begin with so much; returns what they need not count: `bytes`, or nothing
    /// where it does not fit.
    pub(crate) fn put_aside(&self, bytes: u64) -> u64 {
        let aside = self.put_aside_bytes.lock();
        let mut aside = aside.unwrap_or_else(PoisonError::into_inner);
        // Half is left for growth, and for starts of other functions.
        let all = bytes.max(*aside).saturating_mul(self.instances);
        let more = all - *aside * self.instances;
        if all > self.memory.limit / 2 || self.memory.take(more).is_err() {
            return 0;
        }
        *aside = bytes.max(*aside);
        bytes
    }

    /// Keeps room for what a start may write to the file systems of `dirs`, until what is returned is dropped.
    ///
    /// # Errors
    /// One of them has not so much to give.
    pub(crate) fn keep_disk<'a>(
        self: &Arc<Self>,
        dirs: impl Iterator<Item = BorrowedFd<'a>>,
    ) -> Result<KeptDisk, OverBudget> {
        let limit = self.disk_limit_bytes;
        // Added first, so that two that come at once do not both get the last of it.
        let others = self.disk_kept.fetch_add(limit, Ordering::AcqRel);
        let kept = KeptDisk(self.clone());
        for dir in dirs {
            let Some(to_give) = host::free_disk_bytes(dir) else {
                continue;
            };
            if others.saturating_add(limit) > to_give {
                return Err(OverBudget::Disk(limit, others, to_give));
            }
        }
        Ok(kept)
    }
}

/// Room for what one start may write.
#[derive(Debug)]
pub(crate) struct KeptDisk(Arc<Budget>);

impl Drop for KeptDisk {
    fn drop(&mut self) {
        let limit = self.0.disk_limit_bytes;
        self.0.disk_kept.fetch_sub(limit, Ordering::AcqRel);
    }
}

/// What may still be written by one start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskLeft(u64);

impl DiskLeft {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self(limit_bytes)
    }

    /// Counts `bytes`; `false`, and nothing is counted, if that is more than is left.
    pub(crate) fn count(&mut self, bytes: u64) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

/// The blocks of a file that were last counted: a program that goes on writing where it stopped pays for each once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CountedBlocks {
    from: u64,
    to: u64,
}

impl CountedBlocks {
    /// These and the blocks of `at..at + len`, and how many bytes of blocks that adds.
    pub(crate) fn with(self, at: u64, len: u64) -> (Self, u64) {
        if len == 0 {
            return (self, 0);
        }
        let from = at - at % BLOCK_BYTES;
        let to = at.saturating_add(len).checked_next_multiple_of(BLOCK_BYTES);
        let to = to.unwrap_or(u64::MAX);
        if to < self.from || from > self.to || self.from == self.to {
            return (Self { from, to }, to - from);
        }
        let all = Self {
            from: from.min(self.from),
            to: to.max(self.to),
        };
        (all, (all.to - all.from) - (self.to - self.from))
    }
}

#[cfg(test)]
mod tests;
