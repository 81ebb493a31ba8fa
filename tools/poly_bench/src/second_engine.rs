//! The column of the second ahead-of-time engine: the very modules of the store, by way of C.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use faaslet::Store;
use measure_core::home;
use measure_core::ids::FunctionId;
use native_vs_wasm::columns::{Executable, NativeColumn};
use native_vs_wasm::{Benchmark, Column, NotReady, Program};
use wasm2c::Toolchain;

use crate::columns::{MAKE_WASM, Setup, USER, flags, words};

/// The column's name.
pub const NAME: &str = "wasm-wasm2c";

/// The compiler of the native programs and of the modules, once more.
const COMPILER: &str = "clang-19";
/// What one tool may take for one module, on however slow a host.
const COMPILE_LIMIT: Duration = Duration::from_secs(600);
/// Where executables are kept, below the home: `<program>-<hash of all that they depend on>`.
const CACHE: &str = "polybench_wasm2c";
const MEND_TOOLS: &str = "`make wasm2c` installs wasm2c";

/// Executables by the name of their benchmark.
type Compiled = Rc<RefCell<HashMap<String, PathBuf>>>;

/// The column.
pub struct Wasm2cColumn {
    /// Runs the executables.
    runner: NativeColumn<'static>,
    toolchain: Result<Toolchain, String>,
    store: Store,
    cache: PathBuf,
    compiled: Compiled,
}

impl Wasm2cColumn {
    /// Looks for the tools; whether they are there, [`Column::check`] says.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let home = home::root();
        let toolchain = Toolchain::find(&home, COMPILER).map_err(|e| e.to_string());
        let mut settings = toolchain
            .as_ref()
            .map(Toolchain::describe)
            .unwrap_or_default();
        settings.extend(flags(&home.join("wasm").join(USER)));
        let compiled = Compiled::default();
        let found = Rc::clone(&compiled);
        let runner = NativeColumn {
            name: NAME.to_owned(),
            summary: "the modules of column wasm through wasm2c and clang: bounds by guard pages as there, but a process of its own for each run, which is killed at its deadline and may use 8 MiB of stack"
                .to_owned(),
            settings,
            mend: "poly_bench".to_owned(),
            timeout: setup.timeout,
            words,
            locate: Box::new(move |benchmark| Executable {
                path: found.borrow().get(&benchmark.name).cloned().unwrap_or_default(),
                ..Executable::default()
            }),
        };
        Self {
            runner,
            toolchain,
            store: Store::at(home::store()),
            cache: home.join(CACHE),
            compiled,
        }
    }

    fn toolchain(&self) -> Result<&Toolchain, NotReady> {
        self.toolchain.as_ref().map_err(|why| NotReady {
            why: why.clone(),
            mend: MEND_TOOLS.to_owned(),
        })
    }

    fn module(&self, benchmark: &Benchmark) -> Result<Vec<u8>, NotReady> {
        let id = FunctionId::new(USER, &benchmark.name).map_err(|e| no_module(&e))?;
        self.store.wasm(&id).map_err(|e| no_module(&e))
    }

    /// The executable of `benchmark`, compiled unless it has been before.
    fn executable(&self, benchmark: &Benchmark) -> Result<PathBuf, NotReady> {
        let toolchain = self.toolchain()?;
        let wasm = self.module(benchmark)?;
        let key = toolchain.key(&wasm);
        let path = self.cache.join(format!("{}-{key}", benchmark.name));
        if path.is_file() {
            return Ok(path);
        }
        toolchain
            .compile(&wasm, &path, COMPILE_LIMIT)
            .map_err(|error| NotReady {
                why: format!("{} cannot be compiled by way of C: {error}", benchmark.name),
                mend: "the other columns can do without it".to_owned(),
            })?;
        remove_older(&self.cache, &benchmark.name, &path);
        Ok(path)
    }
}

fn no_module(why: &dyn std::fmt::Display) -> NotReady {
    NotReady {
        why: why.to_string(),
        mend: format!("`{MAKE_WASM}` builds and installs it"),
    }
}

/// Removes what was made of the same benchmark's earlier modules, or by other tools.
fn remove_older(cache: &Path, name: &str, keep: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let key = file
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'));
        let is_key = |key: &str| key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit());
        if key.is_some_and(is_key) && path != keep {
            let _ = fs::remove_file(&path);
        }
    }
}

impl Column for Wasm2cColumn {
    fn name(&self) -> &str {
        NAME
    }

    fn summary(&self) -> String {
        self.runner.summary()
    }

    fn settings(&self) -> Vec<String> {
        self.runner.settings()
    }

    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady> {
        self.toolchain()?;
        self.module(benchmark).map(drop)
    }

    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady> {
        let path = self.executable(benchmark)?;
        self.compiled
            .borrow_mut()
            .insert(benchmark.name.clone(), path);
        self.runner.prepare(benchmark)
    }

    /// Of the module: that it is the one of column `wasm` can be seen by it.
    fn hash(&self, benchmark: &Benchmark) -> Result<String, String> {
        let id = FunctionId::new(USER, &benchmark.name).map_err(|e| e.to_string())?;
        measure_core::environment::sha256_of(&self.store.module_path(&id))
            .map_err(|e| e.to_string())
    }
}
