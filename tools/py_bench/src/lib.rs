//! The Python Performance Benchmark Suite on one CPython, native against Wasm.
//!
//! A thin user of `native-vs-wasm`: a benchmark is a `bench_*.py`, a column an interpreter that runs it. What
//! they compute is compared by the digest that each prints of itself (`pybench-src/digest.py`).

pub mod benchmarks;
pub mod columns;
mod list;
mod scratch;

use std::path::PathBuf;

use measure_core::base::exit::{Exit, after_help};
use native_vs_wasm::{
    Benchmark, CommonOptions, CompareError, Disagreement, Entry, NATIVE, Suite, Task, WASM,
    output_of, say,
};
use structopt::StructOpt;
use structopt::clap::AppSettings;

use benchmarks::Benchmarks;
use columns::{REUSE, Setup};
use scratch::Scratch;

const EXAMPLES: &str = "\
EXAMPLES:
    py_bench bench_float.py 200 200
    py_bench all 5 5                                (half an hour)
    py_bench all 3 3 --also wasm-wasm2c             (by LLVM too, after make wasm2c; 45 minutes)
    py_bench nbody 10 10 --reuse                    (also: all iterations in one interpreter)
    py_bench richards 0 5 --profile perfmap         (nothing but Wasm, to be profiled)
    py_bench dump nbody wasm                        (its digest, or its traceback)
    py_bench report results/latest

    Benchmarks may be written with or without bench_ and .py. In the CSV the full name stands: bench_float.
    FAASM_BENCH_HOME is where interpreters and store are [default: build/ of the checkout].
";

const USAGE: &str = "\
py_bench <BENCHMARK|all> <NATIVE> <WASM> [OPTIONS]
    py_bench list | dump <BENCHMARK> <COLUMN> | quick | report <DIR>  [OPTIONS]";

/// Runs the Python Performance Benchmark Suite on one CPython, natively and as WebAssembly, interleaved, after
/// comparing what both compute
#[derive(Debug, StructOpt)]
#[structopt(
    name = "py_bench",
    settings = &[
        AppSettings::ArgsNegateSubcommands,
        AppSettings::DeriveDisplayOrder,
    ],
    usage = USAGE,
    after_help = after_help(EXAMPLES)
)]
pub struct Options {
    /// A benchmark (`py_bench list` names them), or `all`
    #[structopt(name = "BENCHMARK")]
    benchmark: Option<String>,
    /// Native iterations of each benchmark, each in a fresh interpreter; 0 leaves that side out
    #[structopt(name = "NATIVE", parse(try_from_str = native_vs_wasm::iterations))]
    native: Option<u32>,
    /// Wasm iterations of each benchmark, each in a fresh interpreter; 0 leaves that side out
    #[structopt(name = "WASM", parse(try_from_str = native_vs_wasm::iterations))]
    wasm: Option<u32>,
    /// Add a row per side that runs all its iterations in one interpreter: columns native-reuse and wasm-reuse
    #[structopt(long, global = true)]
    reuse: bool,
    /// Most memory that an interpreter may have, in MiB, on either side
    #[structopt(long, value_name = "MIB", default_value = "4096", global = true)]
    memory_limit: u64,
    #[structopt(flatten)]
    common: CommonOptions,
    #[structopt(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, StructOpt)]
enum Command {
    /// Lists the benchmarks, what they do, and why some of the suite are not run
    List,
    /// Runs a benchmark once and prints the digest of what it computes, or its traceback
    Dump {
        /// The benchmark
        #[structopt(name = "BENCHMARK")]
        benchmark: String,
        /// native or wasm
        #[structopt(name = "COLUMN")]
        column: String,
    },
    /// Six benchmarks in less than three minutes
    Quick,
    /// Makes the tables and plots of a run again, from its records alone
    Report {
        /// The run's directory, for example results/latest
        #[structopt(name = "DIR", parse(from_os_str))]
        dir: PathBuf,
    },
}

/// What `quick` runs: arithmetic, attributes and calls, big integers, C code, text.
const QUICK: [&str; 6] = [
    "float",
    "json_loads",
    "nbody",
    "pidigits",
    "regex_v8",
    "richards",
];
const QUICK_ITERATIONS: u32 = 7;
const QUICK_SECONDS: u64 = 120;

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(options: &Options) -> Result<Exit, CompareError> {
    match &options.command {
        Some(Command::List) => list::list(&Benchmarks::find()?),
        Some(Command::Dump { benchmark, column }) => dump(options, benchmark, column),
        Some(Command::Report { dir }) => native_vs_wasm::report(dir),
        Some(Command::Quick) => {
            let common = options.common.within(QUICK_SECONDS);
            let known = Benchmarks::find()?;
            let mut chosen = Vec::new();
            for name in QUICK {
                chosen.extend(known.select(name)?);
            }
            compare(
                options,
                &known,
                &chosen,
                (QUICK_ITERATIONS, QUICK_ITERATIONS),
                &common,
            )
        }
        None => {
            let (Some(benchmark), Some(native), Some(wasm)) =
                (&options.benchmark, options.native, options.wasm)
            else {
                return Err(CompareError::Usage(
                    "it takes a benchmark or `all`, the native and the Wasm iterations, as in `py_bench float 5 5`; see py_bench --help".into(),
                ));
            };
            let known = Benchmarks::find()?;
            let chosen = known.select(benchmark)?;
            compare(options, &known, &chosen, (native, wasm), &options.common)
        }
    }
}

fn compare(
    options: &Options,
    known: &Benchmarks,
    chosen: &[String],
    (native, wasm): (u32, u32),
    common: &CommonOptions,
) -> Result<Exit, CompareError> {
    CommonOptions::iterations(native, wasm)?;
    columns::same_version()?;
    say(format!(
        "native iterations: {native}, Wasm iterations: {wasm}\n"
    ))?;
    let scratch = Scratch::make()?;
    let setup = setup(options, common, known, &scratch)?;
    let benchmarks = chosen.iter().map(|name| Benchmark {
        name: name.clone(),
        group: String::new(),
    });
    let suite = Suite {
        name: "pybench",
        user: columns::USER,
        title: "Python Performance Benchmark Suite: Wasm against native",
        benchmarks: benchmarks.collect(),
        columns: entries(options, common, (native, wasm), &setup)?,
        compare: &|_, reference, other| same_digest(reference, other),
        notes: vec![
            "An iteration is the benchmark's inner loop, with the same number of calls on both sides, in a fresh interpreter after one unrecorded warm-up; the whole run is that interpreter from asked for to nothing left of it.".into(),
            "Before it is timed, both sides run each benchmark once and print a digest of its results and of what its Python functions return.".into(),
        ],
    };
    native_vs_wasm::run(&suite, common)
}

fn setup<'a>(
    options: &Options,
    common: &CommonOptions,
    known: &'a Benchmarks,
    scratch: &'a Scratch,
) -> Result<Setup<'a>, CompareError> {
    if !(16..=4096).contains(&options.memory_limit) {
        return Err(CompareError::Usage(format!(
            "--memory-limit is {}, it must be 16 to 4096 (MiB)",
            options.memory_limit
        )));
    }
    Ok(Setup {
        timeout: common.timeout()?,
        profiling: common.profiling()?,
        memory_limit_mib: options.memory_limit,
        scripts: known.dir(),
        scratch: scratch.path(),
    })
}

