//! PolyBench/C, native against Wasm.

pub mod arrays;
pub mod columns;
mod gramschmidt;
pub mod kernels;
mod list;

use std::path::PathBuf;

use measure_core::base::exit::{Exit, after_help};
use native_vs_wasm::{
    Benchmark, CommonOptions, CompareError, NATIVE, Suite, Task, WASM, entries, output_of, say,
};
use structopt::StructOpt;
use structopt::clap::AppSettings;

use columns::Setup;
use kernels::{Dataset, ElementChoice};

const EXAMPLES: &str = "\
EXAMPLES:
    poly_bench all 5 5                                  (LARGE: some 40 minutes)
    poly_bench all 10 10 --dataset small,medium --budget 150
    poly_bench 3mm 5 5 --also native-o3
    poly_bench all 5 5 --dataset medium --also wasm-wasm2c   (a second engine; `make wasm2c` installs it)
    poly_bench poly_ludcmp 0 5 --profile jitdump        (nothing but Wasm, to be profiled)
    poly_bench dump 3mm wasm --dataset small --type double
    poly_bench report results/latest

    Kernels may be written with or without poly_. In the CSV and in the store the full name stands:
    poly_<kernel>[-<dataset>][-<type>], where the dataset LARGE and a kernel's own type are left out.
    FAASM_BENCH_HOME is where programs and store are [default: build/ of the checkout].
";

const USAGE: &str = "\
poly_bench <BENCHMARK|all> <NATIVE> <WASM> [OPTIONS]
    poly_bench list | dump <BENCHMARK> <COLUMN> | quick | report <DIR>  [OPTIONS]";

/// Times the kernels of PolyBench/C natively and as WebAssembly, interleaved, after comparing what both
/// compute
#[derive(Debug, StructOpt)]
#[structopt(
    name = "poly_bench",
    settings = &[
        AppSettings::ArgsNegateSubcommands,
        AppSettings::DeriveDisplayOrder,
    ],
    usage = USAGE,
    after_help = after_help(EXAMPLES)
)]
pub struct Options {
    /// A kernel (`poly_bench list` names them), or `all`
    #[structopt(name = "BENCHMARK")]
    benchmark: Option<String>,
    /// Native runs of each kernel; 0 leaves that side out
    #[structopt(name = "NATIVE", parse(try_from_str = native_vs_wasm::iterations))]
    native: Option<u32>,
    /// Wasm runs of each kernel; 0 leaves that side out
    #[structopt(name = "WASM", parse(try_from_str = native_vs_wasm::iterations))]
    wasm: Option<u32>,
    /// Sizes of the datasets, separated by commas: mini, small, medium, large, extralarge
    #[structopt(
        long,
        value_name = "SIZE,...",
        require_delimiter = true,
        default_value = "large",
        global = true
    )]
    dataset: Vec<Dataset>,
    /// Type of the elements: default (each kernel's own), double or float
    #[structopt(
        long = "type",
        value_name = "TYPE",
        default_value = "default",
        global = true
    )]
    element: ElementChoice,
    #[structopt(flatten)]
    common: CommonOptions,
    #[structopt(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, StructOpt)]
enum Command {
    /// Lists the kernels, what they compute and what is built of them
    List,
    /// Prints what a kernel computes, in PolyBench's format
    Dump {
        /// The kernel
        #[structopt(name = "BENCHMARK")]
        benchmark: String,
        /// native, wasm or another column
        #[structopt(name = "COLUMN")]
        column: String,
    },
    /// SMALL and MEDIUM of every kernel, in less than three minutes
    Quick,
    /// Makes the tables and plots of a run again, from its records alone
    Report {
        /// The run's directory, for example results/latest
        #[structopt(name = "DIR", parse(from_os_str))]
        dir: PathBuf,
    },
}

/// Runs and time of `quick`.
const QUICK_RUNS: u32 = 11;
const QUICK_SECONDS: u64 = 150;

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(options: &Options) -> Result<Exit, CompareError> {
    match &options.command {
        Some(Command::List) => list::list(options.element),
        Some(Command::Dump { benchmark, column }) => dump(options, benchmark, column),
        Some(Command::Report { dir }) => native_vs_wasm::report(dir),
        Some(Command::Quick) => {
            let common = options.common.within(QUICK_SECONDS);
            let datasets = [Dataset::Small, Dataset::Medium];
            compare(options, "all", (QUICK_RUNS, QUICK_RUNS), &datasets, &common)
        }
        None => {
            let (Some(benchmark), Some(native), Some(wasm)) =
                (&options.benchmark, options.native, options.wasm)
            else {
                return Err(CompareError::Usage(
                    "it takes a kernel or `all`, the native and the Wasm iterations, as in `poly_bench all 5 5`; see poly_bench --help".into(),
                ));
            };
            let datasets = &options.dataset;
            compare(
                options,
                benchmark,
                (native, wasm),
                datasets,
                &options.common,
            )
        }
    }
}

fn compare(
    options: &Options,
    benchmark: &str,
    (native, wasm): (u32, u32),
    datasets: &[Dataset],
    common: &CommonOptions,
) -> Result<Exit, CompareError> {
    CommonOptions::iterations(native, wasm)?;
    let kernels = kernels::select(benchmark).map_err(|e| CompareError::Usage(e.to_string()))?;
    let mut benchmarks: Vec<Benchmark> = Vec::new();
    for &dataset in datasets {
        for kernel in &kernels {
            let name = kernel.program(dataset, options.element);
            let group = dataset.to_string();
            // A dataset may be named twice.
            if !benchmarks.iter().any(|b| b.name == name) {
                benchmarks.push(Benchmark { name, group });
            }
        }
    }
    let setup = setup(common)?;
    let names = [NATIVE, WASM].map(str::to_owned).into_iter();
    let names = names.chain(common.also.iter().cloned());
    let suite = Suite {
        name: "polybench",
        user: columns::USER,
        title: "PolyBench/C: Wasm against native",
        benchmarks,
        columns: entries(names, (native, wasm), |name, _| {
            columns::column(name, &setup)
        })?,
        compare: &|benchmark, reference, other| arrays::compare(&benchmark.name, reference, other),
        notes: vec![
            "Each kernel's live-out arrays are compared element by element before it is timed."
                .into(),
        ],
    };
    native_vs_wasm::run(&suite, common)
}

fn setup(common: &CommonOptions) -> Result<Setup, CompareError> {
    Ok(Setup {
        timeout: common.timeout()?,
        profiling: common.profiling()?,
    })
}

fn dump(options: &Options, benchmark: &str, column: &str) -> Result<Exit, CompareError> {
    let kernels = kernels::select(benchmark).map_err(|e| CompareError::Usage(e.to_string()))?;
    let column = columns::column(column, &setup(&options.common)?)?;
    for dataset in &options.dataset {
        for kernel in &kernels {
            let benchmark = Benchmark {
                name: kernel.program(*dataset, options.element),
                group: dataset.to_string(),
            };
            say(&output_of(column.as_ref(), &benchmark, Task::Dump)?)?;
        }
    }
    Ok(Exit::Ok)
}
