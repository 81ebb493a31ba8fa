//! What a store holds for its one Faaslet: limits, standard streams, and, only for programs that deal
//! with files, their descriptors.

use std::sync::Arc;
use std::time::Duration;

use measure_core::base::words::one_line;
use wasmtime::ResourceLimiter;

use crate::deadline::Watch;
use crate::files::descriptors::Descriptors;
use crate::grants::Grants;
use crate::settings::EngineSettings;

/// The first so many bytes of what a program writes to standard error are kept for its error message.
const STDERR_KEPT_BYTES: usize = 1024;

/// State of one start.
pub(crate) struct Host {
    pub(crate) limits: Limits,
    pub(crate) grants: Arc<Grants>,
    /// Bit n is set once the program has closed descriptor n.
    pub(crate) closed: u8,
    pub(crate) stderr: Vec<u8>,
    pub(crate) deadline: Duration,
    pub(crate) watch: Arc<Watch>,
    /// What a program that deals with files has open.
    pub(crate) files: Option<Box<Descriptors>>,
}

impl Host {
    pub(crate) fn new(grants: &Arc<Grants>, settings: &EngineSettings, watch: Arc<Watch>) -> Self {
        Self {
            limits: Limits {
                memory_bytes: usize::try_from(settings.memory_limit_bytes).unwrap_or(usize::MAX),
                table_elements: settings.table_limit_elements as usize,
                instances: 1,
                denied: None,
            },
            grants: grants.clone(),
            closed: 0,
            stderr: Vec::new(),
            deadline: settings.deadline,
            watch,
            files: None,
        }
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
}

impl Limits {
    fn allows(&mut self, ok: bool, or: Denied) -> bool {
        if !ok {
            self.denied = Some(or);
        }
        ok
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        _: usize,
        wanted: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = self.memory_bytes;
        Ok(self.allows(wanted <= limit, Denied::Memory { wanted, limit }))
    }

    fn table_growing(
        &mut self,
        _: usize,
        wanted: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let limit = self.table_elements;
        Ok(self.allows(wanted <= limit, Denied::Table { wanted, limit }))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}
