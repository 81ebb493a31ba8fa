//! Wasm modules of the function store in Faaslet's engine, each run in an engine process of its own, on a thread and in
//! an instance made for it: what the rung `faaslet` starts, without its cgroup, which costs
//! computation nothing.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use faaslet::settings::ENGINE;
use faaslet::{EngineSettings, FaasletEngine, FaasletError, Grants, Store};
use measure_core::base::files::sha256_of;
use measure_core::base::ids::{FunctionId, FunctionIdError};

use super::process::Runner;
use super::replicate::{self, Replicate};
use super::{Executable, SecondEngine, Words};
use crate::column::{About, Benchmark, Column, NotReady, Program, Run, RunError, Task};
use crate::layout::Layout;

/// The largest datasets need more than a Faaslet's usual memory. The limit is not in the compiled code.
pub const MEMORY_LIMIT_BYTES: u64 = 4 << 30;

/// What runs a benchmark.
#[derive(Debug, Clone)]
pub struct WasmProgram {
    /// The function in the store.
    pub id: FunctionId,
    /// What it is given; the arguments of the task come after its own, and its output is captured.
    pub grants: Grants,
}

/// Says which function a benchmark is and what it is given, or that its name is none of a function.
pub type Locate = Box<dyn Fn(&Benchmark) -> Result<WasmProgram, FunctionIdError>>;

/// The store's functions under one engine.
pub struct WasmColumn {
    about: About,
    engine: FaasletEngine,
    store: Store,
    mend: String,
    words: Words,
    locate: Locate,
    hash_variable: Option<&'static str>,
    second_engine: Option<SecondEngine>,
}

/// What a process may take besides its deadline: it loads its code.
pub(super) const LOADING: Duration = Duration::from_secs(60);

/// Everything that tells one Wasm column from another.
pub struct WasmSetup {
    /// What it is; its settings are the flags of the compiler that made the modules. The engine adds its own, and the summary.
    pub about: About,
    pub store: Store,
    /// The engine's settings; memory limit, number of instances and deadline are set here.
    pub settings: EngineSettings,
    /// Most memory of a run, for example [`MEMORY_LIMIT_BYTES`].
    pub memory_limit_bytes: u64,
    /// How long one run may take.
    pub timeout: Duration,
    /// The command that makes the functions, for error messages.
    pub mend: String,
    /// The variable that its programs take the seed of string hashes from, if they do.
    pub hash_variable: Option<&'static str>,
    /// Arguments of a task.
    pub words: Words,
    /// Which function a benchmark is.
    pub locate: Locate,
    /// What compiles the modules instead of the engine, if anything does.
    pub second_engine: Option<SecondEngine>,
}

impl WasmColumn {
    /// Starts the engine.
    ///
    /// # Errors
    /// It cannot be set up.
    pub fn new(setup: WasmSetup) -> Result<Self, FaasletError> {
        let engine = FaasletEngine::new(EngineSettings {
            instances: 1,
            memory_limit_bytes: setup.memory_limit_bytes,
            deadline: setup.timeout,
            ..setup.settings
        })?;
        let mut settings = engine.settings().describe();
        let second_engine = setup.second_engine.as_ref();
        settings.extend(second_engine.iter().flat_map(|second| second.describe()));
        settings.extend(setup.about.settings);
        Ok(Self {
            about: About {
                summary: summary(second_engine),
                settings,
                ..setup.about
            },
            engine,
            store: setup.store,
            mend: setup.mend,
            words: setup.words,
            locate: setup.locate,
            hash_variable: setup.hash_variable,
            second_engine: setup.second_engine,
        })
    }

    fn locate(&self, benchmark: &Benchmark) -> Result<WasmProgram, NotReady> {
        (self.locate)(benchmark).map_err(|why| self.not_ready(why))
    }

    fn not_ready(&self, why: impl std::fmt::Display) -> NotReady {
        NotReady {
            why: why.to_string(),
            mend: format!("`{}` builds and installs it", self.mend),
        }
    }

