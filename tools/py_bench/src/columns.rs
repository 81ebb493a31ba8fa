//! The columns that Python can be compared in.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use faaslet::{DirGrant, EngineSettings, Grants, Profiling, Store};
use measure_core::base::home;
use measure_core::base::ids::{self, FunctionId};
use native_vs_wasm::columns::{
    EngineColumn, EngineSetup, Executable, NativeColumn, SecondEngine, WASM2C, WasmColumn,
    WasmProgram, WasmSetup,
};
use native_vs_wasm::engines::{Engines, Entry};
use native_vs_wasm::{About, Benchmark, Column, CompareError, NATIVE, Side, Task, WASM};

use crate::benchmarks::Benchmarks;
use crate::scratch::Scratch;

/// The user of the function in the store.
pub const USER: &str = "python";
/// The one function that all Python functions are: the interpreter.
pub const FUNCTION: &str = "py_func";

/// The Wasm interpreter optimised by a profile.
pub const WASM_PGO: &str = "wasm-pgo";
/// The native interpreter optimised at link time and by a profile.
pub const NATIVE_PGO: &str = "native-pgo";
/// Iterations that one interpreter makes at least, in columns that reuse it: fewer would show no steady state.
const REUSE_ITERATIONS: u32 = 20;
/// Ending of a column that runs all iterations in one interpreter.
pub const REUSE: &str = "-reuse";

/// The secret of string hashes, by which sets are ordered: each replicate has its own, the same on either side.
const HASH_VARIABLE: &str = "PYTHONHASHSEED";

const MAKE: &str = "make python";
const MAKE_COLUMNS: &str = "make python-columns";

/// A build of the interpreter.
struct Build {
    /// Follows the names of its executable, of its function in the store, and of the file of its flags.
    suffix: &'static str,
    /// The command that makes it, for messages.
    mend: &'static str,
}

/// The native column of the same build and the same use of its interpreter.
fn twin(column: &str) -> Option<String> {
    let build = column.strip_prefix("wasm-")?;
    let twin = format!("{NATIVE}-{build}");
    names().contains(&twin).then_some(twin)
}

fn build(column: &str) -> Build {
    let (suffix, mend) = match column {
        WASM_PGO | NATIVE_PGO => ("pgo", MAKE_COLUMNS),
        _ => ("", MAKE),
    };
    Build { suffix, mend }
}

impl Build {
    /// `stem` with the suffix, where there is one.
    fn named(&self, stem: &str, separator: char) -> String {
        if self.suffix.is_empty() {
            stem.to_owned()
        } else {
            format!("{stem}{separator}{}", self.suffix)
        }
    }

