//! Modules of the function store under an engine of `engines.toml`: its command line, in a process of its own for each run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faaslet::Store;
use measure_core::base::files::{replace_file, sha256_of};
use measure_core::base::home;
use measure_core::base::ids::FunctionId;

use super::process::Runner;
use super::wasm::{LOADING, Locate};
use super::{Executable, WasmProgram, Words};
use crate::column::{About, Benchmark, Column, NotReady, Program, Run, RunError, Task};
use crate::engines::{Cache, Entry, Given, features, fill, words};
use crate::layout::Layout;

/// What compiling one module may take, on however slow a host.
const COMPILE_LIMIT: Duration = Duration::from_secs(1800);
/// Compiling more than this may take minutes.
const LARGE_BYTES: usize = 1 << 20;
/// Where scripts of entries are put, below the home: `<engine>/<script>`.
const SCRIPTS: &str = "by-engine";

/// Everything that tells one engine's column from another.
pub struct EngineSetup {
    /// The engine.
    pub entry: Entry,
    /// Flags of the compiler that made the modules; what is known of the engine is added.
    pub settings: Vec<String>,
    pub store: Store,
    /// How long one run may take.
    pub timeout: Duration,
    /// The command that makes the functions, for error messages.
    pub mend: String,
    /// The variable that its programs take the seed of string hashes from, if they do.
    pub hash_variable: Option<&'static str>,
    /// Arguments of a task.
    pub words: Words,
    /// Which function a benchmark is, and what it is given.
    pub locate: Locate,
}

/// The store's functions under one engine's command line.
pub struct EngineColumn {
    about: About,
    setup: EngineSetup,
    /// Its version, or why it is not here.
    found: Result<String, NotReady>,
    cache: Cache,
    /// Of modules that were looked at: the features that the engine lacks.
    lacking: RefCell<BTreeMap<PathBuf, Result<(), NotReady>>>,
}

impl EngineColumn {
    /// Looks for the engine; whether it is there, [`Column::check`] says.
    #[must_use]
    pub fn find(setup: EngineSetup) -> Self {
        let entry = &setup.entry;
        let found = entry.probe();
        let version = found.clone().unwrap_or_else(|why| why.to_string());
        let mut settings = vec![format!("version: {version}")];
        settings.extend(entry.describe());
        let mut code_depends_on = entry.compile.clone();
        code_depends_on.push(version);
        let cache = Cache::new(&home::root(), &entry.id, code_depends_on);
        settings.extend(setup.settings.iter().cloned());
        Self {
            about: About {
                name: entry.id.clone(),
                summary: format!(
                    "{}; the module as the compiler links it, in a process of its own for each run, from asked for to reaped",
                    entry.summary
                ),
                settings,
                ..About::default()
            },
            cache,
            setup,
            found,
            lacking: RefCell::default(),
        }
    }

    fn locate(&self, benchmark: &Benchmark) -> Result<WasmProgram, NotReady> {
        (self.setup.locate)(benchmark).map_err(|why| self.not_built(why))
    }

    fn not_built(&self, why: impl std::fmt::Display) -> NotReady {
        NotReady {
            why: why.to_string(),
            mend: format!("`{}` builds and installs it", self.setup.mend),
        }
    }

    /// Whether the engine takes what the module of `id` needs; each module is looked at once.
    fn takes(&self, id: &FunctionId, path: &Path, wasm: &[u8]) -> Result<(), NotReady> {
        if let Some(known) = self.lacking.borrow().get(path) {
            return known.clone();
        }
        let engine = &self.setup.entry.id;
        let taken = match features::lacking(wasm, self.setup.entry.takes()) {
            Ok(lacks) if lacks.is_empty() => Ok(()),
            Ok(lacks) => Err(NotReady {
                why: format!("{id} needs {}, which {engine} does not take", lacks.join(", ")),
                mend: "the other columns can do without it; `takes` in engines.toml says what it takes".to_owned(),
            }),
            Err(error) => Err(self.not_built(format_args!("{id} is no valid module: {error}"))),
        };
        self.lacking
            .borrow_mut()
            .insert(path.to_owned(), taken.clone());
        taken
    }

