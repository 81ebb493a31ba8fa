//! The command line, and what its commands do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use measure_core::driver::Probe;
use measure_core::driver::cli::{MAX_COUNT, MAX_WORKERS};
use measure_core::environment::{Environment, Severity};
use measure_core::exit::{EXIT_CODES_HELP, Exit};
use measure_core::ids::FunctionId;
use measure_core::interrupt;
use measure_core::run_dir::{HostLock, RunDir, SAMPLES};
use nix::unistd::geteuid;
use report::{Part, Records, RungInfo};
use structopt::StructOpt;
use structopt::clap::AppSettings;

use crate::drivers::{Ladder, Offer};
use crate::error::BenchError;
use crate::mem::{self, Sweep};
use crate::plan::Sizes;
use crate::recorder::{Recorder, write_tables};
use crate::session::Job;
use crate::time;
use crate::trouble::Trouble;

/// The lock that keeps two runs on a host apart.
const LOCK: &str = "runtime_bench";
/// What a rung of the time part may take, by default.
const RUNG_BUDGET_S: u64 = 25;
/// What all rungs of all drivers together may take, beside their starts and ends.
const ALL_BUDGET: Duration = Duration::from_secs(450);
/// Less says nothing of a slow rung.
const LEAST_BUDGET: Duration = Duration::from_secs(3);

/// Measures what a cold start of a function costs, from a bare thread to a container.
///
/// Every rung of the ladder is offered by a driver (process-driver, faasm-driver, docker-driver), found beside
/// this program or on PATH. A run writes every sample, as it is measured, into results/TIME-HOST/ and makes
/// all tables from there.
///
/// EXAMPLES:
///     runtime_bench quick                                  time and memory of the main rungs, in minutes
///     runtime_bench time --rungs wasm,faaslet,docker-none  only these
///     runtime_bench time --all --iterations 1,10,100 --workers 1,2,4,8 --repetitions 10
///     runtime_bench mem --full                             300 containers, 2000 Faaslets (root)
///     runtime_bench doctor                                 what this host can measure, and how to mend it
///     runtime_bench report results/latest                  all tables again, from the samples
#[derive(Debug, StructOpt)]
#[structopt(verbatim_doc_comment, after_help = EXIT_CODES_HELP, global_setting = AppSettings::ColorNever)]
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
    /// Time and memory of the main rungs, a few minutes
    Quick(QuickOptions),
    /// Says what this host can and cannot measure, rung by rung, and how to mend it
    Doctor,
    /// Makes every table again from the samples of a run
    Report {
        /// The run's directory, for example results/latest
        #[structopt(name = "DIR", parse(from_os_str))]
        dir: PathBuf,
    },
}

/// Options of every command that measures.
#[derive(Debug, StructOpt)]
pub struct Common {
    /// Directory for the results, made if need be [default: results/<time>-<host>, and results/latest points there]
    #[structopt(long, name = "DIR", parse(from_os_str))]
    output: Option<PathBuf>,
    /// Seed of the order in which blocks are measured, to repeat a run [default: from the clock]
    #[structopt(long)]
    seed: Option<u64>,
    /// Refuse to measure on an unfit host (busy, throttled, swapping) instead of warning
    #[structopt(long)]
    strict: bool,
    /// Seconds that a driver may be silent beyond what its work should take, before it is ended
    #[structopt(long, name = "PATIENCE", default_value = "90")]
    patience: u64,
}

/// Which rungs.
#[derive(Debug, StructOpt)]
pub struct Which {
    /// Only these rungs, separated by commas [default: the main ones]
    #[structopt(
        long,
        name = "RUNG,...",
        require_delimiter = true,
        conflicts_with = "all"
    )]
    rungs: Option<Vec<String>>,
    /// Every rung of every driver
    #[structopt(long)]
    all: bool,
    /// What to run, user/function [default: the no-op, or its parked twin under mem]
    #[structopt(long, name = "USER/FUNC")]
    function: Option<String>,
}

