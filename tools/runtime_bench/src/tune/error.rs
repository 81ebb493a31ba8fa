//! What keeps `tune` from tuning, or from putting back.

use std::fmt;
use std::io;
use std::path::PathBuf;

use measure_core::base::exit::{Exit, HasExit};

/// Why `tune` did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// Only root may change settings of the kernel.
    #[error("`tune` changes settings of the kernel: run it as root (`tune status` needs none)")]
    NotRoot,
    /// Another one changes them now.
    #[error("another `runtime_bench tune` is at work, it holds {}", .0.display())]
    Busy(PathBuf),
    /// What was found, or the lock, cannot be read, written or removed.
    #[error("{}: {source}", path.display())]
    State {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The file of what was found, or its directory, is not such that it may be believed.
    #[error(
        "{} is not to be trusted, {why}: nothing was changed; look at it and remove it",
        path.display()
    )]
    Untrusted {
        /// The file or directory.
        path: PathBuf,
        /// What speaks against it.
        why: Distrust,
    },
    /// The file of what was found is cut short, or not ours.
    #[error(
        "{} does not say what was found ({source}): remove it; a reboot puts all settings back",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// Some of it could not be put back; all of it is still in the file.
    #[error(
        "cannot put back {}; {} still says what was found: try `tune off` again",
        listed(left),
        kept_in.display()
    )]
    NotRestored {
        /// What is not as it was found.
        left: Vec<Refused>,
        /// The file of what was found.
        kept_in: PathBuf,
    },
    /// The command of `tune run` cannot be started or waited for.
    #[error("cannot run {program}: {source}")]
    Command {
        /// As it was given.
        program: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// What was done cannot be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

/// What speaks against a file that says what to write to the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Whoever owns it says what root writes.
    #[error("it belongs to user {0}")]
    Owner(u32),
    /// Others may have written it.
    #[error("others than its owner may write to it")]
    Writable,
    /// It names a file that is none of the settings'.
    #[error("it names a file that `tune` never changes")]
    Path,
    /// It was written by a `tune` of another form.
    #[error("it has form {0}, not that of this `tune`")]
    Schema(u32),
}

/// A file of the kernel's that does not take a value.
#[derive(Debug, thiserror::Error)]
#[error("{} to `{value}`: {source}", path.display())]
pub struct Refused {
    /// The file.
    pub path: PathBuf,
    /// What was written to it.
    pub value: String,
    /// What the kernel says.
    pub source: io::Error,
}

fn listed(left: &[Refused]) -> impl fmt::Display {
    let each: Vec<_> = left.iter().map(Refused::to_string).collect();
    each.join(", ")
}

impl HasExit for TuneError {
    fn exit(&self) -> Exit {
        match self {
            Self::NotRoot => Exit::Unavailable,
            Self::Busy(_) => Exit::Busy,
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::Usage,
            Self::Output(_) => Exit::Output,
            Self::State { .. }
            | Self::Untrusted { .. }
            | Self::Unreadable { .. }
            | Self::NotRestored { .. }
            | Self::Command { .. } => Exit::Failed,
        }
    }
}
