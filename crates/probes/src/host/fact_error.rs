//! Why a fact about the machine is unknown, in the words that `environment.json` has.

use std::io;

use nix::errno::Errno;
use procfs::ProcError;

/// Why something about the host is not known.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    #[error("this kernel has no {0}")]
    NoFile(String),
    #[error("cannot read {path}: {cause}")]
    Read {
        path: String,
        #[source]
        cause: io::Error,
    },
    #[error("cannot understand {path}: {cause}")]
    Parse {
        path: &'static str,
        #[source]
        cause: ProcError,
    },
    #[error("{what} holds no {wanted} but `{text}`")]
    Malformed {
        what: String,
        wanted: &'static str,
        text: String,
    },
    #[error("{path} chooses nothing: `{text}`")]
    NoChoice { path: String, text: String },
    #[error("/proc/cpuinfo has no `{0}` on this architecture")]
    NoCpuField(&'static str),
    #[error("sched_getaffinity: {0}")]
    Affinity(#[source] Errno),
    /// Not to be had on a machine like this one.
    #[error("{0}")]
    NotHere(&'static str),
    #[error(transparent)]
    Executable(#[from] io::Error),
    #[error("cannot run git: {0}")]
    RunGit(#[source] io::Error),
    #[error("git {command}: {said}")]
    Git { command: String, said: String },
}

impl FactError {
    pub(crate) fn no_number(what: &str, text: &str) -> Self {
        Self::Malformed {
            what: what.to_owned(),
            wanted: "number",
            text: text.to_owned(),
        }
    }
}
