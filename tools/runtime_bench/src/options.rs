//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::exit::EXIT_CODES_HELP;
use measure_core::base::range::in_range;
use measure_core::driver_kit::cli::{MAX_COUNT, MAX_WORKERS};
use structopt::StructOpt;

use crate::capacity::CapacityOptions;
use crate::common_options::{Common, DEFAULT_IDLE, Which, all_in_range, distinct};
use crate::engines::Engines;
use crate::error::BenchError;
use crate::functions::{AddOptions, ComputeOptions, NameOptions, TestOptions};
use crate::isolation::IsolationOptions;
use crate::load::LoadOptions;
use crate::mem::Sweep;
use crate::plan::Sizes;
use crate::scaling::ScalingOptions;
use crate::tune::TuneOptions;

/// What a rung of the time part may take, by default.
const RUNG_BUDGET_S: u64 = 25;
/// And in the quick profile.
pub(crate) const QUICK_BUDGET_S: u64 = 12;

/// Measures what a cold start of a function costs, from a bare thread to a container.
///
/// Every rung of the ladder is offered by a driver (process-driver, faasm-driver, docker-driver, microvm-driver), found
/// beside this program or on PATH. A run writes every sample, as it is measured, into results/TIME-HOST/ and makes
/// all tables from there.
///
/// EXAMPLES:
///     runtime_bench quick                                  time and memory of the main rungs, in minutes
///     runtime_bench quick --all                            of every rung, and all of them on one plot
///     runtime_bench time --rungs wasm,faaslet,docker-none  only these
///     runtime_bench time --all --iterations 1,10,100 --workers 1,2,4,8 --repetitions 10
///     runtime_bench mem --full                             300 containers, 2000 Faaslets (root)
///     runtime_bench scaling --rungs wasm,faaslet           starts per second by 1, 2, 4, ... workers
///     runtime_bench capacity --rungs wasm,faaslet          how many fit, and what gives first (root)
///     runtime_bench load --rungs process,faaslet           latency over the rate of arrivals, and its knee
///     runtime_bench add mine/hello --source hello.c        brings a function of yours; then time --function mine/hello
///     runtime_bench isolation                              what each rung really isolates (root)
///     runtime_bench aa --rungs thread,process,faaslet      how often a rung differs from itself
///     runtime_bench time --rungs docker-none --docker-host unix:///run/podman/podman.sock
///     runtime_bench doctor                                 what this host can measure, and how to mend it
///     runtime_bench compare results/OLD results/NEW        what is faster, what slower, what cannot be told
///     runtime_bench report results/latest                  all tables again, from the samples
///     runtime_bench report hosts/*/                        rungs over hosts, and whether these agree
///     runtime_bench history results                        every row over time, and where it changed
///     runtime_bench validate results/*/                    which runs are torn, ended early, or of another version
///     runtime_bench tune run -- runtime_bench quick        on a host made quiet, and put back afterwards (root)
#[derive(Debug, StructOpt)]
#[structopt(verbatim_doc_comment, after_help = EXIT_CODES_HELP)]
pub struct Args {
    /// What to do.
    #[structopt(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, StructOpt)]
pub enum Command {
    /// Wall time, CPU time or cycles, and disk I/O of cold starts
    Time(TimeOptions),
    /// Memory of parked workers: what one more costs, and what is fixed (needs root)
    Mem(MemOptions),
    /// Starts at a rate of arrivals, whatever has come back: latency over the rate, and where each rung gives
    Load(LoadOptions),
    /// Time and memory of the main rungs, a few minutes
    Quick(QuickOptions),
    /// How starts per second grow with workers, and what holds them back
    Scaling(ScalingOptions),
    /// How many parked workers a host holds, what gives first, and what one more start takes beside them
    Capacity(CapacityOptions),
    /// Brings a function of yours, on every side there is of it, and has each rung run it once
    Add(Box<AddOptions>),
    /// Lists the functions that were brought
    List,
    /// Says what is known of a function that was brought
    Show(NameOptions),
    /// Has each rung run a function once, and compares what they answer
    Test(TestOptions),
    /// Times a function natively and as Wasm, run by run
    Compute(ComputeOptions),
    /// Takes a function that was brought out of the store
    Remove(NameOptions),
    /// Says what this host can and cannot measure, rung by rung, and how to mend it
    Doctor(Engines),
    /// What each rung really isolates, found by probes that it runs (root for all of it)
    Isolation(IsolationOptions),
    /// Measures every rung as if it were two, and counts how often they "differ"
    Aa(AaOptions),
    /// Says what is faster or slower in the second of two runs, and what differs between their hosts
    Compare(CompareOptions),
    /// Makes every table again from the samples of a run, or joins the runs of several hosts
    Report(ReportOptions),
    /// Shows each row over all runs of a folder, and where it changed
    History(HistoryOptions),
    /// Says whether runs are whole: torn, foreign, of a newer or older version, ended early
    Validate {
        /// Runs' directories, for example results/latest
        #[structopt(name = "DIR", required = true, parse(from_os_str))]
        dirs: Vec<PathBuf>,
    },
    /// Prints the JSON Schema of a record, for those who read the files by programs of their own
    Schema {
        /// sample (a line of samples.jsonl), run, environment, summary, load (a line of load.jsonl), history or isolation
        /// [default: names them]
        #[structopt(name = "RECORD")]
        record: Option<String>,
    },
    /// Makes this host quiet for measurements, and puts back exactly what it found
    Tune(TuneOptions),
}

/// Options of `time`.
#[derive(Debug, StructOpt)]
pub struct TimeOptions {
    #[structopt(flatten)]
    pub(crate) common: Common,
    #[structopt(flatten)]
    pub(crate) which: Which,
    /// Starts of a back-to-back batch of one worker; several numbers make a batch each in every process. Nothing is then
    /// chosen by the budget [default: chosen, up to 2 x 50]
    #[structopt(long, name = "N,...", require_delimiter = true)]
    iterations: Option<Vec<u64>>,
    /// Isolated starts in every driver process [default: chosen, 1 to 10]
    #[structopt(long, name = "STARTS")]
    isolated: Option<u64>,
    /// Milliseconds that a rung has been idle at least before an isolated start
    #[structopt(long, name = "MS", default_value = "100")]
    idle: u64,
    /// Starts under way at once, for starts per second
    #[structopt(
        long,
        name = "W,...",
        require_delimiter = true,
        default_value = "1,2,4"
    )]
    workers: Vec<usize>,
    /// Driver processes of a rung, each a replicate [default: at least 10, of rungs above 10 ms 6; as many more as should bring
    /// the interval of the isolated median within 10 %]
    #[structopt(long, name = "PROCESSES")]
    repetitions: Option<u32>,
    /// Seconds to spend on a rung beyond its least processes [default: 25; with --all less if there are many, so that it takes
    /// ten minutes]
    #[structopt(long, name = "SECONDS")]
    pub(crate) budget: Option<u64>,
    /// Goes on with a run that was cut short, in its directory, with its seed and its schedule; all else that was asked for is
    /// known. Refused where the host or an executable is not the same
    #[structopt(
        long,
        name = "RUN",
        parse(from_os_str),
        conflicts_with_all = &["DIR", "seed", "RUNG,...", "all", "USER/FUNC", "STARTS", "PROCESSES", "SECONDS"]
    )]
    pub(crate) resume: Option<PathBuf>,
}

