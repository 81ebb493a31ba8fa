//! What a store holds for its one Faaslet: limits, standard streams, and, only for programs that deal
//! with files, their descriptors.

use std::sync::Arc;
use std::time::Duration;

use measure_core::base::words::one_line;
use wasmtime::ResourceLimiter;

use crate::budget::{DiskLeft, OverBudget};
use crate::deadline::Watch;
use crate::files::descriptors::Descriptors;
use crate::files::errno::{Answer, Errno};
use crate::given::Given;
use crate::settings::{EngineSettings, MAX_MEMORY_LIMIT_BYTES};
use crate::stdin::Stdin;

/// The first so many bytes of what a program writes to standard error are kept for its error message.
const STDERR_KEPT_BYTES: usize = 1024;

/// State of one start.
pub(crate) struct Host {
    pub(crate) limits: Limits,
    pub(crate) grants: Arc<Given>,
    /// What it reads; nothing is an empty file.
    pub(crate) stdin: Option<Arc<Stdin>>,
    /// Linear memory that was counted for it.
    counted_bytes: usize,
    disk_left: DiskLeft,
    output_left: DiskLeft,
    /// Bit n is set once the program has closed descriptor n.
    pub(crate) closed: u8,
    pub(crate) stderr: Vec<u8>,
    pub(crate) deadline: Duration,
    pub(crate) watch: Arc<Watch>,
    /// What a program that deals with files has open.
    pub(crate) files: Option<Box<Descriptors>>,
}

impl Host {
    pub(crate) fn new(grants: &Arc<Given>, settings: &EngineSettings, watch: Arc<Watch>) -> Self {
        Self {
            limits: Limits {
                memory_bytes: usize::try_from(settings.memory_limit_bytes).unwrap_or(usize::MAX),
                table_elements: settings.table_limit_elements as usize,
                instances: 1,
                denied: None,
            },
            grants: grants.clone(),
            stdin: grants.stdin.clone(),
            counted_bytes: 0,
            disk_left: DiskLeft::new(settings.budget.disk_limit_bytes),
            output_left: DiskLeft::new(settings.budget.disk_limit_bytes),
            closed: 0,
            stderr: Vec::new(),
            deadline: settings.deadline,
            watch,
            files: None,
        }
    }

    /// Counts `bytes` that are about to be written.
    ///
    /// # Errors
    /// So much may not be written any more.
    pub(crate) fn count_written(&mut self, bytes: u64) -> Answer {
        let counted = self.disk_left.count(bytes);
        self.allows_written(counted)
    }

    /// The same of output: apart, so that a program that has written what it may can say so.
    ///
    /// # Errors
    /// So much may not be written any more.
    pub(crate) fn count_output(&mut self, bytes: u64) -> Answer {
        let counted = self.output_left.count(bytes);
        self.allows_written(counted)
    }

    fn allows_written(&mut self, counted: bool) -> Answer {
        if counted {
            return Ok(());
        }
        self.deny_disk();
        Err(Errno::Dquot)
    }

    /// Notes that more was to be written than may be.
    pub(crate) fn deny_disk(&mut self) {
        let limit = self.grants.budget.disk_limit_bytes;
        self.limits.denied = Some(Denied::Disk { limit });
    }

    /// The same, of what may come to be written; nothing is counted.
    pub(crate) fn may_write(&mut self, bytes: u64) -> Answer {
        let before = self.disk_left;
        let answer = self.count_written(bytes);
        self.disk_left = before;
        answer
    }

    /// Why no instance was to be had, if that is the budget.
    pub(crate) fn over_budget(&self) -> Option<OverBudget> {
        match self.limits.denied {
            Some(Denied::Budget(over)) => Some(over),
            _ => None,
        }
    }

    pub(crate) fn count_memory(&mut self, current: usize, wanted: usize) -> bool {
        let counted = current.max(self.grants.aside_bytes);
        let more = wanted.saturating_sub(counted);
        if more > 0
            && let Err(over) = self.grants.budget.memory.take(more as u64)
        {
            self.limits.denied = Some(Denied::Budget(over));
            return false;
        }
        self.counted_bytes += more;
        true
    }

    pub(crate) fn keep_stderr(&mut self, bytes: &[u8]) {
        let room = STDERR_KEPT_BYTES - self.stderr.len().min(STDERR_KEPT_BYTES);
        self.stderr
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// What the error message of a failed start adds: a limit that was met, the last words.
    pub(crate) fn note(&self) -> String {
        let mut parts = Vec::from_iter(self.limits.denied.map(|denied| denied.to_string()));
        let said = String::from_utf8_lossy(&self.stderr);
        // No control characters of the guest on the user's terminal.
        let said = one_line(&said, STDERR_KEPT_BYTES);
        if !said.is_empty() {
            parts.push(format!("it said: {said}"));
        }
        parts.join("; ")
    }
}

/// Memory and table limits. A growth beyond them is denied, which the program sees as `memory.grow`
/// returning -1 (and its `malloc` as no memory), and noted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: usize,
    pub(crate) table_elements: usize,
    /// Each may have a memory and a table.
    pub(crate) instances: usize,
    pub(crate) denied: Option<Denied>,
}

/// The last growth that was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("it was denied {wanted} bytes of memory, its limit is {limit}")]
    Memory { wanted: usize, limit: usize },
    #[error("it was denied a table of {wanted} elements, its limit is {limit}")]
    Table { wanted: usize, limit: usize },
    #[error("it was denied to write more than {limit} bytes, its limit (--disk-limit)")]
    Disk { limit: u64 },
    #[error("it was denied: {0}")]
    Budget(OverBudget),
}

impl Limits {
    fn allows(&mut self, ok: bool, or: Denied) -> bool {
        if !ok {
            self.denied = Some(or);
        }
        ok
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.counted_bytes > 0 {
            self.grants.budget.memory.give(self.counted_bytes as u64);
        }
    }
}

/// Whether no memory can have `wanted` bytes, or not one that says it has `maximum` at most: that is denied by no limit of ours, and
/// nothing is counted that the engine refuses after us.
pub(crate) fn is_beyond_all(wanted: usize, maximum: Option<usize>) -> bool {
    u64::try_from(wanted).is_ok_and(|wanted| wanted > MAX_MEMORY_LIMIT_BYTES)
        || maximum.is_some_and(|maximum| wanted > maximum)
}

/// Whatever grows, or fails to, asks whether its program may go on.
impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        wanted: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.watch.in_time()?;
        if is_beyond_all(wanted, maximum) {
            return Ok(false);
        }
        let limit = self.limits.memory_bytes;
        let denied = Denied::Memory { wanted, limit };
        let within = self.limits.allows(wanted <= limit, denied);
        Ok(within && self.count_memory(current, wanted))
    }

    /// Also of growths that no memory has room for, of which nothing was counted: with these a program is asked
    /// ([`bulk`](crate::bulk)).
    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Ok(self.watch.in_time()?)
    }

    fn table_growing(
        &mut self,
        _: usize,
        wanted: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.watch.in_time()?;
        let limit = self.limits.table_elements;
        let within = wanted <= limit;
        Ok(self.limits.allows(within, Denied::Table { wanted, limit }))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Ok(self.watch.in_time()?)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}
