//! What can go wrong with a run as a whole, and with one driver.

use std::io;

use isolation::IsolationError;
use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::range::OutOfRange;
use measure_core::contract::protocol::ProtocolError;
use measure_core::contract::run_dir::RunDirError;
use probes::kernel_memory::KernelMemoryError;
use probes::memory::MemoryError;
use report::load::hdr::HdrError;

use crate::drivers::UnknownRung;
use crate::functions::FunctionError;
use crate::load::ScriptError;
use crate::tune::TuneError;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The command line asks for what does not exist or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// This host cannot do it.
    #[error("{0}")]
    Unavailable(String),
    /// The output, a lock, or the records.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A rung failed; the others were measured.
    #[error("{rung}: {error}")]
    Rung {
        /// Ladder id.
        rung: String,
        /// What happened to its driver.
        #[source]
        error: SessionError,
    },
    /// The memory of processes cannot be read here.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The host's own memory cannot be read.
    #[error(transparent)]
    KernelMemory(#[from] KernelMemoryError),
    /// Probes cannot be run, or their results not read.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// The tables cannot be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// Signals would end a run without clearing up.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// Settings of the host could not be changed or put back.
    #[error(transparent)]
    Tune(#[from] TuneError),
    /// A function is not brought, or not found.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// A mix or a trace cannot be read, or makes no sense.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// Nothing can let arrivals go.
    #[error("no thread for the generator: {0}")]
    Generator(#[source] io::Error),
    /// Latencies that no histogram holds.
    #[error(transparent)]
    Histogram(#[from] HdrError),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<UnknownRung> for BenchError {
    fn from(error: UnknownRung) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<OutOfRange> for BenchError {
    fn from(error: OutOfRange) -> Self {
        Self::Usage(error.to_string())
    }
}

impl HasExit for BenchError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Script(_) => Exit::Usage,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::RunDir(error) => error.exit(),
            Self::Rung { error, .. } => error.exit(),
            Self::Tune(error) => error.exit(),
            Self::Function(error) => error.exit(),
            Self::Isolation(error) => error.exit(),
            Self::Output(_) => Exit::Output,
            Self::Memory(_)
            | Self::KernelMemory(_)
            | Self::Signals(_)
            | Self::Generator(_)
            | Self::Histogram(_)
            | Self::Failed(_) => Exit::Failed,
        }
    }
}

/// What can go wrong with a driver.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A signal came to us.
    #[error("interrupted")]
    Interrupted(Exit),
    /// The driver said that it failed.
    #[error("{error}")]
    Said {
        /// Its message.
        error: String,
        /// Its exit code.
        exit: Exit,
    },
    /// The driver is gone without a word.
    #[error("the driver died ({status}){}", said(stderr))]
    Died {
        /// Exit code or signal, in words.
        status: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// It did not answer in time and was ended.
    #[error(
        "the driver was stuck {what} for {seconds} s and was ended{}",
        said(stderr)
    )]
    Stuck {
        /// In words: doing what.
        what: String,
        /// How long we waited.
        seconds: u64,
        /// The end of its standard error.
        stderr: String,
    },
    /// It does not speak our language.
    #[error("the driver said something unexpected: {0}")]
    Protocol(#[from] ProtocolError),
    /// It says what does not belong here.
    #[error("the driver said something unexpected: {0}")]
    Unexpected(String),
    /// What it says cannot be read.
    #[error("the driver said something unexpected: {0}")]
    Unreadable(#[source] io::Error),
    /// It cannot be started.
    #[error("cannot start {driver}: {source}")]
    Start {
        /// The executable.
        driver: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The clock of its samples is not ours.
    #[error(
        "a start at {start_ns} to {end_ns} ns lies outside of when it was asked for and told of, {asked_ns} to {told_ns}: CLOCK_MONOTONIC stepped, \
         or the driver reads another one (a time namespace); mend the host's clock and measure again"
    )]
    Clock {
        /// When it says that the start was asked for.
        start_ns: u64,
        /// And over.
        end_ns: u64,
        /// When we asked for its batch.
        asked_ns: u64,
        /// When we read of it.
        told_ns: u64,
    },
    /// The function is not to be measured on this rung.
    #[error("{words}")]
    OtherAnswer {
        /// What it answered, or why it did not.
        words: String,
        /// Whether the rung could have run it.
        is_failure: bool,
    },
    /// It was not waited for, so that the host keeps what it needs.
    #[error("{0}")]
    GivenUp(String),
    /// Every one of the first starts failed.
    #[error("every start failed: {0}")]
    AllFailed(String),
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(", its last words: {stderr}")
    }
}

impl HasExit for SessionError {
    fn exit(&self) -> Exit {
        match self {
            Self::Interrupted(exit) | Self::Said { exit, .. } => *exit,
            Self::Died { .. } | Self::Stuck { .. } => Exit::EngineLost,
            Self::AllFailed(_)
            | Self::OtherAnswer {
                is_failure: true, ..
            } => Exit::StartFailed,
            Self::OtherAnswer { .. } => Exit::Unavailable,
            Self::Protocol(_)
            | Self::Unexpected(_)
            | Self::Unreadable(_)
            | Self::Start { .. }
            | Self::GivenUp(_)
            | Self::Clock { .. } => Exit::Failed,
        }
    }
}

/// What ended a step of a measurement.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The rung's driver: the other rungs go on.
    #[error(transparent)]
    Rung(#[from] SessionError),
    /// What the whole run cannot do without.
    #[error(transparent)]
    Run(#[from] BenchError),
}

impl StepError {
    /// The rung's failure, after which the run goes on.
    ///
    /// # Errors
    /// It is the run's.
    pub fn of_rung(self) -> Result<SessionError, BenchError> {
        match self {
            Self::Rung(error) => Ok(error),
            Self::Run(error) => Err(error),
        }
    }
}

impl From<RunDirError> for StepError {
    fn from(error: RunDirError) -> Self {
        Self::Run(error.into())
    }
}
