//! What can go wrong with a run as a whole, and with one driver.

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::range::OutOfRange;
use measure_core::contract::run_dir::RunDirError;

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
        /// Which.
        rung: String,
        /// Why.
        error: SessionError,
    },
    /// The tables cannot be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] std::io::Error),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<OutOfRange> for BenchError {
    fn from(error: OutOfRange) -> Self {
        Self::Usage(error.to_string())
    }
}

impl HasExit for BenchError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::RunDir(error) => error.exit(),
            Self::Rung { error, .. } => error.exit(),
            Self::Output(_) => Exit::Output,
            Self::Failed(_) => Exit::Failed,
        }
    }
}

/// What can go wrong with a driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
        /// How.
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
    Protocol(String),
    /// It cannot be started.
    #[error("cannot start {driver}: {why}")]
    Start {
        /// The executable.
        driver: String,
        /// What the kernel says.
        why: String,
    },
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
            Self::AllFailed(_) => Exit::StartFailed,
            Self::Protocol(_) | Self::Start { .. } => Exit::Failed,
        }
    }
}

/// The exit code with the number `code`.
#[must_use]
pub fn exit_of(code: u8) -> Exit {
    [
        Exit::Ok,
        Exit::Usage,
        Exit::Unavailable,
        Exit::StartFailed,
        Exit::Output,
        Exit::Busy,
        Exit::EngineLost,
        Exit::Interrupted,
        Exit::Terminated,
    ]
    .into_iter()
    .find(|&exit| exit as u8 == code)
    .unwrap_or(Exit::Failed)
}
