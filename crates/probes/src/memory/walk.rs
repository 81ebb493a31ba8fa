//! What one pass found.

use measure_core::base::clock::now_ns;
use serde::Serialize;

use super::{Comm, Memory};

/// One process and its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProcessMemory {
    pub pid: i32,
    pub ppid: i32,
    /// Its name, at most 15 bytes of it.
    pub name: Comm,
    #[serde(flatten)]
    pub memory: Memory,
}

/// One pass over the processes of a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// When it began, `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// When the processes were known and the first was read.
    pub found_ns: u64,
    /// When the last was read.
    pub end_ns: u64,
    /// Every process that could be read; parents before children.
    pub processes: Vec<ProcessMemory>,
    /// The client of [`measure_core::contract::Scope::client`], which is not among `processes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ProcessMemory>,
    /// Processes that were found and then gone.
    pub vanished: usize,
    /// Processes that may not be read.
    pub denied: usize,
    /// Zombies and kernel threads: they have no memory of their own.
    pub without_memory: usize,
    /// Processes that run in their parent's address space (between vfork and exec): its memory is
    /// counted with the parent.
    pub sharing: usize,
    /// Roots that do not exist (any more).
    pub missing_roots: Vec<i32>,
    /// Why something is not in the numbers, each reason once.
    pub reasons: Vec<String>,
}

impl Walk {
    /// One that begins now.
    pub(super) fn beginning() -> Self {
        Self {
            start_ns: now_ns(),
            ..Self::default()
        }
    }

    /// All processes together, the client not included.
    #[must_use]
    pub fn sum(&self) -> Memory {
        self.processes.iter().map(|process| process.memory).sum()
    }

    pub(super) fn reason(&mut self, reason: String) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}
