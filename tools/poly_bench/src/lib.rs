//! PolyBench/C, native against Wasm.

pub mod agreement;
pub mod arrays;
mod build;
pub mod columns;
mod gramschmidt;
pub mod kernels;
mod list;
mod pending;

use measure_core::base::exit::Exit;
use measure_core::base::home;
use native_vs_wasm::engines::Engines;
use native_vs_wasm::tool::{self, Tool};
use native_vs_wasm::{
    Benchmark, CommonOptions, Compare, CompareError, Lack, MakeColumn, Task, WASM,
};
use structopt::StructOpt;

pub use build::build_module;

use build::Checkout;
use columns::Setup;
use kernels::{Dataset, ElementChoice};

const EXAMPLES: &str = "\
EXAMPLES:
    poly_bench all 6 6 --best-build                     (LARGE: about an hour)
    poly_bench all 10 10 --dataset small,medium --budget 150
    poly_bench 3mm 6 6                                  (every native build, each a column)
    poly_bench all 6 6 --dataset medium --also wasm-wasm2c   (a second engine; `make wasm2c` installs it)
    poly_bench all 5 5 --dataset medium --best-build --also wasm-wasm2c,engines   (other engines' command lines; `list` names them)
    poly_bench poly_ludcmp 0 5 --profile jitdump        (nothing but Wasm, to be profiled)
    poly_bench dump 3mm wasm --dataset small --type double
    poly_bench report results/latest
    poly_bench compare results/A results/B --fail-on slower

    Kernels may be written with or without poly_. In the CSV and in the store the full name stands:
    poly_<kernel>[-<dataset>][-<type>], where the dataset LARGE and a kernel's own type are left out.
    FAASM_BENCH_HOME is where programs and store are [default: build/ of the checkout].
";

const USAGE: &str = "\
poly_bench <BENCHMARK|all> <NATIVE> <WASM> [OPTIONS]
    poly_bench list | dump <BENCHMARK> <COLUMN> | quick | report <DIR> | compare <A> <B>  [OPTIONS]";

// The options that only this tool has.
// Not a doc comment: that of what is flattened would be the tool's own in --help.
#[derive(Debug, StructOpt)]
pub struct PolyBench {
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
    /// Of the native builds time each kernel's fastest only, as `quick` does
    #[structopt(long, global = true)]
    best_build: bool,
}

/// The command line.
pub type Options = tool::Options<PolyBench>;

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(options: &Options) -> Result<Exit, CompareError> {
    tool::run(options)
}

impl Tool for PolyBench {
    const NAME: &'static str = "poly_bench";
    const ABOUT: &'static str = "Times the kernels of PolyBench/C natively and as WebAssembly, interleaved, after comparing what both compute";
    const USAGE: &'static str = USAGE;
    const EXAMPLES: &'static str = EXAMPLES;
    const EXAMPLE: &'static str = "poly_bench all 5 5";
    const SUITE: &'static str = "polybench";
    const USER: &'static str = columns::USER;
    const TITLE: &'static str = "PolyBench/C: Wasm against native";
    const NOTES: &'static [&'static str] =
        &["Each kernel's live-out arrays are compared element by element before it is timed."];
    const BUILDS: &'static [&'static str] = &columns::BUILDS;
    const DUMP: Task = Task::Dump;
    const QUICK: (u32, u64) = (11, 150);
    const COMPARE: Compare =
        |benchmark, reference, other| agreement::compare(&benchmark.name, reference, other);

    fn headline(&self) -> Vec<String> {
        [WASM, columns::WASM_LINKED].map(str::to_owned).into()
    }

    fn best_build_only(&self) -> bool {
        self.best_build
    }

    fn build(&self, lacking: &[Lack<'_>]) -> Result<(), CompareError> {
        let checkout = Checkout::find(&home::root());
        checkout.map_or(Ok(()), |checkout| checkout.build(lacking, self.element))
    }

    fn list(&self, common: &CommonOptions) -> Result<Exit, CompareError> {
        list::list(self.element, Engines::load(common.engines.as_deref())?)
    }

    fn benchmarks(&self, text: Option<&str>) -> Result<Vec<Benchmark>, CompareError> {
        let quick = [Dataset::Small, Dataset::Medium];
        let (text, datasets) = text.map_or(("all", &quick[..]), |text| (text, &self.dataset));
        let kernels = kernels::select(text).map_err(|e| CompareError::Usage(e.to_string()))?;
        let mut benchmarks: Vec<Benchmark> = Vec::new();
        for &dataset in datasets {
            for kernel in &kernels {
                let name = kernel.program(dataset, self.element);
                let group = dataset.to_string();
                // A dataset may be named twice.
                if !benchmarks.iter().any(|b| b.name == name) {
                    benchmarks.push(Benchmark { name, group });
                }
            }
        }
        Ok(benchmarks)
    }

    fn columns(&self, common: &CommonOptions) -> Result<MakeColumn, CompareError> {
        let setup = Setup {
            timeout: common.timeout()?,
            profiling: common.profiling()?,
            engines: Engines::load(common.engines.as_deref())?,
        };
        Ok(Box::new(move |name, _| columns::column(name, &setup)))
    }
}