    /// What it was compiled with.
    fn flags(&self, side: &str) -> Vec<String> {
        let path = python().join(side).join(self.named("flags", '-'));
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// What columns need to know.
#[derive(Debug)]
pub(crate) struct Setup {
    /// How long one run may take.
    pub(crate) timeout: Duration,
    /// Whether compiled code is announced to perf.
    pub(crate) profiling: Profiling,
    /// Most memory of an interpreter.
    pub(crate) memory_limit_mib: u64,
    /// Where the scripts are.
    pub(crate) scripts: PathBuf,
    /// Where they may put temporary files; removed with the last column.
    pub(crate) scratch: Scratch,
    /// Other engines.
    pub(crate) engines: Engines,
}

/// Every column's name.
#[must_use]
pub fn names() -> Vec<String> {
    let plain = [NATIVE, WASM].map(str::to_owned);
    let reuse = [NATIVE, WASM].map(|side| format!("{side}{REUSE}"));
    plain
        .into_iter()
        .chain(reuse)
        .chain([WASM2C, WASM_PGO, NATIVE_PGO].map(str::to_owned))
        .collect()
}

/// The column `name`; one that reuses its interpreter runs `iterations` in it.
///
/// # Errors
/// There is none of this name, or its engine cannot be set up.
pub(crate) fn column(
    name: &str,
    setup: &Rc<Setup>,
    iterations: u32,
) -> Result<Box<dyn Column>, CompareError> {
    if let Some(entry) = setup.engines.entry(name) {
        return Ok(Box::new(engine(entry, setup)?));
    }
    if !names().iter().any(|known| known == name) {
        let known: Vec<String> = names().into_iter().chain(setup.engines.names()).collect();
        return Err(CompareError::Usage(ids::unknown("column", name, &known)));
    }
    let reuse = name
        .ends_with(REUSE)
        .then_some(iterations.max(REUSE_ITERATIONS));
    match Side::of_column(name) {
        Side::Native => Ok(Box::new(native(name, setup, reuse))),
        Side::Wasm => wasm(name, setup, reuse),
    }
}

/// The version of CPython, if both sides are there and have the same.
///
/// # Errors
/// One is missing, or they differ.
pub fn same_version() -> Result<String, CompareError> {
    let of = |side: &str| -> Result<String, CompareError> {
        let path = python().join(side).join("version");
        let text = fs::read_to_string(&path).map_err(|e| {
            CompareError::Unavailable(format!(
                "no interpreter: {}: {e}; `{MAKE}` builds it",
                path.display()
            ))
        })?;
        Ok(text.trim().to_owned())
    };
    let (native, wasm) = (of("native")?, of("wasi")?);
    if native != wasm {
        return Err(CompareError::Unavailable(format!(
            "the native interpreter is CPython {native}, the Wasm one {wasm}: no comparison of the two is fair; `{MAKE}` builds both from one source"
        )));
    }
    let library = python().join("native/lib");
    if !library.is_dir() {
        return Err(CompareError::Unavailable(format!(
            "the standard library is missing ({}); `{MAKE}` installs it",
            library.display()
        )));
    }
    Ok(native)
}

fn python() -> PathBuf {
    let path = home::root().join("python");
    path.canonicalize().unwrap_or(path)
}

fn words(task: Task) -> Vec<String> {
    match task {
        Task::Output | Task::Dump => vec!["--digest".to_owned()],
        Task::Time { repeats } => vec!["--time".to_owned(), repeats.to_string()],
        Task::Curve { iterations } => vec!["--curve".to_owned(), iterations.to_string()],
    }
}

/// What the interpreter is given on either side, after its own name.
fn arguments(setup: &Setup, benchmark: &Benchmark) -> Vec<String> {
    let script = Benchmarks::script(&setup.scripts, &benchmark.name);
    vec!["-S".to_owned(), script.display().to_string()]
}

/// The environment, the same on either side, but for what differs between replicates.
fn environment(setup: &Setup) -> Vec<(String, String)> {
    let python = python();
    let text = |path: &Path| path.display().to_string();
    [
        ("PYTHONHOME", text(&python.join("native"))),
        ("PYTHONPATH", text(&python.join("suite"))),
        ("PYTHONUTF8", "1".to_owned()),
        ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ("TMPDIR", text(setup.scratch.path())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn kind(reuse: Option<u32>) -> &'static str {
    if reuse.is_some() {
        "all iterations in one interpreter, each told, as many interpreters as an interval takes"
    } else {
        "a fresh interpreter for each iteration"
    }
}

fn about(name: &str, reuse: Option<u32>, settings: Vec<String>) -> About {
    About {
        name: name.to_owned(),
        settings,
        twin: twin(name),
        curve: reuse,
        ..About::default()
    }
}

fn native(name: &str, setup: &Rc<Setup>, reuse: Option<u32>) -> NativeColumn {
    let build = build(name);
    let path = python()
        .join("native/bin")
        .join(build.named("python3.13", '-'));
    let setup = setup.clone();
    NativeColumn {
        about: About {
            summary: format!("CPython in a process of its own, {}", kind(reuse)),
            ..about(name, reuse, build.flags("native"))
        },
        mend: build.mend.to_owned(),
        timeout: setup.timeout,
        hash_variable: Some(HASH_VARIABLE),
        words,
        locate: Box::new(move |benchmark| {
            let mut env = environment(&setup);
            env.push((
                "PYBENCH_MEMORY_MIB".to_owned(),
                setup.memory_limit_mib.to_string(),
            ));
            Executable {
                path: path.clone(),
                args: arguments(&setup, benchmark)
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                env,
                ..Executable::default()
            }
        }),
    }
}

fn wasm(
    name: &str,
    setup: &Rc<Setup>,
    reuse: Option<u32>,
) -> Result<Box<dyn Column>, CompareError> {
    let build = build(name);
    let id = FunctionId::new(USER, &build.named(FUNCTION, '_'))
        .map_err(|e| CompareError::failed(FUNCTION, e))?;
    let setup = setup.clone();
    let mut settings = build.flags("wasi");
    settings.push(kind(reuse).to_owned());
    let column = WasmColumn::new(WasmSetup {
        about: about(name, reuse, settings),
        second_engine: (name == WASM2C).then(SecondEngine::find),
        store: Store::at(home::store()),
        settings: EngineSettings {
            profiling: setup.profiling,
            ..EngineSettings::default()
        },
        memory_limit_bytes: setup.memory_limit_mib << 20,
        timeout: setup.timeout,
        mend: build.mend.to_owned(),
        hash_variable: Some(HASH_VARIABLE),
        words,
        locate: Box::new(move |benchmark| Ok(interpreter(&id, &setup, benchmark))),
    });
    let column = column.map_err(|e| CompareError::Unavailable(e.to_string()))?;
    Ok(Box::new(column))
}

/// The interpreter as a function, with what `benchmark` is given.
fn interpreter(id: &FunctionId, setup: &Setup, benchmark: &Benchmark) -> WasmProgram {
    let mut args = vec![FUNCTION.to_owned()];
    args.extend(arguments(setup, benchmark));
    WasmProgram {
        id: id.clone(),
        grants: Grants {
            args,
            env: environment(setup),
            dirs: directories(setup),
            ..Grants::default()
        },
    }
}

/// The module of column wasm under another engine.
fn engine(entry: &Entry, setup: &Rc<Setup>) -> Result<EngineColumn, CompareError> {
    let id = FunctionId::new(USER, FUNCTION).map_err(|e| CompareError::failed(FUNCTION, e))?;
    let build = build(WASM);
    let mut settings = build.flags("wasi");
    settings.push(kind(None).to_owned());
    let setup = setup.clone();
    Ok(EngineColumn::find(EngineSetup {
        entry: entry.clone(),
        settings,
        store: Store::at(home::store()),
        timeout: setup.timeout,
        mend: build.mend.to_owned(),
        hash_variable: Some(HASH_VARIABLE),
        words,
        locate: Box::new(move |benchmark| Ok(interpreter(&id, &setup, benchmark))),
    }))
}

/// Under the same names as outside, so that both sides see the same paths.
fn directories(setup: &Setup) -> Vec<DirGrant> {
    let python = python();
    [
        (python.join("native/lib"), false),
        (python.join("suite"), false),
        (setup.scripts.clone(), false),
        (setup.scratch.path().to_owned(), true),
    ]
    .map(|(host, writable)| DirGrant {
        guest: host.display().to_string(),
        host,
        writable,
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_held_against_what_shares_its_build() {
        for (column, against) in [
            (WASM_PGO, Some(NATIVE_PGO)),
            ("wasm-reuse", Some("native-reuse")),
            (WASM, None),
            (WASM2C, None),
            (NATIVE_PGO, None),
        ] {
            assert_eq!(twin(column).as_deref(), against, "{column}");
        }
    }

    #[test]
    fn every_column_names_its_own_build_and_what_makes_it() {
        for (column, function, executable, mend) in [
            (WASM, "py_func", "python3.13", MAKE),
            (WASM_PGO, "py_func_pgo", "python3.13-pgo", MAKE_COLUMNS),
            (NATIVE_PGO, "py_func_pgo", "python3.13-pgo", MAKE_COLUMNS),
            ("native-reuse", "py_func", "python3.13", MAKE),
        ] {
            let build = build(column);
            assert_eq!(build.named(FUNCTION, '_'), function, "{column}");
            assert_eq!(build.named("python3.13", '-'), executable, "{column}");
            assert_eq!(build.mend, mend, "{column}");
        }
    }
}
