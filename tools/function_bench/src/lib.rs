//! A function that somebody brought (`runtime_bench add`), native against Wasm. It has no clock of its own: what is compared is its
//! run, from loaded to its end.

use std::ffi::OsString;
use std::path::PathBuf;

use faaslet::{EngineSettings, Store};
use measure_core::base::exit::Exit;
use measure_core::base::home;
use measure_core::base::ids::{FunctionId, FunctionIdError};
use measure_core::contract::function::FunctionFile;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::native_command::NativeCommand;
use measure_core::driver_kit::output_dir;
use measure_core::driver_kit::stored_function::StoredFunction;
use native_vs_wasm::columns::wasm::MEMORY_LIMIT_BYTES;
use native_vs_wasm::columns::{
    Executable, NativeColumn, SecondEngine, WASM2C, WasmColumn, WasmProgram, WasmSetup, WholeRun,
};
use native_vs_wasm::tool::{self, Tool};
use native_vs_wasm::{
    About, Benchmark, Column, CommonOptions, Compare, CompareError, Disagreement, MakeColumn,
    NATIVE, Task, WASM, say,
};
use structopt::StructOpt;

const EXAMPLES: &str = "\
EXAMPLES:
    function_bench mine/hello 10 10
    function_bench mine/hello 10 10 --also wasm-wasm2c
    function_bench report results/latest

    `runtime_bench add` brings functions, `runtime_bench list` names them; `runtime_bench compute` compares what both sides
    answer and then runs this.
";
const USAGE: &str = "\
function_bench <USER/NAME> <NATIVE> <WASM> [OPTIONS]
    function_bench list | dump <USER/NAME> <COLUMN> | report <DIR> | compare <A> <B>  [OPTIONS]";
const MEND: &str = "runtime_bench add";

// The options that only this tool has: none.
// Not a doc comment: that of what is flattened would be the tool's own in --help.
#[derive(Debug, StructOpt)]
pub struct FunctionBench {}

/// The command line.
pub type Options = tool::Options<FunctionBench>;

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(options: &Options) -> Result<Exit, CompareError> {
    let done = tool::run(options);
    output_dir::remove();
    done
}

impl Tool for FunctionBench {
    const NAME: &'static str = "function_bench";
    const ABOUT: &'static str = "Times a function of yours natively and as WebAssembly, interleaved, after comparing what both print";
    const USAGE: &'static str = USAGE;
    const EXAMPLES: &'static str = EXAMPLES;
    const EXAMPLE: &'static str = "function_bench mine/hello 10 10";
    const SUITE: &'static str = "function";
    const USER: &'static str = "";
    const TITLE: &'static str = "A function: Wasm against native";
    const NOTES: &'static [&'static str] = &[
        "The function has no clock of its own. In place of a kernel's time stands that of its run: natively from loaded to its end known, C library and exit included, of Wasm its _start.",
    ];
    const OWN_CLOCK: bool = false;
    const DUMP: Task = Task::Output;
    const QUICK: (u32, u64) = (11, 60);
    const COMPARE: Compare = same;

    fn list(&self, _common: &CommonOptions) -> Result<Exit, CompareError> {
        let store = Store::at(home::store());
        let known = store
            .list()
            .map_err(|e| CompareError::Unavailable(e.to_string()))?;
        for id in known {
            if stored(&id)?.is_some() {
                say(format!("{id}\n").as_bytes())?;
            }
        }
        Ok(Exit::Ok)
    }

    fn benchmarks(&self, text: Option<&str>) -> Result<Vec<Benchmark>, CompareError> {
        let text = text.ok_or_else(|| CompareError::Usage(format!("which function? {USAGE}")))?;
        let id = text
            .parse()
            .map_err(|e: FunctionIdError| CompareError::Usage(e.to_string()))?;
        if stored(&id)?.is_none() {
            return Err(CompareError::Usage(format!(
                "nobody brought a function {id}; `{MEND}` does, `runtime_bench list` names those there are"
            )));
        }
        Ok(vec![Benchmark {
            name: id.to_string(),
            group: String::new(),
        }])
    }

    fn columns(&self, common: &CommonOptions) -> Result<MakeColumn, CompareError> {
        let (timeout, profiling) = (common.timeout()?, common.profiling()?);
        Ok(Box::new(move |name, _| {
            let column: Box<dyn Column> = match name {
                NATIVE => Box::new(native(timeout)),
                WASM | WASM2C => {
                    let second = (name == WASM2C).then(SecondEngine::find);
                    Box::new(wasm(name, second, timeout, profiling)?)
                }
                _ => {
                    let known = [NATIVE, WASM, WASM2C].map(str::to_owned);
                    let message = measure_core::base::ids::unknown("column", name, &known);
                    return Err(CompareError::Usage(message));
                }
            };
            Ok(Box::new(WholeRun::new(column)))
        }))
    }
}