/// Options of `time`.
#[derive(Debug, StructOpt)]
pub struct TimeOptions {
    #[structopt(flatten)]
    common: Common,
    #[structopt(flatten)]
    which: Which,
    /// Starts per batch, one after the other [default: those of 1,10,100 that fit into the budget]
    #[structopt(long, name = "N,...", require_delimiter = true)]
    iterations: Option<Vec<u64>>,
    /// Starts under way at once, for starts per second
    #[structopt(
        long,
        name = "W,...",
        require_delimiter = true,
        default_value = "1,2,4"
    )]
    workers: Vec<usize>,
    /// Batches of each kind; fewer of slow rungs, within the budget, unless --iterations is given
    #[structopt(long, default_value = "5")]
    repetitions: u32,
    /// Seconds to spend on a rung [default: 25; with --all less if there are many, so that it takes ten minutes]
    #[structopt(long, name = "SECONDS")]
    budget: Option<u64>,
}

/// Options of `mem`.
#[derive(Debug, StructOpt)]
pub struct MemOptions {
    #[structopt(flatten)]
    common: Common,
    #[structopt(flatten)]
    which: Which,
    /// Sweep 100, 200, 300 containers and 500, 1000, 2000 Faaslets [default: 2 to 12 and 50 to 400]
    #[structopt(long)]
    full: bool,
    /// Sweep these numbers of workers for every rung
    #[structopt(
        long,
        name = "N,...",
        require_delimiter = true,
        conflicts_with = "full"
    )]
    counts: Option<Vec<usize>>,
    /// How often each point is measured [default: 2; 1 for rungs that take long to park]
    #[structopt(long)]
    repetitions: Option<u32>,
}

/// Options of `quick`.
#[derive(Debug, StructOpt)]
pub struct QuickOptions {
    #[structopt(flatten)]
    common: Common,
}

fn in_range(name: &str, value: u64, max: u64) -> Result<(), BenchError> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(BenchError::Usage(format!(
        "{name} is {value}, it must be 1 to {max}"
    )))
}

fn all_in_range(name: &str, values: &[u64], max: u64) -> Result<(), BenchError> {
    values
        .iter()
        .try_for_each(|&value| in_range(name, value, max))
}

/// Sorted, each once.
fn distinct<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

impl TimeOptions {
    fn sizes(&self) -> Result<Sizes, BenchError> {
        let iterations = self.iterations.clone().unwrap_or_else(|| vec![1, 10, 100]);
        all_in_range("--iterations", &iterations, MAX_COUNT)?;
        let workers: Vec<u64> = self.workers.iter().map(|&w| w as u64).collect();
        all_in_range("--workers", &workers, MAX_WORKERS as u64)?;
        in_range("--repetitions", u64::from(self.repetitions), 10_000)?;
        let budget = self.budget.unwrap_or(RUNG_BUDGET_S);
        in_range("--budget", budget, 86_400)?;
        Ok(Sizes {
            iterations: distinct(&iterations),
            fixed: self.iterations.is_some(),
            workers: distinct(&self.workers),
            repetitions: self.repetitions,
            budget: Duration::from_secs(budget),
        })
    }
}

impl MemOptions {
    fn sweep(&self) -> Result<Sweep, BenchError> {
        let counts: Vec<u64> = self.counts.iter().flatten().map(|&n| n as u64).collect();
        all_in_range("--counts", &counts, MAX_WORKERS as u64)?;
        in_range(
            "--repetitions",
            u64::from(self.repetitions.unwrap_or(1)),
            10_000,
        )?;
        let mut sweep = if self.full {
            full_sweep()
        } else {
            quick_sweep()
        };
        if let Some(counts) = &self.counts {
            sweep.fast = distinct(counts);
            sweep.slow.clone_from(&sweep.fast);
        }
        if let Some(repetitions) = self.repetitions {
            sweep.fast_repetitions = repetitions;
            sweep.slow_repetitions = repetitions;
        }
        Ok(sweep)
    }
}

fn quick_sweep() -> Sweep {
    Sweep {
        fast: vec![50, 100, 200, 400],
        slow: vec![2, 4, 8, 12],
        fast_repetitions: 2,
        slow_repetitions: 1,
    }
}

fn full_sweep() -> Sweep {
    Sweep {
        fast: vec![500, 1000, 2000],
        slow: vec![100, 200, 300],
        fast_repetitions: 2,
        slow_repetitions: 1,
    }
}

/// What the parts of a run share.
struct Run {
    recorder: Recorder,
    offers: Vec<Offer>,
    /// Named one by one on the command line.
    named: bool,
    function: Option<String>,
    patience: Duration,
    /// Held until the run is over.
    _lock: HostLock,
}

