//! The columns that PolyBench can be compared in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faaslet::{EngineSettings, Grants, Profiling, Store};
use measure_core::base::home;
use measure_core::base::ids::{self, FunctionId, FunctionIdError};
use native_vs_wasm::columns::{
    EngineColumn, EngineSetup, Executable, NativeColumn, SecondEngine, WASM2C, WasmColumn,
    WasmProgram, WasmSetup,
};
use native_vs_wasm::engines::{Engines, Entry};
use native_vs_wasm::{About, Benchmark, Column, CompareError, NATIVE, Task, WASM};

use crate::kernels::kernel_of_program;

/// The user of the functions in the store.
pub const USER: &str = "polybench";
/// The user of the modules as the compiler links them.
pub(crate) const LINKED_USER: &str = "polybench-linked";
/// The column of the modules as the compiler links them, which `wasm-post-link` has not rewritten.
pub(crate) const WASM_LINKED: &str = "wasm-linked";

/// The same modules by the second engine: what other engines' columns are held against, like for like.
pub(crate) const WASM_LINKED_WASM2C: &str = "wasm-linked-wasm2c";

/// The native builds that a kernel's best one is chosen from.
pub(crate) const BUILDS: [&str; 5] = [
    NATIVE,
    "native-o3",
    "native-no-fma",
    "native-gcc",
    "native-polly",
];
/// A build that is made to be profiled, not to be fast.
const DEBUG: &str = "native-debug";

pub(crate) const MAKE_WASM: &str = "make compile FUNC_USER=polybench && make upload-all";

/// What columns need to know.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How long one run may take.
    pub timeout: Duration,
    /// Whether compiled code is announced to perf.
    pub profiling: Profiling,
    /// Other engines.
    pub engines: Engines,
}

/// Every column's name.
#[must_use]
pub fn names() -> Vec<String> {
    let others = [DEBUG, WASM, WASM_LINKED, WASM2C, WASM_LINKED_WASM2C];
    BUILDS
        .iter()
        .chain(&others)
        .map(ToString::to_string)
        .collect()
}

/// The column `name`.
///
/// # Errors
/// There is none of this name, or its engine cannot be set up.
pub fn column(name: &str, setup: &Setup) -> Result<Box<dyn Column>, CompareError> {
    match name {
        WASM => wasm(WASM, USER, None, setup),
        WASM_LINKED => wasm(WASM_LINKED, LINKED_USER, None, setup),
        WASM2C => wasm(WASM2C, USER, Some(SecondEngine::find()), setup),
        WASM_LINKED_WASM2C => {
            let second = Some(SecondEngine::find());
            wasm(WASM_LINKED_WASM2C, LINKED_USER, second, setup)
        }
        _ if name == DEBUG || BUILDS.contains(&name) => Ok(Box::new(native(name, setup))),
        _ => match setup.engines.entry(name) {
            Some(entry) => Ok(Box::new(engine(entry, setup))),
            None => {
                let known: Vec<String> = names().into_iter().chain(setup.engines.names()).collect();
                Err(CompareError::Usage(ids::unknown("column", name, &known)))
            }
        },
    }
}

/// The modules as the compiler links them: what `wasm-post-link` does is for our own engines' code.
fn engine(entry: &Entry, setup: &Setup) -> EngineColumn {
    EngineColumn::find(EngineSetup {
        entry: entry.clone(),
        settings: flags(&home::root().join("wasm").join(LINKED_USER)),
        store: Store::at(home::store()),
        timeout: setup.timeout,
        mend: MAKE_WASM.to_owned(),
        hash_variable: None,
        words,
        locate: Box::new(|benchmark| locate(LINKED_USER, benchmark)),
    })
}

pub(crate) fn words(task: Task) -> Vec<String> {
    match task {
        Task::Output => vec!["--raw".to_owned()],
        Task::Time { repeats } => vec!["--time".to_owned(), repeats.to_string()],
        // Of no column here.
        Task::Curve { iterations } => vec!["--time".to_owned(), iterations.to_string()],
        Task::Dump => vec!["--dump".to_owned()],
    }
}

/// Where the programs of the native build `name` lie below `home`.
pub(crate) fn native_dir(home: &Path, name: &str) -> PathBuf {
    home.join(format!("polybench_{}/bin", name.replace('-', "_")))
}

fn native(name: &str, setup: &Setup) -> NativeColumn {
    let dir = native_dir(&home::root(), name);
    let settings = flags(&dir);
    let word = |key: &str| {
        let values = settings.iter().find_map(|line| line.strip_prefix(key));
        values.unwrap_or("unknown flags").to_owned()
    };
    NativeColumn {
        about: About {
            name: name.to_owned(),
            summary: format!(
                "{} {}, a process of its own for each run, with an empty environment",
                word("compiler: "),
                word("cflags: ")
            ),
            settings,
            ..About::default()
        },
        mend: if name == DEBUG {
            "make polybench-native BUILD=Debug".to_owned()
        } else {
            "make polybench-native".to_owned()
        },
        timeout: setup.timeout,
        hash_variable: None,
        words,
        locate: Box::new(move |benchmark| Executable {
            path: dir.join(&benchmark.name),
            sources: sources(&dir, &benchmark.name),
            ..Executable::default()
        }),
    }
}

/// What the programs of `dir` were compiled with, as the build wrote it down.
pub(crate) fn flags(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("flags")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What `program` must not be older than: its flags, and in a checkout its sources.
fn sources(dir: &Path, program: &str) -> Vec<PathBuf> {
    let mut found = vec![dir.join("flags")];
    if let Some(top) = home::root().parent() {
        let sources = top.join("polybench-src");
        found.push(sources.join("polybench.h"));
        let kernel = kernel_of_program(program);
        found.extend(kernel.map(|k| sources.join(format!("{}.c", k.name))));
    }
    found
}

fn wasm(
    name: &str,
    user: &'static str,
    second_engine: Option<SecondEngine>,
    setup: &Setup,
) -> Result<Box<dyn Column>, CompareError> {
    let column = WasmColumn::new(WasmSetup {
        about: About {
            name: name.to_owned(),
            settings: flags(&home::root().join("wasm").join(user)),
            ..About::default()
        },
        second_engine,
        store: Store::at(home::store()),
        settings: EngineSettings {
            profiling: setup.profiling,
            ..EngineSettings::default()
        },
        memory_limit_bytes: native_vs_wasm::columns::wasm::MEMORY_LIMIT_BYTES,
        timeout: setup.timeout,
        mend: MAKE_WASM.to_owned(),
        hash_variable: None,
        words,
        locate: Box::new(move |benchmark| locate(user, benchmark)),
    });
    let column = column.map_err(|e| CompareError::Unavailable(e.to_string()))?;
    Ok(Box::new(column))
}

fn locate(user: &str, benchmark: &Benchmark) -> Result<WasmProgram, FunctionIdError> {
    Ok(WasmProgram {
        id: FunctionId::new(user, &benchmark.name)?,
        grants: Grants::default(),
    })
}