fn stored(id: &FunctionId) -> Result<Option<StoredFunction>, CompareError> {
    let dir = home::store().join(id.user()).join(id.function());
    StoredFunction::read(&dir).map_err(|e| CompareError::Usage(e.to_string()))
}

fn same(benchmark: &Benchmark, reference: &[u8], other: &[u8]) -> Result<String, Disagreement> {
    if reference == other {
        return Ok("prints the same".to_owned());
    }
    let file = benchmark
        .name
        .parse()
        .ok()
        .and_then(|id| stored(&id).ok().flatten());
    let varies = |file: &FunctionFile| !file.varies.is_empty();
    match file {
        Some(stored) if varies(&stored.file) => {
            Ok("prints what varies by nature, as its function.toml says".to_owned())
        }
        _ => Err(Disagreement(format!(
            "prints {} bytes that are not the native {}",
            other.len(),
            reference.len()
        ))),
    }
}

fn native(timeout: std::time::Duration) -> NativeColumn {
    NativeColumn {
        about: About {
            name: NATIVE.to_owned(),
            summary: "the native side as it was brought, a process of its own for each run, with nothing but its own environment".to_owned(),
            ..About::default()
        },
        mend: MEND.to_owned(),
        timeout,
        hash_variable: None,
        words: |_| Vec::new(),
        // One without a native side is told by its path, which is not there.
        locate: Box::new(|benchmark| executable(&benchmark.name).unwrap_or_default()),
    }
}

/// What is executed natively, and with what.
fn executable(name: &str) -> Result<Executable, DriverError> {
    let dir = std::path::absolute(home::store().join(name)).unwrap_or_default();
    let missing = Executable {
        path: dir.join("native"),
        ..Executable::default()
    };
    let Some(stored) = StoredFunction::read(&dir)? else {
        return Ok(missing);
    };
    stored.require_program("it is timed from its start to its end")?;
    let given = stored.given_on_host(None)?;
    let mut words = match NativeCommand::read(&dir)? {
        None => vec![missing.path.to_string_lossy().into_owned()],
        Some(command) => command.at(&home::root().to_string_lossy(), &dir.to_string_lossy()),
    };
    let path = PathBuf::from(words.remove(0));
    Ok(Executable {
        path,
        args: words
            .into_iter()
            .chain(given.args)
            .map(OsString::from)
            .collect(),
        env: given.env,
        stdin: stored.file.stdin.as_ref().map(|stdin| dir.join(stdin)),
        sources: Vec::new(),
    })
}

fn wasm(
    name: &str,
    second_engine: Option<SecondEngine>,
    timeout: std::time::Duration,
    profiling: faaslet::Profiling,
) -> Result<WasmColumn, CompareError> {
    let setup = WasmSetup {
        about: About {
            name: name.to_owned(),
            ..About::default()
        },
        second_engine,
        store: Store::at(home::store()),
        settings: EngineSettings {
            profiling,
            ..EngineSettings::default()
        },
        memory_limit_bytes: MEMORY_LIMIT_BYTES,
        timeout,
        mend: MEND.to_owned(),
        hash_variable: None,
        words: |_| Vec::new(),
        locate: Box::new(|benchmark| {
            let id: FunctionId = benchmark.name.parse()?;
            // What is wrong with it is said when its code is loaded.
            let grants = Store::at(home::store()).grants(&id).unwrap_or_default();
            Ok(WasmProgram { id, grants })
        }),
    };
    WasmColumn::new(setup).map_err(|e| CompareError::Unavailable(e.to_string()))
}