impl Run {
    /// Checks everything that can be checked before anything is measured: function, rungs, whether another
    /// run is under way, whether the output can be written, whether the host is fit.
    fn prepare(common: &Common, which: &Which) -> Result<Self, BenchError> {
        if let Some(function) = &which.function {
            function
                .parse::<FunctionId>()
                .map_err(|e| BenchError::Usage(e.to_string()))?;
        }
        in_range("--patience", common.patience, 86_400)?;
        let lock = HostLock::take(LOCK)?;
        let mut environment = Environment::capture();
        let ladder = Ladder::discover();
        stop_if_told()?;
        let offers = match &which.rungs {
            Some(names) => ladder.select(names)?,
            None if which.all => ladder.offers.clone(),
            None => ladder.quick(),
        };
        for (driver, why) in &ladder.missing {
            eprintln!("warning: {driver}: {why}; its rungs are missing");
        }
        if offers.is_empty() {
            return Err(BenchError::Unavailable(
                "no driver offers a rung, see `runtime_bench doctor`".into(),
            ));
        }
        heed(&environment, common.strict)?;
        let seed = common.seed.unwrap_or_else(measure_core::clock::now_ns);
        environment.note_run("seed", seed);
        describe(&mut environment, &offers);
        let recorder = Recorder::open(common.output.as_deref(), environment, seed)?;
        Ok(Self {
            recorder,
            offers,
            named: which.rungs.is_some(),
            function: which.function.clone(),
            patience: Duration::from_secs(common.patience),
            _lock: lock,
        })
    }

