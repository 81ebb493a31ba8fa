//! What can go wrong before a function runs ([`FaasletError`]) and while it does ([`StartError`]).

use std::path::PathBuf;
use std::time::Duration;

/// Why a function cannot be had, installed or prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaasletError {
    /// Not in the store; the text lists what is and suggests the nearest.
    #[error("{0}")]
    UnknownFunction(String),
    /// A file or directory of the store cannot be used.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Others could replace what lies here, so no compiled code is loaded from it.
    #[error("refusing to load compiled code from {}: {cause}, so others could have put their code there; {fix}", path.display())]
    Untrusted {
        /// Which file or directory.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// The command that mends it.
        fix: String,
    },
    /// Not a module that can run here.
    #[error("{what} is refused: {cause}")]
    Refused {
        /// The function or file.
        what: String,
        /// Why.
        cause: String,
    },
    /// A snapshot of it cannot be taken.
    #[error("cannot take a snapshot of {what}: {cause}")]
    Snapshot {
        /// The function.
        what: String,
        /// Why.
        cause: String,
    },
    /// The engine cannot be set up.
    #[error("cannot set up the engine: {cause}{hint}")]
    Engine {
        /// What it said.
        cause: String,
        /// What to do about it, or empty.
        hint: &'static str,
    },
    /// The host lacks something.
    #[error("{why}, {mend}")]
    Host {
        /// What.
        why: String,
        /// How to mend it.
        mend: String,
    },
}

impl FaasletError {
    pub(crate) fn io(path: impl Into<PathBuf>, cause: impl std::fmt::Display) -> Self {
        Self::Io {
            path: path.into(),
            cause: cause.to_string(),
        }
    }

    pub(crate) fn refused(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Refused {
            what: what.to_string(),
            cause: cause.to_string(),
        }
    }

    pub(crate) fn snapshot(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Snapshot {
            what: what.to_string(),
            cause: cause.to_string(),
        }
    }
}

/// Why a start did not end with exit code 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It returned or exited with another code.
    #[error("exit code {code}{}", suffix(.note))]
    ExitCode {
        /// The code.
        code: i32,
        /// A limit it met, or what it said on standard error.
        note: String,
    },
    /// It did what Wasm forbids.
    #[error("trap: {cause}{}", suffix(.note))]
    Trap {
        /// Which, and where.
        cause: String,
        /// A limit it met, or what it said on standard error.
        note: String,
    },
    /// It computed for too long.
    #[error(
        "still running after the deadline of {0:?}; raise it with --deadline if it needs longer"
    )]
    Deadline(Duration),
    /// A signal asked the whole program to end.
    #[error("stopped because the run was interrupted")]
    Interrupted,
    /// The instance, thread, cgroup or namespace could not be had.
    #[error("cannot start: {0}")]
    Setup(String),
}

fn suffix(note: &str) -> String {
    if note.is_empty() {
        String::new()
    } else {
        format!(" ({note})")
    }
}

/// How a program ends by itself: `proc_exit` unwinds it with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("exit code {0}")]
pub(crate) struct ProcExit(pub(crate) i32);

/// Why a call does not return to its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the deadline passed in a call to the host")]
    Deadline,
    #[error("interrupted")]
    Interrupted,
}
