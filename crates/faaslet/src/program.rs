//! A preview-1 program, loaded and ready to be started any number of times, each time in a fresh instance.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use measure_core::base::trust;
use second_engine::Parts;
use wasmtime::unix::StoreExt;
use wasmtime::{
    ExternType, Instance, InstancePre, Linker, Module, ModuleExport, Store as WasmStore, Trap,
    TypedFunc,
};

use crate::budget::Budget;
use crate::deadline::{Code, Deadlines, Watch, Watched, fault};
use crate::dirty_pages;
use crate::engine::FaasletEngine;
use crate::error::{FaasletError, ProcExit, SetupError, StartError, Stop};
use crate::files::descriptors::Descriptors;
use crate::given::Given;
use crate::grants::Grants;
use crate::host::Host;
use crate::laps::{Laps, phase};
use crate::library::{self, Library};
use crate::validate::within_limits;
use crate::wasi;

/// A loaded module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Program(Arc<Inner>);

struct Inner {
    engine: FaasletEngine,
    pre: InstancePre<Host>,
    start: ModuleExport,
    /// Its memory, where that is so large that what a start writes may lie in many pieces.
    scattered: Option<ModuleExport>,
    needs_files: bool,
    grants: Arc<Given>,
    code: Arc<Code>,
}

impl Program {
    /// The program that `module`, called `what` in errors, holds.
    ///
    /// # Errors
    /// It imports what is not offered, or its memory or table begins above the limits.
    pub(crate) fn new(
        engine: &FaasletEngine,
        what: &str,
        module: &Module,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        Self::link(engine, what, module, None, grants)
    }

    /// The program whose module `wasm`, called `what` in errors, was compiled to the shared library `path` by the crate
    /// `second-engine`, with [`GUARD_BYTES`](crate::settings::GUARD_BYTES) for a guard.
    ///
    /// # Errors
    /// As [`Program::new`]; others may write to the library, or it is none.
    pub(crate) fn from_library(
        engine: &FaasletEngine,
        what: &str,
        wasm: &[u8],
        path: &Path,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        within_limits(engine, what, wasm)?;
        let parts = Parts::read(wasm).map_err(|e| FaasletError::refused(what, e))?;
        let adapter = Module::new(engine.wasmtime(), library::adapter(&parts))
            .map_err(|e| FaasletError::refused(what, format!("{e:#}")))?;
        let file = trust::open(path)?.into_file();
        Self::by_library(engine, what, file, &parts, &adapter, grants)
    }

    /// The program of which `parts` are, whose library is `file`, which the trusted alone can write to, and whose adapter is
    /// `module`.
    pub(crate) fn by_library(
        engine: &FaasletEngine,
        what: &str,
        file: File,
        parts: &Parts<'_>,
        module: &Module,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        let library = Arc::new(Library::open(file, what, parts, module)?);
        Self::link(engine, what, module, Some(&library), grants)
    }

    fn link(
        engine: &FaasletEngine,
        what: &str,
        module: &Module,
        library: Option<&Arc<Library>>,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        let refused = |e: wasmtime::Error| FaasletError::refused(what, format!("{e:#}"));
        let needs_files = !grants.dirs.is_empty()
            || module
                .imports()
                .any(|import| import.module() == wasi::MODULE && !wasi::is_light(import.name()));
        let linker = || -> wasmtime::Result<Linker<Host>> {
            let mut linker = wasi::linker(engine.wasmtime(), needs_files)?;
            if let Some(library) = library {
                Library::link(library, &mut linker, engine.settings().stack_limit_bytes)?;
            }
            Ok(linker)
        };
        let pre = linker()
            .and_then(|linker| linker.instantiate_pre(module))
            .map_err(refused)?;
        let start = module
            .get_export_index("_start")
            .ok_or_else(|| FaasletError::refused(what, "it does not export `_start`"))?;
        let memory_bytes = match module.get_export("memory") {
            Some(ExternType::Memory(memory)) => memory.minimum().saturating_mul(memory.page_size()),
            _ => 0,
        };
        let scattered = module
            .get_export_index("memory")
            .filter(|_| memory_bytes >= dirty_pages::SCATTERED_MEMORY_BYTES)
            .filter(|_| engine.settings().resets_by_scan());
        Ok(Self(Arc::new(Inner {
            engine: engine.clone(),
            pre,
            start,
            scattered,
            needs_files,
            grants: Arc::new(Given::new(grants, engine.budget(), memory_bytes)),
            code: engine.deadlines().code(module),
        })))
    }

    /// Whether it has a table of descriptors, or only its standard streams.
    pub(crate) fn has_files(&self) -> bool {
        self.0.needs_files
    }

    /// One start on the calling thread, from a fresh instance to its last byte reset: [`phase`]s are
    /// lapped on `clock`.
    ///
    /// # Errors
    /// It did not end with exit code 0, or could not begin.
    pub(crate) fn start(&self, clock: &mut impl Laps) -> Result<(), StartError> {
        let mut store = self.new_store()?;
        clock.lap(phase::WASI);
        let watched = self.watched(&store);
        let made = self.instantiate(&mut store);
        clock.lap(phase::INSTANCE);
        let (outcome, instance) = match made {
            Ok((instance, start)) => (start.call(&mut store, ()), Some(instance)),
            Err(error) => (Err(error), None),
        };
        clock.lap(phase::RUN);
        drop(watched);
        // Only a failed start pays for its message.
        let result = outcome.or_else(|error| self.failure(&error, store.data()));
        if let (Some(memory), Some(instance)) = (&self.0.scattered, instance) {
            self.join_pieces(&mut store, instance, memory);
        }
        drop(store);
        clock.lap(phase::DROP);
        result
    }

