//! The command line that `poly_bench` and `py_bench` share, and what each adds to it.

use std::path::PathBuf;

use measure_core::base::exit::{Exit, after_help};
use structopt::clap::AppSettings;
use structopt::{StructOpt, StructOptInternal};

use crate::again;
use crate::column::{Benchmark, MakeColumn, NATIVE, Task, WASM, output_of};
use crate::columns::replicate;
use crate::compare_runs::{self, CompareOptions};
use crate::comparison::ComparisonInfo;
use crate::engines::Engines;
use crate::error::CompareError;
use crate::options::{CommonOptions, iterations};
use crate::output::say;
use crate::session;
use crate::suite::{Compare, Lack, Suite, entries};

/// What tells one tool from the other. Its fields are the options that only it has.
pub trait Tool: StructOpt + StructOptInternal + 'static {
    /// The executable.
    const NAME: &'static str;
    /// For `--help`: what it does, in a sentence.
    const ABOUT: &'static str;
    /// For `--help`: the command lines there are.
    const USAGE: &'static str;
    /// For `--help`: some of them, and what a reader should know.
    const EXAMPLES: &'static str;
    /// A command line for who forgot half of it.
    const EXAMPLE: &'static str;
    /// `polybench`, `pybench`: the stem of file names.
    const SUITE: &'static str;
    /// The user of the functions in the store.
    const USER: &'static str;
    /// For headings.
    const TITLE: &'static str;
    /// What a reader should know of the numbers, in sentences.
    const NOTES: &'static [&'static str];
    /// Native builds of the same programs: the fastest is what a benchmark's other columns are held against.
    const BUILDS: &'static [&'static str] = &[];
    /// Whether the programs have a clock of their own.
    const OWN_CLOCK: bool = true;
    /// What `dump` has a program do.
    const DUMP: Task;
    /// Runs of each column, and seconds, that `quick` takes.
    const QUICK: (u32, u64);
    /// Says how far what two columns computed agrees.
    const COMPARE: Compare;

    /// Prints what benchmarks there are.
    ///
    /// # Errors
    /// They cannot be found or printed, or a file of engines is wrong.
    fn list(&self, common: &CommonOptions) -> Result<Exit, CompareError>;

    /// The benchmarks that `text` means, or those of `quick`.
    ///
    /// # Errors
    /// There are none of that name.
    fn benchmarks(&self, text: Option<&str>) -> Result<Vec<Benchmark>, CompareError>;

    /// What makes columns.
    ///
    /// # Errors
    /// An option is out of range, or something that every column needs is missing.
    fn columns(&self, common: &CommonOptions) -> Result<MakeColumn, CompareError>;

    /// The columns that are compared without being asked for.
    fn headline(&self) -> Vec<String> {
        [NATIVE, WASM].map(str::to_owned).into()
    }

    /// Whether of [`Tool::BUILDS`] only a benchmark's fastest is timed.
    fn best_build_only(&self) -> bool {
        false
    }

    /// Builds what is `lacking`, if it can; what it cannot build stays lacking, and is told.
    ///
    /// # Errors
    /// Building failed.
    fn build(&self, _lacking: &[Lack<'_>]) -> Result<(), CompareError> {
        Ok(())
    }

    /// Says what is to come, or why it cannot.
    ///
    /// # Errors
    /// The two sides are not to be compared.
    fn announce(&self, _native: u32, _wasm: u32) -> Result<(), CompareError> {
        Ok(())
    }
}

