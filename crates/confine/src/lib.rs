//! Work on what strangers sent (compiling their modules), in a process of its own with limits: CPU time, time by the
//! clock, memory, the size and number of files, no network, and nothing to read or write but what it needs.
//!
//! * Limits are the kernel's (`setrlimit`) and hold for each process of the work; time by the clock is ours, and ends all of them.
//! * There is no network because no socket can be made: a seccomp filter needs no privilege, so it is the same for root and
//!   for users, in containers and out of them.
//! * A program of ours gives up all but its own memory and its open descriptors once it runs ([`give_up_rights`]); other programs
//!   see the directories they are given ([`Files`]), where the kernel has Landlock.
//! * Where the host runs out of memory all the same, the kernel ends the work first.
//! * The work dies with whoever asked for it: `PR_SET_PDEATHSIG`, and [`run`] asks ten times a second and more whether it is still wanted.

mod compile;
mod files;
mod filter;
mod run;

pub use compile::{CPU_VARIABLE, CompileLimits, MEMORY_VARIABLE, NoNumber, Scale};
pub use files::Files;
pub use filter::{FilterError, give_up_rights};
pub use run::{Job, Output, run};

use std::io;
use std::path::Path;
use std::time::Duration;

/// What the work may use. All but `wall_time` hold for each of its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// CPU time, in whole seconds, begun ones counted.
    pub cpu_time: Duration,
    /// Time by the clock.
    pub wall_time: Duration,
    /// Private memory that can be written to (`RLIMIT_DATA`), in bytes.
    pub memory_bytes: u64,
    /// The largest file, its output too, in bytes.
    pub file_bytes: u64,
    /// Descriptors.
    pub open_files: u64,
}

/// Why the work is not done.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// No process to be had, or not one that is confined.
    #[error("cannot start it confined: {0}")]
    Start(#[source] io::Error),
    /// The filter of system calls cannot be made.
    #[error("cannot start it confined: {0}")]
    Filter(#[from] FilterError),
    /// The directories that it may use cannot be told to the kernel.
    #[error("cannot start it confined: {0}")]
    Files(#[from] landlock::RulesetError),
    /// It is no longer wanted.
    #[error("it was given up")]
    GivenUp,
    /// More CPU time.
    #[error("it takes more than {0:?} of CPU time")]
    CpuTime(Duration),
    /// More time by the clock.
    #[error("it takes more than {0:?}")]
    WallTime(Duration),
    /// More memory.
    #[error("it takes more than {} MiB of memory", .0 >> 20)]
    Memory(u64),
    /// A larger file.
    #[error("it makes a file of more than {} MiB", .0 >> 20)]
    FileSize(u64),
    /// It ended otherwise than well.
    #[error("{how}{}", quoted(.said))]
    Failed {
        /// Its exit code, if it has one.
        code: Option<i32>,
        /// How it ended, in words.
        how: String,
        /// The last that it said on standard error, in one line.
        said: String,
    },
}

/// What of it this kernel lacks, with what follows from that.
#[must_use]
pub fn missing_here() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !Path::new("/proc/sys/kernel/seccomp/actions_avail").exists() {
        missing.push("this kernel has no filters of system calls (CONFIG_SECCOMP_FILTER), so nothing can be compiled");
    }
    if !matches!(Files::default().rules(), Ok(Some(_))) {
        missing.push("this kernel hides no files from a process (Landlock, Linux 5.13), so wasm2c and clang see all that their user may read");
    }
    missing
}

fn quoted(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" (it said: {text})")
    }
}