    /// A fresh instance, of which nothing has been called.
    pub(crate) fn instance(&self) -> Result<(WasmStore<Host>, Instance), StartError> {
        let mut store = self.new_store()?;
        let _watched = self.watched(&store);
        match self.0.pre.instantiate(&mut store) {
            Ok(instance) => Ok((store, instance)),
            Err(error) => Err(self
                .failure(&error, store.data())
                .err()
                .unwrap_or_else(|| SetupError::Exited.into())),
        }
    }

    /// What its starts have together with all others of its engine.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        self.0.engine.budget()
    }

    /// Keeps the deadline of what runs in `store` on this thread, until dropped.
    pub(crate) fn watched(&self, store: &WasmStore<Host>) -> Watched<'_> {
        self.0.engine.deadlines().keep(&store.data().watch)
    }

    /// What its instances are linked to.
    pub(crate) fn linker(&self) -> wasmtime::Result<Linker<Host>> {
        wasi::linker(self.0.engine.wasmtime(), self.0.needs_files)
    }

    // These are calls of their own so that the frame which stays on the stack while the program runs
    // is small: a blocked Faaslet keeps every page of stack above it.
    #[inline(never)]
    fn instantiate(
        &self,
        store: &mut WasmStore<Host>,
    ) -> wasmtime::Result<(Instance, TypedFunc<(), ()>)> {
        let instance = self.0.pre.instantiate(&mut *store)?;
        // Nothing interrupts the engine while it brings data and elements to their places.
        store.data().watch.in_time()?;
        let start = instance
            .get_module_export(&mut *store, &self.0.start)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(|| wasmtime::Error::msg("`_start` is not a function"))?
            .typed(store)?;
        Ok((instance, start))
    }

    /// See [`dirty_pages`].
    #[inline(never)]
    fn join_pieces(&self, store: &mut WasmStore<Host>, instance: Instance, memory: &ModuleExport) {
        let memory = instance.get_module_export(&mut *store, memory);
        if let Some(memory) = memory.and_then(wasmtime::Extern::into_memory) {
            let keep_bytes = self.0.engine.settings().keep_resident_bytes;
            dirty_pages::join_pieces(memory.data(store), keep_bytes);
        }
    }

    #[inline(never)]
    fn new_store(&self) -> Result<WasmStore<Host>, StartError> {
        let inner = &*self.0;
        let settings = inner.engine.settings();
        let watch = Deadlines::watch(&inner.code, settings.deadline);
        let mut host = Host::new(&inner.grants, settings, watch);
        if inner.needs_files {
            host.files = Some(Descriptors::open(&inner.grants)?);
        }
        if inner.grants.stdin_file.is_some() {
            host.stdin = inner.grants.stdin_of_start().map_err(SetupError::Stdin)?;
        }
        let mut store = WasmStore::new(inner.engine.wasmtime(), host);
        store.limiter(|host| host);
        // SAFETY: the handler looks at what this thread runs; where it is a library, it changes where it goes on.
        unsafe {
            store.set_signal_handler(|signal, info, context| fault::faulted(signal, info, context))
        };
        Ok(store)
    }

    /// What an error of the engine means; exit code 0 is none.
    #[cold]
    #[inline(never)]
    pub(crate) fn failure(&self, error: &wasmtime::Error, host: &Host) -> Result<(), StartError> {
        let exit = |code: i32| match code {
            0 => Ok(()),
            code => Err(StartError::ExitCode {
                code,
                note: host.note(),
            }),
        };
        if let Some(ProcExit(code)) = error.downcast_ref() {
            return exit(*code);
        }
        let late = || {
            if self.0.engine.deadlines().cut_short() {
                StartError::Interrupted
            } else {
                StartError::Deadline(host.deadline)
            }
        };
        match (error.downcast_ref::<Trap>(), error.downcast_ref::<Stop>()) {
            (Some(_), _) if host.watch.missed() => Err(late()),
            (_, Some(Stop::Deadline)) => Err(late()),
            (_, Some(Stop::Interrupted)) => Err(StartError::Interrupted),
            (Some(_), _) => Err(StartError::Trap {
                cause: named(error, &host.watch),
                note: host.note(),
            }),
            // The allocator has no slot, or a limit is met while the instance is made.
            _ => Err(match (host.over_budget(), host.note()) {
                (Some(over), _) => SetupError::Budget(over),
                (None, note) if note.is_empty() => {
                    SetupError::Instance(error.root_cause().to_string())
                }
                (None, note) => SetupError::Instance(format!("{}; {note}", error.root_cause())),
            }
            .into()),
        }
    }
}

/// The cause of a trap and the innermost functions it came from, each called by the next.
fn named(error: &wasmtime::Error, watch: &Watch) -> String {
    let cause = error.root_cause().to_string();
    let names = watch.trace.names(&watch.code);
    if names.is_empty() {
        return cause;
    }
    format!("{cause} in {}", names.join(" < "))
}
