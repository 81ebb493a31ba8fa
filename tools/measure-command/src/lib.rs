//! Measures any command, or several by turns: the `measure-core` executable.
//!
//! Three passes, because measuring one thing disturbs another: wall time with nothing else going on
//! (what wait4(2) tells for free is read there too), hardware counters, and memory, under a tracer that
//! stops each process at its exit to weigh it.

mod baseline;
mod comparison;
mod exports;
mod left;
mod memory_pass;
mod options;
mod output;
mod parameters;
mod pass;
pub mod program;
mod report;
mod table;
mod task;
mod trace;
mod tree;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use nix::errno::Errno;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::interrupt;
use measure_core::base::stdout::print;
use measure_core::contract::environment::Unfit;
use output::Output;
use pass::Session;
use probes::memory::MemoryError;
use program::ProgramError;
use report::Report;

pub use options::{ArgumentError, Options, Pass, UsageError};

/// Why a command could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line makes no sense.
    #[error(transparent)]
    Usage(#[from] UsageError),
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
    /// What was to be run around a command failed.
    #[error("`{line}` of {option} failed ({how}): see why with --show-output")]
    Aside {
        /// Which option gave it.
        option: &'static str,
        line: String,
        /// Exit code or signal.
        how: ExitStatus,
    },
    /// The results cannot be written.
    #[error("cannot write {}: {cause}, choose another file with {option}", path.display())]
    Output {
        /// Which option named it.
        option: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Standard output takes no more.
    #[error("cannot write to standard output: {0}")]
    Print(#[source] io::Error),
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
            Self::Failed { .. } | Self::Aside { .. } => Exit::StartFailed,
            Self::Output { .. } | Self::Print(_) => Exit::Output,
            Self::Unfit(_) => Exit::Unavailable,
            Self::Signals(_) | Self::Memory(_) | Self::Kernel { .. } => Exit::Failed,
        }
    }
}

/// Measures the commands of `options` and prints what was found. What was measured before a failure or a
/// signal is printed and written all the same.
///
/// # Errors
/// A command cannot be found, started or failed; the output cannot be written.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    if options.schema {
        print(report::json_schema()).map_err(CommandError::Print)?;
        return Ok(Exit::Ok);
    }
    options.check()?;
    let output = Output::open(&options)?;
    let tasks = task::tasks(&options)?;
    interrupt::install()
        .and_then(|()| tree::kill_on_signal())
        .map_err(CommandError::Signals)?;
    tree::adopt_orphans();
    let environment = probes::environment::capture();
    environment.heed(options.strict)?;
    let mut report = Report::new(&options, &tasks, environment);
    if options.passes.contains(&Pass::Wall) {
        report.baselines = baseline::measure(options.shell_words()?.as_deref())?;
    }
    let mut session = Session::new(&options, &tasks, report);
    let mut outcome = Ok(());
    for group in groups(options.one_after_another, tasks.len()) {
        if outcome.is_ok() && interrupt::received().is_none() {
            // A killed run keeps the passes that were over.
            outcome = session.measure(&group, |report| output.keep(report));
        }
    }
    let mut report = session.report;
    report.finish();
    output.finish(&report)?;
    outcome?;
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

/// The tasks that take turns: all of them, or each by itself.
fn groups(one_after_another: bool, tasks: usize) -> Vec<Vec<usize>> {
    if one_after_another {
        return (0..tasks).map(|task| vec![task]).collect();
    }
    vec![(0..tasks).collect()]
}