    /// The script of the entry, written where the engine can read it.
    fn script(&self) -> io::Result<String> {
        let Some((name, text)) = self.setup.entry.script() else {
            return Ok(String::new());
        };
        let dir = home::root().join(SCRIPTS).join(&self.setup.entry.id);
        let path = dir.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return Ok(text_of(&path));
        }
        fs::create_dir_all(&dir)?;
        replace_file(&path, text.as_bytes())?;
        Ok(text_of(&path))
    }

    /// What `{compiled}` stands for, compiled unless it has been before; empty for an engine that compiles when it runs.
    fn compiled(
        &self,
        id: &FunctionId,
        wasm: &[u8],
        given: &Given<'_>,
    ) -> Result<String, NotReady> {
        let entry = &self.setup.entry;
        let Some(name) = entry.compile.first() else {
            return Ok(String::new());
        };
        let kept = self.cache.entry(id, wasm);
        let code = text_of(&Cache::code(&kept));
        if kept.is_dir() {
            return Ok(code);
        }
        if wasm.len() > LARGE_BYTES {
            eprintln!("{}: compiling {id}: minutes, once", entry.id);
        }
        let compiler = entry.find(name)?;
        let compile = |to: &Path| -> Result<(), CompileError> {
            let compiled = text_of(to);
            let given = Given {
                compiled: &compiled,
                ..*given
            };
            let words = fill(&entry.compile, &given);
            let executable = self.executable(compiler.clone(), &words[1..]);
            let mut runner = Runner::new(COMPILE_LIMIT, &entry.install)?;
            runner.run(&executable, Vec::new(), Vec::new())?;
            Ok(())
        };
        self.cache
            .make(id, &kept, compile)
            .map_err(|error| NotReady {
                why: format!("{id} cannot be compiled by {}: {error}", entry.id),
                mend: "the other columns can do without it".to_owned(),
            })?;
        Ok(code)
    }

    fn executable(&self, path: PathBuf, args: &[String]) -> Executable {
        Executable {
            path,
            args: args.iter().map(Into::into).collect(),
            env: self.setup.entry.process_environment(),
            sources: Vec::new(),
            stdin: None,
        }
    }
}

/// Why a module was not compiled.
#[derive(Debug, thiserror::Error)]
enum CompileError {
    #[error("{0}")]
    Files(#[from] io::Error),
    #[error("{0}")]
    Run(#[from] RunError),
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Column for EngineColumn {
    fn about(&self) -> &About {
        &self.about
    }

    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady> {
        self.found.clone()?;
        let WasmProgram { id, grants } = self.locate(benchmark)?;
        let entry = &self.setup.entry;
        for (needed, given, what) in [
            (!grants.dirs.is_empty(), entry.gives_dirs(), "directories"),
            (!grants.env.is_empty(), entry.gives_env(), "an environment"),
        ] {
            if needed && !given {
                return Err(NotReady {
                    why: format!(
                        "{id} needs {what}, which {} is not told how to give",
                        entry.id
                    ),
                    mend:
                        "put {dirs} and {env}, with `dir` and `env`, into its entry of engines.toml"
                            .to_owned(),
                });
            }
        }
        if self.setup.store.module_path(&id).is_file() {
            return Ok(());
        }
        let root = self.setup.store.root().display();
        Err(self.not_built(format_args!("{id} is not in the store ({root})")))
    }

    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady> {
        let program = self.locate(benchmark)?;
        let path = self.setup.store.module_path(&program.id);
        let wasm = self.setup.store.wasm(&program.id);
        let wasm = wasm.map_err(|e| self.not_built(e))?;
        self.takes(&program.id, &path, &wasm)?;
        let script = self.script().map_err(|e| self.not_built(e))?;
        let module = text_of(&path);
        let given = Given {
            module: &module,
            script: &script,
            ..Given::default()
        };
        let compiled = self.compiled(&program.id, &wasm, &given)?;
        let entry = &self.setup.entry;
        let engine = entry.find(entry.run.first().map_or("", String::as_str))?;
        let runner = Runner::new(self.setup.timeout + LOADING, &entry.install);
        Ok(Box::new(EngineProgram {
            column: self,
            engine,
            program,
            module,
            compiled,
            script,
            runner: runner.map_err(|e| self.not_built(e))?,
        }))
    }

    fn hash(&self, benchmark: &Benchmark) -> io::Result<String> {
        let id = (self.setup.locate)(benchmark).map_err(io::Error::other)?.id;
        sha256_of(&self.setup.store.module_path(&id))
    }
}

struct EngineProgram<'a> {
    column: &'a EngineColumn,
    engine: PathBuf,
    program: WasmProgram,
    module: String,
    compiled: String,
    script: String,
    runner: Runner,
}

impl Program for EngineProgram<'_> {
    fn run(&mut self, task: Task, layout: Layout) -> Result<Run, RunError> {
        let setup = &self.column.setup;
        let grants = &self.program.grants;
        // An engine names the program itself.
        let mut args: Vec<String> = grants.args.iter().skip(1).cloned().collect();
        args.extend((setup.words)(task));
        let env = grants.env.iter().cloned();
        let env = env.chain(layout.variables(setup.hash_variable));
        let dirs = grants.dirs.iter();
        let dirs = dirs.map(|dir| (text_of(&dir.host), dir.guest.clone()));
        let words = fill(
            &setup.entry.run,
            &Given {
                module: &self.module,
                compiled: &self.compiled,
                script: &self.script,
                args: &args,
                dirs: &words::fill_each(&setup.entry.dir, words::DIR, dirs),
                env: &words::fill_each(&setup.entry.env, words::ENV, env),
            },
        );
        let executable = self.column.executable(self.engine.clone(), &words[1..]);
        let exited = self
            .runner
            .run(&executable, Vec::new(), layout.variables(None))?;
        Ok(exited.into_run(task))
    }
}
