//! Measures any command: the `measure-core` executable.
//!
//! Three passes, because measuring one thing disturbs another: wall time with nothing else going on
//! (what wait4(2) tells for free is read there too), hardware counters, and memory, under a tracer that
//! stops each process at its exit to weigh it.

mod memory_pass;
mod output;
mod pass;
pub mod program;
mod report;
mod table;
mod trace;
mod tree;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::str::FromStr;

use nix::errno::Errno;
use structopt::StructOpt;
use structopt::clap::AppSettings;

use measure_core::base::exit::{Exit, HasExit, after_help};
use measure_core::base::ids;
use measure_core::base::interrupt;
use measure_core::base::range::{OutOfRange, in_range};
use measure_core::contract::environment::Unfit;
use output::Output;
use pass::Session;
use probes::memory::MemoryError;
use program::{Program, ProgramError, Streams};
use report::Report;

/// More runs than this are a typing error.
const MAX_RUNS: u32 = 1_000_000;

const AFTER_HELP: &str = "\
EXAMPLES:
    measure-core -- /bin/true
    measure-core -n 50 --warmup 5 --json true.json -- /bin/true
    measure-core --passes wall -n 1000 -- ./noop
    measure-core --show-output --ignore-failure -- make test
    measure-core -- sh -c 'gzip -k < big > big.gz'     (a pipeline needs its shell, and pays for it)

PASSES:
    wall       wall time; user and system CPU time, faults, switches and disk I/O from wait4
    counters   CPU cycles and instructions of the command and all that it starts
    memory     peak PSS and RSS of the process tree: each process is weighed at its exit (under
               ptrace) and the tree about every millisecond before";

/// Runs a command several times and reports wall time, CPU time, cycles, memory, disk I/O, faults and
/// context switches, each with its spread
#[derive(Debug, StructOpt)]
#[structopt(
    name = "measure-core",
    settings = &[AppSettings::TrailingVarArg, AppSettings::DeriveDisplayOrder],
    usage = "measure-core [OPTIONS] -- CMD [ARGS]...",
    after_help = after_help(AFTER_HELP),
)]
pub struct Options {
    /// Measured runs of each pass
    #[structopt(short = "n", long, value_name = "N", default_value = "10", parse(try_from_str = number))]
    pub runs: u32,
    /// Unmeasured runs beforehand, so that caches are as warm for the first run as for the last
    #[structopt(long, value_name = "W", default_value = "1", parse(try_from_str = number))]
    pub warmup: u32,
    /// Writes everything, each single value included, to this file; `-` is standard output, in place
    /// of the table
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub json: Option<PathBuf>,
    /// Which passes to make, separated by commas
    #[structopt(
        long,
        value_name = "PASSES",
        default_value = "wall,counters,memory",
        require_delimiter = true
    )]
    pub passes: Vec<Pass>,
    /// Lets the command write to this terminal; it writes to /dev/null otherwise
    #[structopt(long)]
    pub show_output: bool,
    /// What the command reads; /dev/null otherwise
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub input: Option<PathBuf>,
    /// Goes on when the command fails, and says how often it did
    #[structopt(long)]
    pub ignore_failure: bool,
    /// Refuses to measure on a machine that is busy, throttled or otherwise unfit
    #[structopt(long)]
    pub strict: bool,
    /// Kept in the records; nothing is drawn any more
    #[structopt(long, value_name = "SEED", default_value = "1", parse(try_from_str = number))]
    pub seed: u64,
    /// The command and its arguments, after `--`
    #[structopt(name = "CMD", required = true, parse(from_os_str))]
    pub command: Vec<OsString>,
}

/// One way of running the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// Wall time and what wait4 tells.
    Wall,
    /// Hardware counters.
    Counters,
    /// Peak memory.
    Memory,
}

impl Pass {
    const ALL: [Self; 3] = [Self::Wall, Self::Counters, Self::Memory];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Counters => "counters",
            Self::Memory => "memory",
        }
    }
}

impl FromStr for Pass {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        let named = Self::ALL.into_iter().find(|pass| pass.name() == text);
        named.ok_or_else(|| ArgumentError::NoPass(text.to_owned()))
    }
}

/// What is wrong with an argument.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    /// Of `--passes`.
    #[error("{}", ids::unknown("pass", .0, &Pass::ALL.map(|pass| pass.name().to_owned())))]
    NoPass(String),
    /// Of an option that takes a number.
    #[error("`{0}` is not a whole number in range")]
    NoNumber(String),
}

/// Why a command could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A number out of range.
    #[error(transparent)]
    Usage(#[from] OutOfRange),
    /// The command cannot be started.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It ran and failed.
    #[error(
        "`{program}` failed in run {run} of pass {pass} ({how}): see why with --show-output, or go on all the same with --ignore-failure"
    )]
    Failed {
        program: String,
        pass: &'static str,
        /// From 1, or which warm-up.
        run: String,
        /// Exit code or signal.
        how: ExitStatus,
    },
    /// The results cannot be written.
    #[error("cannot write {}: {cause}, choose another file with --json", path.display())]
    Output {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Refused under `--strict`.
    #[error("this machine is not fit to measure on: {}", .0.words())]
    Unfit(#[from] Unfit),
    /// The command could not be killed on a signal to us.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// This kernel cannot tell memory at all.
    #[error("cannot weigh processes: {0}")]
    Memory(#[from] MemoryError),
    /// The kernel refuses something else that measuring needs.
    #[error("cannot {what}: {}", errno.desc())]
    Kernel {
        /// In words.
        what: &'static str,
        #[source]
        errno: Errno,
    },
}

impl HasExit for CommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Program(_) => Exit::Usage,
            Self::Failed { .. } => Exit::StartFailed,
            Self::Output { .. } => Exit::Output,
            Self::Unfit(_) => Exit::Unavailable,
            Self::Signals(_) | Self::Memory(_) | Self::Kernel { .. } => Exit::Failed,
        }
    }
}

/// Measures `options.command` and prints what was found. What was measured before a failure or a
/// signal is printed and written all the same.
///
/// # Errors
/// The command cannot be found, started or failed; the output cannot be written.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    check(&options)?;
    let output = Output::open(options.json.as_deref())?;
    let program = Program::find(&options.command, Streams::open(&options)?)?;
    interrupt::install()
        .and_then(|()| tree::kill_on_signal())
        .map_err(CommandError::Signals)?;
    tree::adopt_orphans();
    let environment = probes::environment::capture();
    environment.heed(options.strict)?;
    let mut session = Session::new(&options, &program, Report::new(&options, environment));
    let mut outcome = Ok(());
    for pass in Pass::ALL {
        if outcome.is_ok() && options.passes.contains(&pass) && interrupt::received().is_none() {
            outcome = session.run(pass);
            // A killed run keeps the passes that were over.
            output.keep(&session.report)?;
        }
    }
    if interrupt::received().is_some() {
        tree::end_all();
    }
    let mut report = session.report;
    report.finish();
    output.finish(&report)?;
    outcome?;
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

fn number<T: FromStr>(text: &str) -> Result<T, ArgumentError> {
    text.parse()
        .map_err(|_| ArgumentError::NoNumber(text.to_owned()))
}

fn check(options: &Options) -> Result<(), CommandError> {
    in_range("-n", options.runs, 1..=MAX_RUNS)?;
    in_range("--warmup", options.warmup, 0..=MAX_RUNS)?;
    Ok(())
}