    /// Sees to it that the code of `id` is there; of the second engine's it says where.
    fn compile(&self, id: &FunctionId) -> Result<Option<PathBuf>, NotReady> {
        match &self.second_engine {
            None => {
                let compiled = self.store.codegen(&self.engine, id);
                compiled.map_err(|e| self.not_ready(e))?;
                Ok(None)
            }
            Some(second) => {
                let wasm = self.store.wasm(id).map_err(|e| self.not_ready(e))?;
                second.library(id, &wasm).map(Some)
            }
        }
    }

    fn replicate(&self, program: WasmProgram, library: Option<PathBuf>) -> Replicate {
        let WasmProgram { id, grants } = program;
        let settings = self.engine.settings();
        let mut args = grants.args;
        if args.is_empty() {
            args.push(id.function().to_owned());
        }
        let dirs = grants.dirs.into_iter();
        Replicate {
            store: self.store.root().to_owned(),
            user: id.user().to_owned(),
            function: id.function().to_owned(),
            library,
            memory_limit_bytes: settings.memory_limit_bytes,
            timeout: settings.deadline,
            profiling: settings.profiling.name().to_owned(),
            args,
            env: grants.env,
            dirs: dirs.map(|d| (d.host, d.guest, d.writable)).collect(),
            stdin: grants.stdin_file.map(|stdin| stdin.path().to_owned()),
            stderr: false,
        }
    }
}

fn summary(second_engine: Option<&SecondEngine>) -> String {
    if second_engine.is_some() {
        return "the modules of column wasm through wasm2c and clang: their code alone is the second engine's; process, thread, memory, files, limits and deadline are those of column wasm"
            .to_owned();
    }
    format!(
        "{ENGINE}: a fresh engine process for each run, which loads the compiled code; then thread, WASI state and instance, to the instance's memory reset and the thread joined; the engine settings of the rung faaslet, without its cgroup and network namespace"
    )
}

impl Column for WasmColumn {
    fn about(&self) -> &About {
        &self.about
    }

    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady> {
        let id = self.locate(benchmark)?.id;
        if let Some(second) = &self.second_engine {
            second.check()?;
        }
        if self.store.module_path(&id).is_file() {
            return Ok(());
        }
        let root = self.store.root().display();
        Err(self.not_ready(format_args!("{id} is not in the store ({root})")))
    }

    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady> {
        let program = self.locate(benchmark)?;
        let library = self.compile(&program.id)?;
        let timeout = self.engine.settings().deadline + LOADING;
        let runner = Runner::new(timeout, &self.mend);
        Ok(Box::new(EngineProcess {
            column: self,
            replicate: self.replicate(program, library),
            runner: runner.map_err(|e| self.not_ready(e))?,
        }))
    }

    fn hash(&self, benchmark: &Benchmark) -> io::Result<String> {
        let id = (self.locate)(benchmark).map_err(io::Error::other)?.id;
        sha256_of(&self.store.module_path(&id))
    }
}

struct EngineProcess<'a> {
    column: &'a WasmColumn,
    replicate: Replicate,
    runner: Runner,
}

impl Program for EngineProcess<'_> {
    fn run(&mut self, task: Task, layout: Layout) -> Result<Run, RunError> {
        let mut replicate = self.replicate.clone();
        replicate.args.extend((self.column.words)(task));
        replicate
            .env
            .extend(layout.variables(self.column.hash_variable));
        replicate.stderr = task == Task::Dump;
        let itself = Executable {
            // Even if its file has been replaced since it was started.
            path: PathBuf::from("/proc/self/exe"),
            args: vec![OsString::from(replicate::SUBCOMMAND)],
            ..Executable::default()
        };
        let text =
            serde_json::to_string(&replicate).map_err(|e| RunError::Failed(e.to_string()))?;
        let exited = self
            .runner
            .run(&itself, vec![text.into()], layout.variables(None))?;
        Ok(Run {
            process_ns: exited.whole.total_ns,
            whole: replicate::parse(&exited.stderr, exited.whole.start_ns)?,
            output: exited.stdout,
        })
    }
}