    fn begin(&mut self, name: &str, profile: &str) -> Result<(), BenchError> {
        let rungs = self.offers.iter().map(|offer| RungInfo {
            driver: offer.driver_name(),
            description: offer.description.clone(),
            probe: offer.probe.clone(),
            function: None,
            scope: None,
            plan: None,
            failure: None,
        });
        let part = Part {
            name: name.into(),
            command_line: std::env::args().collect(),
            profile: profile.into(),
            seed: self.recorder.seed(),
            ended: Some("it was killed before its end".into()),
            notes: Vec::new(),
            rungs: rungs.collect(),
        };
        self.recorder.begin(part)?;
        for offer in &self.offers {
            if let Probe::Unavailable { why, mend } = &offer.probe {
                let function = &offer.description.default_function;
                self.recorder
                    .unavailable(offer.rung(), function, &format!("{why}, {mend}"))?;
            }
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), BenchError> {
        self.recorder.part().ended = interrupt::received().map(|exit| {
            let signal = if exit == Exit::Terminated {
                "SIGTERM"
            } else {
                "SIGINT"
            };
            format!("ended early by {signal}")
        });
        self.recorder.save()?;
        Ok(())
    }

    fn time(&mut self, sizes: &Sizes, profile: &str) -> Result<Trouble, BenchError> {
        self.begin("time", profile)?;
        let job = Job {
            function: self.function.as_deref(),
            patience: self.patience,
        };
        let trouble = time::measure(&mut self.recorder, &self.offers, &job, sizes)?;
        self.end_part()?;
        Ok(trouble)
    }

    fn mem(&mut self, sweep: &Sweep, profile: &str) -> Result<Trouble, BenchError> {
        self.begin("mem", profile)?;
        let job = Job {
            function: self.function.as_deref(),
            patience: self.patience,
        };
        let trouble = mem::measure(&mut self.recorder, &self.offers, &job, sweep)?;
        self.end_part()?;
        Ok(trouble)
    }

    /// Writes and prints the tables, and ends with what went wrong first.
    fn finish(self, troubles: Vec<Trouble>) -> Result<Exit, BenchError> {
        let nothing_can_run = self.offers.iter().all(|o| o.probe != Probe::Ready);
        let path = self.recorder.path().to_owned();
        let records = self.recorder.finish()?;
        println!("{}", report::terminal(&records));
        println!("tables and samples: {}", path.display());
        if let Some(exit) = interrupt::received() {
            return Ok(exit);
        }
        troubles.into_iter().try_for_each(Trouble::result)?;
        if self.named && nothing_can_run {
            return Err(BenchError::Unavailable(
                "none of these rungs can run here; the table says why".into(),
            ));
        }
        Ok(Exit::Ok)
    }
}

fn stop_if_told() -> Result<(), BenchError> {
    match interrupt::received() {
        Some(exit) => Err(BenchError::Rung {
            rung: "before anything was measured".into(),
            error: crate::error::SessionError::Interrupted(exit),
        }),
        None => Ok(()),
    }
}

/// Versions and hashes of what is about to be measured.
fn describe(environment: &mut Environment, offers: &[Offer]) {
    for offer in offers {
        let driver = offer.driver_name();
        let hash = measure_core::environment::sha256_of(&offer.driver).map_err(|e| e.to_string());
        environment.note_engine(&driver, "executable_sha256", hash);
        environment.note_engine(&driver, offer.rung(), offer.description.engine.as_str());
    }
}

/// Warns of an unfit host, or refuses it.
fn heed(environment: &Environment, strict: bool) -> Result<(), BenchError> {
    let unfit: Vec<String> = environment
        .concerns()
        .iter()
        .filter(|c| c.severity == Severity::Unfit)
        .map(ToString::to_string)
        .collect();
    if strict && !unfit.is_empty() {
        return Err(BenchError::Unavailable(format!(
            "this host is not fit to measure on (--strict): {}",
            unfit.join("; ")
        )));
    }
    for concern in unfit {
        eprintln!("warning: {concern}");
    }
    Ok(())
}

fn need_root() -> Result<(), BenchError> {
    if geteuid().is_root() {
        return Ok(());
    }
    Err(BenchError::Unavailable(
        "mem needs root: it reads the memory of all processes of an engine and their cgroups; run it with sudo".into(),
    ))
}

pub(crate) fn time(options: &TimeOptions) -> Result<Exit, BenchError> {
    let mut sizes = options.sizes()?;
    let mut run = Run::prepare(&options.common, &options.which)?;
    if options.which.all && options.budget.is_none() {
        sizes.budget = sizes.budget.min(share_of_all(&run.offers));
    }
    let trouble = run.time(&sizes, "time alone")?;
    run.finish(vec![trouble])
}

pub(crate) fn mem(options: &MemOptions) -> Result<Exit, BenchError> {
    let sweep = options.sweep()?;
    need_root()?;
    let mut run = Run::prepare(&options.common, &options.which)?;
    let trouble = run.mem(
        &sweep,
        if options.full {
            "full sweep"
        } else {
            "quick sweep"
        },
    )?;
    run.finish(vec![trouble])
}

/// What each of `offers` may take for all of them to take ten minutes, drivers' own starts and ends included.
fn share_of_all(offers: &[Offer]) -> Duration {
    let ready = offers.iter().filter(|o| o.probe == Probe::Ready).count();
    let each = ALL_BUDGET / u32::try_from(ready.max(1)).unwrap_or(u32::MAX);
    each.max(LEAST_BUDGET)
}

pub(crate) fn quick(options: &QuickOptions) -> Result<Exit, BenchError> {
    let which = Which {
        rungs: None,
        all: false,
        function: None,
    };
    let sizes = Sizes {
        iterations: vec![1, 10, 100],
        fixed: false,
        workers: vec![1, 2, 4],
        repetitions: 5,
        budget: Duration::from_secs(RUNG_BUDGET_S),
    };
    let mut run = Run::prepare(&options.common, &which)?;
    let mut troubles = vec![run.time(&sizes, "quick")?];
    if interrupt::received().is_none() {
        if geteuid().is_root() {
            troubles.push(run.mem(&quick_sweep(), "quick")?);
        } else {
            eprintln!("warning: memory is not measured: it needs root");
        }
    }
    run.finish(troubles)
}

/// Makes every table of the run directory `dir` again.
pub(crate) fn report(dir: &Path) -> Result<Exit, BenchError> {
    // Reading first: a directory that does not exist is not to be made.
    let records = Records::read(dir)?;
    if records.samples.is_empty() {
        return Err(BenchError::Failed(format!(
            "{} holds no sample yet",
            dir.join(SAMPLES).display()
        )));
    }
    let locked = RunDir::open(dir)?;
    write_tables(&locked, &records)?;
    println!("{}", report::terminal(&records));
    println!("tables and samples: {}", dir.display());
    Ok(Exit::Ok)
}