/// Options of `mem`.
#[derive(Debug, StructOpt)]
pub struct MemOptions {
    #[structopt(flatten)]
    pub(crate) common: Common,
    #[structopt(flatten)]
    pub(crate) which: Which,
    /// Sweep 100, 200, 300 containers and 500, 1000, 2000 Faaslets [default: 2, 4, 8 and 100, 200, 400]
    #[structopt(long)]
    pub(crate) full: bool,
    /// Sweep these numbers of workers for every rung
    #[structopt(
        long,
        name = "N,...",
        require_delimiter = true,
        conflicts_with = "full"
    )]
    counts: Option<Vec<usize>>,
    /// How often every number of workers is swept, each time with fresh drivers [default: 3]
    #[structopt(long)]
    repetitions: Option<u32>,
}

/// Options of `quick`.
#[derive(Debug, StructOpt)]
pub struct QuickOptions {
    #[structopt(flatten)]
    pub(crate) common: Common,
    /// Every rung of every driver, within half an hour
    #[structopt(long)]
    pub(crate) all: bool,
    /// What to run, user/function [default: the no-op, and its parked twin for memory]
    #[structopt(long, name = "USER/FUNC")]
    pub(crate) function: Option<String>,
    /// Goes on with a run that was cut short in its time part, as `time --resume` does, and then with memory
    #[structopt(
        long,
        name = "RUN",
        parse(from_os_str),
        conflicts_with_all = &["DIR", "seed", "all", "USER/FUNC"]
    )]
    pub(crate) resume: Option<PathBuf>,
}