/// The command line of the tool `T`.
#[derive(Debug, StructOpt)]
#[structopt(
    name = T::NAME,
    about = T::ABOUT,
    settings = &[
        AppSettings::ArgsNegateSubcommands,
        // Else what is nearly a command (`ludcmp`, `dump`) is told to be one.
        AppSettings::InferSubcommands,
        AppSettings::DeriveDisplayOrder,
    ],
    usage = T::USAGE,
    after_help = after_help(T::EXAMPLES)
)]
pub struct Options<T: Tool> {
    /// A benchmark (`list` names them), or `all`
    #[structopt(name = "BENCHMARK")]
    benchmark: Option<String>,
    /// Native runs of each benchmark, each in a process of its own; 0 leaves that side out
    #[structopt(name = "NATIVE", parse(try_from_str = iterations))]
    native: Option<u32>,
    /// Wasm runs of each benchmark; 0 leaves that side out
    #[structopt(name = "WASM", parse(try_from_str = iterations))]
    wasm: Option<u32>,
    #[structopt(flatten)]
    tool: T,
    #[structopt(flatten)]
    common: CommonOptions,
    #[structopt(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, StructOpt)]
enum Command {
    /// Lists the benchmarks, what they do, and what of them can run
    List,
    /// Runs a benchmark once and prints what it computes, or how it fails
    Dump {
        /// The benchmark
        #[structopt(name = "BENCHMARK")]
        benchmark: String,
        /// native, wasm or another column
        #[structopt(name = "COLUMN")]
        column: String,
    },
    /// What tells most, in less than three minutes
    Quick,
    /// One run of a Wasm program: what the tool starts for each
    #[structopt(setting = AppSettings::Hidden)]
    Replicate {
        /// What is to run
        #[structopt(name = "JSON")]
        what: String,
    },
    /// Holds a second run against a first, row by row: faster, slower, no difference, cannot tell
    Compare(CompareOptions),
    /// Prints the JSON Schema of comparison.json; `runtime_bench schema` has those of the other records
    Schema,
    /// Makes the tables and plots of a run again, from its records alone
    Report {
        /// The run's directory, for example results/latest
        #[structopt(name = "DIR", parse(from_os_str))]
        dir: PathBuf,
    },
}

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run<T: Tool>(options: &Options<T>) -> Result<Exit, CompareError> {
    let Options { tool, common, .. } = options;
    match &options.command {
        Some(Command::List) => tool.list(common),
        Some(Command::Dump { benchmark, column }) => dump(options, benchmark, column),
        Some(Command::Compare(options)) => compare_runs::run(options),
        Some(Command::Replicate { what }) => replicate::run(what),
        Some(Command::Report { dir }) => session::report(dir, common),
        Some(Command::Schema) => schema(),
        Some(Command::Quick) => {
            let (runs, seconds) = T::QUICK;
            compare(tool, None, (runs, runs), &common.within(seconds))
        }
        None => {
            let (Some(benchmark), Some(native), Some(wasm)) =
                (&options.benchmark, options.native, options.wasm)
            else {
                return Err(CompareError::Usage(format!(
                    "it takes a benchmark or `all`, the native and the Wasm iterations, as in `{}`; see {} --help",
                    T::EXAMPLE,
                    T::NAME
                )));
            };
            compare(tool, Some(benchmark), (native, wasm), common)
        }
    }
}

fn compare<T: Tool>(
    tool: &T,
    benchmark: Option<&str>,
    (native, wasm): (u32, u32),
    common: &CommonOptions,
) -> Result<Exit, CompareError> {
    CommonOptions::iterations(native, wasm)?;
    let benchmarks = tool.benchmarks(benchmark)?;
    tool.announce(native, wasm)?;
    let make = tool.columns(common)?;
    let engines = Engines::load(common.engines.as_deref())?;
    let mut absent = Vec::new();
    let columns = match common.pairs()? {
        Some(pairs) => {
            let (name, iterations) = if native > 0 {
                (NATIVE, native)
            } else {
                (WASM, wasm)
            };
            again::entries(name, iterations, pairs, &make)?
        }
        None => {
            let own = if common.columns.is_empty() {
                let builds = T::BUILDS.iter().map(ToString::to_string);
                builds.chain(tool.headline()).collect()
            } else {
                common.columns.clone()
            };
            let names: Vec<String> = own.into_iter().chain(common.also.clone()).collect();
            let (names, left_out) = engines.expand(&names);
            absent = left_out;
            entries(names, (native, wasm), make)?
        }
    };
    let suite = Suite {
        name: T::SUITE,
        user: T::USER,
        title: T::TITLE,
        benchmarks,
        columns,
        builds: if common.aa.is_some() { &[] } else { T::BUILDS },
        // `quick` has time for no more.
        best_build_only: benchmark.is_none() || tool.best_build_only(),
        own_clock: T::OWN_CLOCK,
        aa: common.aa.is_some(),
        compare: T::COMPARE,
        notes: T::NOTES
            .iter()
            .map(ToString::to_string)
            .chain(absent)
            .collect(),
    };
    let lacking = suite.lacking();
    if !lacking.is_empty() {
        tool.build(&lacking)?;
    }
    session::run(&suite, common)
}

fn schema() -> Result<Exit, CompareError> {
    let schema = schemars::schema_for!(ComparisonInfo);
    // Plain data with string keys always serialises.
    say(serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n")?;
    Ok(Exit::Ok)
}

fn dump<T: Tool>(
    options: &Options<T>,
    benchmark: &str,
    column: &str,
) -> Result<Exit, CompareError> {
    let benchmarks = options.tool.benchmarks(Some(benchmark))?;
    let column = (options.tool.columns(&options.common)?)(column, 1)?;
    for benchmark in &benchmarks {
        say(&output_of(column.as_ref(), benchmark, T::DUMP)?)?;
    }
    Ok(Exit::Ok)
}
