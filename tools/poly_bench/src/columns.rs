//! The columns that PolyBench can be compared in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faaslet::{EngineSettings, Grants, Profiling, Store};
use measure_core::base::home;
use measure_core::base::ids::{self, FunctionId, FunctionIdError};
use native_vs_wasm::columns::{
    Executable, NativeColumn, SecondEngine, WASM2C, WasmColumn, WasmProgram, WasmSetup,
};
use native_vs_wasm::{Benchmark, Column, CompareError, NATIVE, Task, WASM};

use crate::kernels::PREFIX;

/// The user of the functions in the store.
pub const USER: &str = "polybench";

/// Builds of native programs: column, directory below the home, what it is, the command that makes it.
const NATIVE_BUILDS: [(&str, &str, &str, &str); 3] = [
    (
        NATIVE,
        "polybench_native/bin",
        "clang -O3 -march=native",
        "make polybench-native",
    ),
    (
        "native-o3",
        "polybench_native_o3/bin",
        "clang -O3, for any CPU of this architecture",
        "make polybench-native",
    ),
    (
        "native-debug",
        "polybench_native_debug/bin",
        "clang -O2 -g with frame pointers, to be profiled",
        "make polybench-native BUILD=Debug",
    ),
];
pub(crate) const MAKE_WASM: &str = "make compile FUNC_USER=polybench && make upload-all";

/// What columns need to know.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How long one run may take.
    pub timeout: Duration,
    /// Whether compiled code is announced to perf.
    pub profiling: Profiling,
}

/// Every column's name.
#[must_use]
pub fn names() -> Vec<String> {
    let native = NATIVE_BUILDS.iter().map(|build| build.0.to_owned());
    native.chain([WASM, WASM2C].map(str::to_owned)).collect()
}

/// The column `name`.
///
/// # Errors
/// There is none of this name, or its engine cannot be set up.
pub fn column(name: &str, setup: &Setup) -> Result<Box<dyn Column>, CompareError> {
    if let Some(build) = NATIVE_BUILDS.iter().find(|build| build.0 == name) {
        return Ok(Box::new(native(build, setup)));
    }
    if name == WASM {
        return wasm(WASM, None, setup);
    }
    if name == WASM2C {
        return wasm(WASM2C, Some(SecondEngine::find()), setup);
    }
    Err(CompareError::Usage(ids::unknown("column", name, &names())))
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

fn native(build: &(&str, &str, &'static str, &str), setup: &Setup) -> NativeColumn {
    let &(name, dir, what, mend) = build;
    let dir = home::root().join(dir);
    NativeColumn {
        name: name.to_owned(),
        summary: format!("{what}, a process of its own for each run, with an empty environment"),
        settings: flags(&dir),
        mend: mend.to_owned(),
        timeout: setup.timeout,
        curve: None,
        twin: None,
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
        // Kernels' names hold hyphens too: the longest one that the program's name begins with.
        let name = program.strip_prefix(PREFIX).unwrap_or(program);
        let kernel = crate::kernels::KERNELS
            .iter()
            .filter(|k| name == k.name || name.starts_with(&format!("{}-", k.name)))
            .max_by_key(|k| k.name.len());
        found.extend(kernel.map(|k| sources.join(format!("{}.c", k.name))));
    }
    found
}

fn wasm(
    name: &str,
    second_engine: Option<SecondEngine>,
    setup: &Setup,
) -> Result<Box<dyn Column>, CompareError> {
    let column = WasmColumn::new(WasmSetup {
        name: name.to_owned(),
        second_engine,
        store: Store::at(home::store()),
        settings: EngineSettings {
            profiling: setup.profiling,
            ..EngineSettings::default()
        },
        memory_limit_bytes: native_vs_wasm::columns::wasm::MEMORY_LIMIT_BYTES,
        timeout: setup.timeout,
        mend: MAKE_WASM.to_owned(),
        build_flags: flags(&home::root().join("wasm").join(USER)),
        curve: None,
        twin: None,
        hash_variable: None,
        words,
        locate: Box::new(locate),
    });
    let column = column.map_err(|e| CompareError::Unavailable(e.to_string()))?;
    Ok(Box::new(column))
}

fn locate(benchmark: &Benchmark) -> Result<WasmProgram, FunctionIdError> {
    Ok(WasmProgram {
        id: FunctionId::new(USER, &benchmark.name)?,
        grants: Grants::default(),
    })
}