/// Options of `aa`.
#[derive(Debug, StructOpt)]
pub struct AaOptions {
    #[structopt(flatten)]
    pub(crate) common: Common,
    #[structopt(flatten)]
    pub(crate) which: Which,
    /// How often each rung is compared with itself, in both designs; 200 comparisons in all say something
    #[structopt(long, default_value = "10")]
    pub(crate) repetitions: u32,
}

impl AaOptions {
    /// Two sides of every repetition, of which each has the processes that a row of `time` has at least.
    pub(crate) fn sizes(&self) -> Result<Sizes, BenchError> {
        in_range("--repetitions", self.repetitions, 1..=1000)?;
        Ok(Sizes {
            iterations: None,
            isolated: None,
            idle: DEFAULT_IDLE,
            workers: vec![1],
            processes: None,
            sets: 2 * self.repetitions,
            requests: false,
            strict: self.common.strict,
            budget: Duration::from_secs(QUICK_BUDGET_S),
            within: None,
            is_scaling: false,
        })
    }
}

/// Options of `compare`.
#[derive(Debug, StructOpt)]
pub struct CompareOptions {
    /// The run to compare with, a directory as results/20261124T071130Z-host
    #[structopt(name = "FIRST", parse(from_os_str))]
    pub(crate) first: PathBuf,
    /// The run that is faster or slower
    #[structopt(name = "SECOND", parse(from_os_str))]
    pub(crate) second: PathBuf,
    /// From how many per cent on a difference matters
    #[structopt(long, name = "PERCENT", default_value = "5")]
    pub(crate) margin: f64,
    /// Also write the rows there, as CSV
    #[structopt(long, name = "CSV", parse(from_os_str))]
    pub(crate) csv: Option<PathBuf>,
    /// Also write everything there, as JSON
    #[structopt(long, name = "JSON", parse(from_os_str))]
    pub(crate) json: Option<PathBuf>,
    /// End with code 8 if a row is slower, for CI
    #[structopt(long, name = "slower", possible_values = &["slower"])]
    pub(crate) fail_on: Option<String>,
}

impl CompareOptions {
    /// # Errors
    /// The margin makes no sense.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        // Not a range test of integers: NaN is in no range.
        if (0.0..=1000.0).contains(&self.margin) {
            return Ok(());
        }
        Err(BenchError::Usage(format!(
            "--margin must be 0 to 1000 per cent, not {}",
            self.margin
        )))
    }
}

