//! The engine with its watcher of deadlines.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::{Engine, Module};

use crate::budget::Budget;
use crate::bulk::in_pieces;
use crate::compile::Compiler;
use crate::component::Components;
use crate::deadline::Deadlines;
use crate::error::FaasletError;
use crate::settings::{EngineSettings, MAX_MEMORY_LIMIT_BYTES};

/// An engine that compiles and runs functions under one [`EngineSettings`]. Clones share it; deadlines are
/// kept as long as one of them lives.
#[derive(Clone)]
pub struct FaasletEngine {
    engine: Engine,
    settings: Arc<EngineSettings>,
    deadlines: Arc<Deadlines>,
    budget: Arc<Budget>,
    compiler: Compiler,
    /// Made for the first component.
    components: Arc<OnceLock<Arc<Components>>>,
}

impl FaasletEngine {
    /// Reserves the slots' address space and starts the watcher.
    ///
    /// # Errors
    /// Limits out of range, or the host refuses that much address space.
    pub fn new(settings: EngineSettings) -> Result<Self, FaasletError> {
        check(&settings)?;
        let budget = Arc::new(Budget::new(&settings.budget, settings.instances));
        Self::within(settings, budget)
    }

    /// `count` engines (at least one), which share the slots of `settings` and one budget, for workers on as many processors: two of
    /// them have no lock and no counter that each start changes in common.
    ///
    /// # Errors
    /// As [`FaasletEngine::new`].
    pub fn several(settings: &EngineSettings, count: u32) -> Result<Vec<Self>, FaasletError> {
        check(settings)?;
        let budget = Arc::new(Budget::new(&settings.budget, settings.instances));
        let share = EngineSettings {
            instances: settings.instances.div_ceil(count.max(1)),
            ..settings.clone()
        };
        (0..count.max(1))
            .map(|_| Self::within(share.clone(), budget.clone()))
            .collect()
    }

    fn within(settings: EngineSettings, budget: Arc<Budget>) -> Result<Self, FaasletError> {
        let mut config = settings.config();
        // What is compiled here is small. A pool of threads, one for each processor, would stay for good in a process that is weighed.
        config.parallel_compilation(false);
        let engine = Engine::new(&config).map_err(|e| FaasletError::Engine {
            cause: format!("{e:#}"),
            hint: "; fewer workers at once need less address space, and `ulimit -v` and vm.overcommit_memory bound it",
        })?;
        let deadlines = Deadlines::start(&engine, settings.tick, settings.deadline)?;
        Ok(Self {
            engine,
            settings: Arc::new(settings),
            deadlines: Arc::new(deadlines),
            budget,
            compiler: Compiler::of_process()?,
            components: Arc::default(),
        })
    }

    /// The same engine, but modules are compiled by `compiler`.
    #[must_use]
    pub fn with_compiler(self, compiler: Compiler) -> Self {
        Self { compiler, ..self }
    }

    /// Where modules are compiled.
    #[must_use]
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// The engine itself.
    #[must_use]
    pub fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    /// Compiles `wasm`, a valid module of one's own and a small one, here and now and by this thread alone, for [`Function::new`](crate::Function::new).
    ///
    /// # Errors
    /// It is not valid, or has what the engine does not do.
    pub fn compile(&self, wasm: &[u8]) -> wasmtime::Result<Module> {
        Module::new(&self.engine, in_pieces(wasm)?)
    }

    /// What is in force.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// What components run on.
    ///
    /// # Errors
    /// The host refuses their address space.
    pub(crate) fn components(&self) -> Result<&Arc<Components>, FaasletError> {
        if let Some(made) = self.components.get() {
            return Ok(made);
        }
        let made = Components::new(&self.settings)?;
        let components = self.components.get_or_init(|| Arc::new(made));
        self.deadlines.count_epochs(components.engine());
        Ok(components)
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }
}

fn check(settings: &EngineSettings) -> Result<(), FaasletError> {
    let range = |what: &str, ok: bool, cause: &str| {
        if ok {
            Ok(())
        } else {
            Err(FaasletError::refused(what, cause))
        }
    };
    range(
        "the memory limit",
        (1 << 16..=MAX_MEMORY_LIMIT_BYTES).contains(&settings.memory_limit_bytes),
        "it must be 64 KiB to 4 GiB",
    )?;
    range(
        "the number of instances",
        (1..=100_000).contains(&settings.instances),
        "it must be 1 to 100000",
    )?;
    range(
        "the tick",
        settings.tick >= Duration::from_millis(1),
        "it must be at least 1 ms",
    )
}
