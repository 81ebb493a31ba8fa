//! What a store holds for a component: limits, and the state of `wasmtime-wasi`.

use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime_wasi::sockets::WasiSocketsCtxView;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::files::Files;
use super::hooks::Hooks;
use super::opened::Opened;
use super::sockets::{self, Made, Sockets};
use super::streams::{Input, Output, Shared, StdinOf, Written, lock};
use crate::deadline::Watch;
use crate::error::SetupError;
use crate::given::Given;
use crate::host::{Denied, Host, is_beyond_all};
use crate::settings::{COMPONENT_INSTANCES, COMPONENT_MEMORIES, COMPONENT_TABLES, EngineSettings};

/// What a component may have of all that it gets a handle for: streams, descriptors, things to wait for. The host's memory for each is
/// not counted in the budget; what the largest may have is bounded, so that all together are: a start's handles come to less than 200 MiB.
pub(super) const RESOURCES_MAX: usize = 4096;
/// Names and values of one set of fields of HTTP, with what holds them: twice what servers take of a head.
const FIELDS_BYTES_MAX: usize = 16 << 10;
/// Random bytes of one call, which are made on the host's side.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// State of one start.
pub(crate) struct ComponentHost {
    pub(crate) host: Host,
    /// Of all its memories together.
    memory_bytes: usize,
    /// Made at the first call: it costs more than an instance, for what a program that only computes never asks.
    wasi: Option<WasiCtx>,
    stdin: Option<Input>,
    table: ResourceTable,
    opened: Opened,
    sockets: Made,
    written: Shared,
    http: WasiHttpCtx,
    hooks: Hooks,
}

/// What `wasmtime-wasi` is told of a start.
fn wasi(host: &Host, stdin: Option<&Input>, written: &Shared) -> WasiCtx {
    let grants = &host.grants;
    let output = |to: &Option<_>, keep| Output {
        to: to.clone(),
        keep,
        written: written.clone(),
    };
    let mut builder = WasiCtxBuilder::new();
    sockets::offer(&mut builder, grants.reach.as_deref());
    builder
        .stdin(StdinOf {
            input: stdin.cloned(),
            watch: host.watch.clone(),
        })
        .stdout(output(&grants.stdout, false))
        .stderr(output(&grants.stderr, true))
        .args(&grants.args)
        .envs(&grants.env)
        .max_random_size(RANDOM_BYTES_MAX)
        // Its own thread is the one that is in its CPU group.
        .allow_blocking_current_thread(true)
        .build()
}

impl ComponentHost {
    pub(super) fn new(
        grants: &Arc<Given>,
        settings: &EngineSettings,
        watch: Arc<Watch>,
        stdin: Option<&Input>,
    ) -> Result<Self, SetupError> {
        let written = Written::new(settings.budget.disk_limit_bytes);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS_BYTES_MAX);
        Ok(Self {
            opened: Opened::open(grants)?,
            host: Host::new(grants, settings, watch),
            memory_bytes: 0,
            wasi: None,
            stdin: stdin.cloned(),
            table,
            sockets: Made::default(),
            written: Shared::new(written.into()),
            http,
            hooks: Hooks,
        })
    }

    /// What it has written, which its answers count too.
    pub(super) fn written(&self) -> &Shared {
        &self.written
    }

    pub(super) fn files(&mut self) -> Files<'_> {
        let made = || wasi(&self.host, self.stdin.as_ref(), &self.written);
        let ctx = self.wasi.get_or_insert_with(made);
        Files::new(
            ctx.filesystem(),
            &mut self.table,
            &mut self.opened,
            &self.written,
        )
    }

    pub(super) fn sockets(&mut self) -> Sockets<'_> {
        let made = || wasi(&self.host, self.stdin.as_ref(), &self.written);
        let ctx = self.wasi.get_or_insert_with(made);
        Sockets {
            theirs: WasiSocketsCtxView {
                ctx: ctx.sockets(),
                table: &mut self.table,
            },
            reach: self.host.grants.reach.as_deref(),
            made: &mut self.sockets,
            opened: &mut self.opened,
        }
    }

    /// What the message of a failed start adds; its streams say no more after that.
    pub(super) fn note(&mut self) -> String {
        let written = lock(&self.written);
        self.host.keep_stderr(written.stderr());
        if written.denied {
            self.host.deny_disk();
        }
        self.host.note()
    }
}

impl WasiView for ComponentHost {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let made = || wasi(&self.host, self.stdin.as_ref(), &self.written);
        WasiCtxView {
            ctx: self.wasi.get_or_insert_with(made),
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for ComponentHost {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Memories are limited by what they have together. Whatever grows is asked whether it may go on.
impl ResourceLimiter for ComponentHost {
    fn memory_growing(
        &mut self,
        current: usize,
        wanted: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.host.watch.in_time()?;
        if is_beyond_all(wanted, maximum) {
            return Ok(false);
        }
        let total = self
            .memory_bytes
            .saturating_add(wanted.saturating_sub(current));
        let limit = self.host.limits.memory_bytes;
        if total > limit {
            self.host.limits.denied = Some(Denied::Memory {
                wanted: total,
                limit,
            });
            return Ok(false);
        }
        let counted = self.host.count_memory(self.memory_bytes, total);
        if counted {
            self.memory_bytes = total;
        }
        Ok(counted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        wanted: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.host.table_growing(current, wanted, maximum)
    }

    fn instances(&self) -> usize {
        COMPONENT_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        COMPONENT_MEMORIES as usize
    }

    fn tables(&self) -> usize {
        COMPONENT_TABLES as usize
    }
}