/// Options of `report`.
#[derive(Debug, StructOpt)]
pub struct ReportOptions {
    /// The run's directory, for example results/latest; of several runs, made on several hosts, the table of rungs over hosts is
    /// printed, and nothing in them is written
    #[structopt(name = "DIR", parse(from_os_str), required = true)]
    pub(crate) dirs: Vec<PathBuf>,
    /// What runtime-bench-time.csv and -mem.csv hold: ours, or what Faasm's own scripts wrote under these names
    /// (docs/reading-results.md)
    #[structopt(long, name = "FORM", default_value = "ours", possible_values = &["ours", "faasm"])]
    pub(crate) csv_form: String,
    /// Sets the figures that Faasm's authors published beside this run's, as ratios to Docker
    #[structopt(long)]
    pub(crate) with_paper: bool,
    /// Says what a million starts and a thousand parked workers cost at the prices of this file (TOML: currency = "EUR", cpu_hour = 0.04,
    /// gib_hour = 0.005)
    #[structopt(long, name = "FILE", parse(from_os_str))]
    pub(crate) prices: Option<PathBuf>,
    /// Of one run, write the tables there and leave the run as it is; of several, also write hosts.html and hosts.md there
    #[structopt(long, name = "OUTPUT", parse(from_os_str))]
    pub(crate) output: Option<PathBuf>,
}

/// Options of `history`.
#[derive(Debug, StructOpt)]
pub struct HistoryOptions {
    /// Runs, or folders of runs such as results
    #[structopt(name = "DIR", parse(from_os_str), required = true)]
    pub(crate) dirs: Vec<PathBuf>,
    /// Only runs that began then or later, UTC: 2026-11-24 or 2026-11-24T18:30
    #[structopt(long, name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only rows that have one of these words in their names
    #[structopt(long, name = "WORDS,...", require_delimiter = true)]
    pub(crate) only: Vec<String>,
    /// From how many per cent on a change counts
    #[structopt(long, name = "PERCENT", default_value = "5")]
    pub(crate) margin: f64,
    /// Writes history.html and history.json there
    #[structopt(long, name = "OUTPUT", default_value = ".", parse(from_os_str))]
    pub(crate) output: PathBuf,
}

impl TimeOptions {
    /// What to measure; without `--budget`, [`RUNG_BUDGET_S`] a rung.
    pub(crate) fn sizes(&self) -> Result<Sizes, BenchError> {
        let iterations = self.iterations.as_deref();
        all_in_range("--iterations", iterations.unwrap_or_default(), MAX_COUNT)?;
        in_range("--isolated", self.isolated.unwrap_or(1), 1..=MAX_COUNT)?;
        in_range("--idle", self.idle, 0..=60_000)?;
        all_in_range("--workers", &self.workers, MAX_WORKERS)?;
        in_range("--repetitions", self.repetitions.unwrap_or(1), 1..=10_000)?;
        let budget = self.budget.unwrap_or(RUNG_BUDGET_S);
        in_range("--budget", budget, 1..=86_400)?;
        Ok(Sizes {
            iterations: iterations.map(distinct),
            isolated: self.isolated,
            idle: Duration::from_millis(self.idle),
            workers: distinct(&self.workers),
            processes: self.repetitions,
            sets: 1,
            requests: false,
            strict: self.common.strict,
            budget: Duration::from_secs(budget),
            within: None,
            is_scaling: false,
        })
    }
}

impl MemOptions {
    pub(crate) fn sweep(&self) -> Result<Sweep, BenchError> {
        all_in_range(
            "--counts",
            self.counts.as_deref().unwrap_or_default(),
            MAX_WORKERS,
        )?;
        in_range("--repetitions", self.repetitions.unwrap_or(1), 1..=10_000)?;
        let mut sweep = if self.full {
            Sweep::full()
        } else {
            Sweep::quick()
        };
        if let Some(counts) = &self.counts {
            sweep.fast = distinct(counts);
            sweep.slow.clone_from(&sweep.fast);
        }
        sweep.sweeps = self.repetitions.unwrap_or(sweep.sweeps);
        Ok(sweep)
    }
}
