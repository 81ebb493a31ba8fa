//! What can go wrong, and the exit code of each.

use std::io;
use std::path::PathBuf;

use measure_core::base::exit::{Exit, HasExit};
use probes::memory::MemoryError;

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub enum WalkerError {
    /// Nothing to look at was named.
    #[error("nothing to walk: name a PID, --name NAME or --cgroup PATH (see --help)")]
    NoTarget,
    /// It has ended.
    #[error("no process {0}: it has ended, or is of another pid namespace")]
    NoProcess(i32),
    /// It has no memory of its own.
    #[error(
        "{pid} is a thread of process {process}: memory belongs to the process, walk {process}"
    )]
    Thread { pid: i32, process: i32 },
    /// Nothing is called so.
    #[error("no process is called `{name}`{}", meant(nearest.as_deref()))]
    NoName {
        name: String,
        nearest: Option<String>,
    },
    /// No directory of a cgroup.
    #[error("{} is no cgroup: it has no cgroup.procs, here or below {}", path.display(), list(mounts))]
    NoGroup { path: PathBuf, mounts: Vec<PathBuf> },
    /// All of it belongs to others.
    #[error("none of the {count} processes may be read: {why}")]
    Denied { count: usize, why: String },
    /// The host has no such numbers.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Standard output is full or closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
}

impl HasExit for WalkerError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoTarget => Exit::Usage,
            Self::Denied { .. } | Self::Memory(_) => Exit::Unavailable,
            Self::Output(_) => Exit::Output,
            Self::NoProcess(_)
            | Self::Thread { .. }
            | Self::NoName { .. }
            | Self::NoGroup { .. }
            | Self::Signals(_) => Exit::Failed,
        }
    }
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

fn list(mounts: &[PathBuf]) -> String {
    if mounts.is_empty() {
        return "any mounted hierarchy (there is none)".to_owned();
    }
    let mounts: Vec<_> = mounts.iter().map(|mount| mount.to_string_lossy()).collect();
    mounts.join(", ")
}
