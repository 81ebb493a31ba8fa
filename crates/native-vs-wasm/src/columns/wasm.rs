//! Wasm modules of the function store in Faaslet's engine, each run on a thread and in an instance made for
//! it: what the rung `faaslet` starts, without its cgroup and network namespace, which cost computation
//! nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread::{self, Builder};
use std::time::Duration;

use faaslet::settings::ENGINE;
use faaslet::thread::STACK_BYTES;
use faaslet::{EngineSettings, FaasletEngine, FaasletError, Function, Grants, StartError, Store};
use measure_core::base::clock::PhaseClock;
use measure_core::base::files::sha256_of;
use measure_core::base::ids::{FunctionId, FunctionIdError};
use measure_core::base::interrupt;

use super::{OUTPUT_LIMIT_BYTES, SecondEngine, Words, phase};
use crate::capture::Capture;
use crate::column::{Benchmark, Column, NotReady, Program, Run, RunError, Task};

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
    name: String,
    engine: FaasletEngine,
    store: Store,
    mend: String,
    build_flags: Vec<String>,
    reuse: Option<u32>,
    words: Words,
    locate: Locate,
    second_engine: Option<SecondEngine>,
    /// Several benchmarks may be one function with other arguments.
    compiled: RefCell<HashMap<FunctionId, Compiled>>,
}

/// A function's code.
#[derive(Clone)]
enum Compiled {
    Module(wasmtime::Module),
    /// By the second engine: of this module, at this path.
    Library(Rc<[u8]>, PathBuf),
}

/// Everything that tells one Wasm column from another.
pub struct WasmSetup {
    /// `wasm`, `wasm-...`.
    pub name: String,
    /// The store.
    pub store: Store,
    /// The engine's settings; memory limit, number of instances and deadline are set here.
    pub settings: EngineSettings,
    /// Most memory of a run, for example [`MEMORY_LIMIT_BYTES`].
    pub memory_limit_bytes: u64,
    /// How long one run may take.
    pub timeout: Duration,
    /// The command that makes the functions, for error messages.
    pub mend: String,
    /// Flags of the compiler that made the modules.
    pub build_flags: Vec<String>,
    /// Iterations that an instance makes, if it is to make all.
    pub reuse: Option<u32>,
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
        Ok(Self {
            name: setup.name,
            engine,
            store: setup.store,
            mend: setup.mend,
            build_flags: setup.build_flags,
            reuse: setup.reuse,
            words: setup.words,
            locate: setup.locate,
            second_engine: setup.second_engine,
            compiled: RefCell::default(),
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

    fn compiled(&self, id: &FunctionId) -> Result<Compiled, NotReady> {
        if let Some(compiled) = self.compiled.borrow().get(id) {
            return Ok(compiled.clone());
        }
        let compiled = match &self.second_engine {
            None => {
                let module = self.store.load(&self.engine, id);
                Compiled::Module(module.map_err(|e| self.not_ready(e))?)
            }
            Some(second) => {
                let wasm = self.store.wasm(id).map_err(|e| self.not_ready(e))?;
                let library = second.library(id, &wasm)?;
                Compiled::Library(wasm.into(), library)
            }
        };
        self.compiled
            .borrow_mut()
            .insert(id.clone(), compiled.clone());
        Ok(compiled)
    }
}

impl Column for WasmColumn {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        if self.second_engine.is_some() {
            return "the modules of column wasm through wasm2c and clang: their code alone is the second engine's; thread, memory, files, limits and deadline are those of column wasm"
                .to_owned();
        }
        format!(
            "{ENGINE}: thread, WASI state and instance made for each run, to the instance's memory reset and the thread joined; the engine settings of the rung faaslet, without its cgroup and network namespace"
        )
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = self.engine.settings().describe();
        settings.extend(self.second_engine.iter().flat_map(SecondEngine::describe));
        settings.extend(self.build_flags.iter().cloned());
        settings
    }

    fn processes(&self, iterations: u32) -> u32 {
        if self.reuse.is_some() { 1 } else { iterations }
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
        let WasmProgram { id, grants } = self.locate(benchmark)?;
        let compiled = self.compiled(&id)?;
        let capture = || Capture::new(OUTPUT_LIMIT_BYTES).map_err(|e| self.not_ready(e));
        Ok(Box::new(LoadedModule {
            column: self,
            id,
            grants,
            compiled,
            function: None,
            stdout: capture()?,
            stderr: capture()?,
        }))
    }

    fn hash(&self, benchmark: &Benchmark) -> io::Result<String> {
        let id = (self.locate)(benchmark).map_err(io::Error::other)?.id;
        sha256_of(&self.store.module_path(&id))
    }
}

struct LoadedModule<'a> {
    column: &'a WasmColumn,
    id: FunctionId,
    grants: Grants,
    compiled: Compiled,
    /// For the task that it was last run with.
    function: Option<(Task, Function)>,
    stdout: Capture,
    stderr: Capture,
}

impl Program for LoadedModule<'_> {
    fn run(&mut self, task: Task) -> Result<Run, RunError> {
        let (_, function) = match self.function.take() {
            Some(found) if found.0 == task => self.function.insert(found),
            _ => {
                let function = self.function_for(task)?;
                self.function.insert((task, function))
            }
        };
        let mut clock = PhaseClock::start();
        let started = thread::scope(|scope| {
            let thread = Builder::new().stack_size(STACK_BYTES);
            let thread = thread.spawn_scoped(scope, || {
                clock.lap(phase::THREAD);
                function.start(&mut clock)
            });
            thread.map(|thread| thread.join())
        });
        clock.lap(phase::JOIN);
        let taken = self
            .stdout
            .take()
            .and_then(|out| Ok((out, self.stderr.take()?)));
        let result = started
            .map_err(|e| RunError::Failed(measure_core::driver_kit::bare_thread::no_thread(&e)))?
            .map_err(|_| RunError::Failed("its thread panicked".to_owned()))?;
        if interrupt::received().is_some() {
            return Err(RunError::Interrupted);
        }
        result.map_err(|error| match error {
            StartError::Deadline(limit) => RunError::Timeout(limit),
            StartError::Interrupted => RunError::Interrupted,
            other => RunError::Failed(other.to_string()),
        })?;
        let (stdout, stderr) = taken.map_err(|e| RunError::system("cannot read its output", &e))?;
        Ok(Run {
            whole: clock.finish(),
            output: if task == Task::Dump { stderr } else { stdout },
        })
    }
}

impl LoadedModule<'_> {
    fn function_for(&self, task: Task) -> Result<Function, RunError> {
        let mut grants = self.grants.clone();
        if grants.args.is_empty() {
            grants.args.push(self.id.function().to_owned());
        }
        grants.args.extend((self.column.words)(task));
        grants.stdout = Some(self.stdout.shared());
        if task == Task::Dump {
            grants.stderr = Some(self.stderr.shared());
        }
        let (engine, what) = (&self.column.engine, self.id.to_string());
        match &self.compiled {
            Compiled::Module(module) => Function::new(engine, &what, module, grants),
            Compiled::Library(wasm, path) => {
                Function::from_library(engine, &what, wasm, path, grants)
            }
        }
        .map_err(|e| RunError::Failed(e.to_string()))
    }
}
