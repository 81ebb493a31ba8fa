//! The Python Performance Benchmark Suite on one CPython, native against Wasm.
//!
//! A thin user of `native-vs-wasm`: a benchmark is a `bench_*.py`, a column an interpreter that runs it. What
//! they compute is compared by the digest that each prints of itself (`pybench-src/digest.py`).

pub mod benchmarks;
pub mod columns;
mod list;
mod scratch;

use std::rc::Rc;

use measure_core::base::exit::Exit;
use measure_core::base::range::in_range;
use native_vs_wasm::engines::Engines;
use native_vs_wasm::tool::{self, Tool};
use native_vs_wasm::{
    Benchmark, CommonOptions, Compare, CompareError, Disagreement, MakeColumn, NATIVE, Task, WASM,
    say,
};
use structopt::StructOpt;

use benchmarks::Benchmarks;
use columns::{REUSE, Setup};
use scratch::Scratch;

const EXAMPLES: &str = "\
EXAMPLES:
    py_bench bench_float.py 200 200
    py_bench all 5 5                                (half an hour)
    py_bench all 3 3 --also wasm-wasm2c             (by LLVM too, after make wasm2c; 45 minutes)
    py_bench quick --also engines                   (other engines' command lines; `list` names them)
    py_bench nbody 10 10 --reuse                    (also: interpreters that live on, iteration by iteration)
    py_bench richards 0 5 --profile perfmap         (nothing but Wasm, to be profiled)
    py_bench dump nbody wasm                        (its digest, or its traceback)
    py_bench report results/latest
    py_bench compare results/A results/B --fail-on slower

    Benchmarks may be written with or without bench_ and .py. In the CSV the full name stands: bench_float.
    FAASM_BENCH_HOME is where interpreters and store are [default: build/ of the checkout].
";

const USAGE: &str = "\
py_bench <BENCHMARK|all> <NATIVE> <WASM> [OPTIONS]
    py_bench list | dump <BENCHMARK> <COLUMN> | quick | report <DIR> | compare <A> <B>  [OPTIONS]";

/// What `quick` runs: arithmetic, attributes and calls, big integers, C code, text.
const QUICK: [&str; 6] = [
    "float",
    "json_loads",
    "nbody",
    "pidigits",
    "regex_v8",
    "richards",
];

// The options that only this tool has.
// Not a doc comment: that of what is flattened would be the tool's own in --help.
#[derive(Debug, StructOpt)]
pub struct Python {
    /// Add a column per side whose interpreters live on, at least 20 iterations each: native-reuse and wasm-reuse
    #[structopt(long, global = true)]
    reuse: bool,
    /// Most memory that an interpreter may have, in MiB, on either side
    #[structopt(long, value_name = "MIB", default_value = "4096", global = true)]
    memory_limit: u64,
}

/// The command line.
pub type Options = tool::Options<Python>;

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(options: &Options) -> Result<Exit, CompareError> {
    tool::run(options)
}

impl Tool for Python {
    const NAME: &'static str = "py_bench";
    const ABOUT: &'static str = "Runs the Python Performance Benchmark Suite on one CPython, natively and as WebAssembly, interleaved, after comparing what both compute";
    const USAGE: &'static str = USAGE;
    const EXAMPLES: &'static str = EXAMPLES;
    const EXAMPLE: &'static str = "py_bench float 5 5";
    const SUITE: &'static str = "pybench";
    const USER: &'static str = columns::USER;
    const TITLE: &'static str = "Python Performance Benchmark Suite: Wasm against native";
    const NOTES: &'static [&'static str] = &[
        "An iteration is the benchmark's inner loop, with the same number of calls on both sides, in a fresh interpreter after one unrecorded warm-up; the whole run is that interpreter from asked for to nothing left of it.",
        "Before it is timed, both sides run each benchmark once and print a digest of its results and of what its Python functions return.",
    ];
    const DUMP: Task = Task::Output;
    const QUICK: (u32, u64) = (7, 120);
    const COMPARE: Compare = |_, reference, other| same_digest(reference, other);

    fn list(&self, common: &CommonOptions) -> Result<Exit, CompareError> {
        let engines = Engines::load(common.engines.as_deref())?;
        list::list(&Benchmarks::find()?, &engines)
    }

    fn benchmarks(&self, text: Option<&str>) -> Result<Vec<Benchmark>, CompareError> {
        let known = Benchmarks::find()?;
        let texts = text.map_or(QUICK.to_vec(), |text| vec![text]);
        let mut chosen = Vec::new();
        for text in texts {
            chosen.extend(known.select(text)?);
        }
        let benchmark = |name| Benchmark {
            name,
            group: String::new(),
        };
        Ok(chosen.into_iter().map(benchmark).collect())
    }

    fn columns(&self, common: &CommonOptions) -> Result<MakeColumn, CompareError> {
        in_range("--memory-limit", self.memory_limit, 16..=4096)
            .map_err(|e| CompareError::Usage(e.in_unit("MiB").to_string()))?;
        let setup = Rc::new(Setup {
            timeout: common.timeout()?,
            profiling: common.profiling()?,
            memory_limit_mib: self.memory_limit,
            scripts: Benchmarks::find()?.dir().to_owned(),
            scratch: Scratch::make()?,
            engines: Engines::load(common.engines.as_deref())?,
        });
        Ok(Box::new(move |name, iterations| {
            columns::column(name, &setup, iterations)
        }))
    }

    fn headline(&self) -> Vec<String> {
        let plain = [NATIVE, WASM].map(str::to_owned);
        let reuse = [NATIVE, WASM].map(|side| format!("{side}{REUSE}"));
        plain
            .into_iter()
            .chain(reuse.into_iter().filter(|_| self.reuse))
            .collect()
    }

    fn announce(&self, native: u32, wasm: u32) -> Result<(), CompareError> {
        columns::same_version()?;
        say(format!(
            "native iterations: {native}, Wasm iterations: {wasm}\n"
        ))
    }
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
