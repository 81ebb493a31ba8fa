//! Why a command could not be measured.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::contract::environment::Unfit;
use nix::errno::Errno;
use probes::memory::MemoryError;

use super::options::UsageError;
use super::program::ProgramError;

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