/// The headline pair and the further columns, without those that have no iterations.
fn entries<'a>(
    options: &Options,
    common: &CommonOptions,
    iterations: (u32, u32),
    setup: &Setup<'a>,
) -> Result<Vec<Entry<'a>>, CompareError> {
    let mut names = vec![NATIVE.to_owned(), WASM.to_owned()];
    if options.reuse {
        names.extend([NATIVE, WASM].map(|side| format!("{side}{REUSE}")));
    }
    names.extend(common.also.iter().cloned());
    let mut entries = native_vs_wasm::entries(names, iterations, |name, iterations| {
        columns::column(name, setup, iterations)
    })?;
    for entry in &mut entries {
        // One interpreter that runs them all.
        if entry.column.name().ends_with(REUSE) {
            entry.iterations = 1;
        }
    }
    Ok(entries)
}

/// Both sides print `digest <sum> of <n> values`.
fn same_digest(reference: &[u8], other: &[u8]) -> Result<String, Disagreement> {
    let line = |output: &[u8]| {
        let text = String::from_utf8_lossy(output);
        let line: String = text.trim().chars().take(80).collect();
        line.escape_debug().to_string()
    };
    let (reference, other) = (line(reference), line(other));
    if !reference.starts_with("digest ") {
        return Err(Disagreement(format!(
            "has nothing to agree with: the reference wrote `{reference}`"
        )));
    }
    if reference == other {
        Ok(format!("has the same {reference}"))
    } else {
        Err(Disagreement(format!(
            "wrote `{other}` where the reference wrote `{reference}`"
        )))
    }
}

fn dump(options: &Options, benchmark: &str, column: &str) -> Result<Exit, CompareError> {
    let known = Benchmarks::find()?;
    let scratch = Scratch::make()?;
    let setup = setup(options, &options.common, &known, &scratch)?;
    let column = columns::column(column, &setup, 1)?;
    for name in known.select(benchmark)? {
        let benchmark = Benchmark {
            name,
            group: String::new(),
        };
        say(&output_of(column.as_ref(), &benchmark, Task::Output)?)?;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_agree_or_are_told_apart() {
        let one: &[u8] = b"digest 0123456789abcdef of 12 values\n";
        let other: &[u8] = b"digest 0123456789abcdee of 12 values\n";
        assert!(same_digest(one, one).expect("the same").contains("of 12"));
        assert!(
            same_digest(one, other)
                .expect_err("others")
                .to_string()
                .contains("cdee")
        );
        assert!(same_digest(b"", b"").is_err());
        assert!(same_digest(b"12345\n", b"12345\n").is_err());
    }
}
