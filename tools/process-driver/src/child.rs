//! A process that is started: its phases, what it reads, and how it began and ended, in words.

use std::fs::File;
use std::io;

use measure_core::driver_kit::spawn::Program;
use measure_core::driver_kit::stored_function::StdinFile;
use measure_core::driver_kit::{BoxedError, DriverError};
use nix::sys::wait::WaitStatus;

/// Phases of a start.
pub mod phase {
    /// From asked for to loaded: clone, exec.
    pub const SPAWN: &str = "spawn";
    /// From there until its end is known here: dynamic set-up of the C library, `main`, exit.
    pub const RUN: &str = "run";
    /// Of a handler in a runtime's namespace: from killing it until the runtime has taken down the rest.
    pub const END: &str = "end";
    /// Collecting what is left of it.
    pub const REAP: &str = "reap";
}

/// What a start reads, from its beginning.
pub(crate) fn opened(stdin: Option<&StdinFile>) -> Result<Option<File>, DriverError> {
    let opened = stdin.map(StdinFile::open).transpose();
    opened.map_err(|e| DriverError::failed("cannot open the function's standard input", e))
}

/// How a process ended, after its name.
pub(crate) fn in_words(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("ended with exit code {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("was killed by {signal}"),
        other => format!("ended strangely ({other:?})"),
    }
}

pub(crate) fn check_status(function: &str, status: WaitStatus) -> Result<(), DriverError> {
    match status {
        WaitStatus::Exited(_, 0) => Ok(()),
        other => Err(ended_badly(
            other,
            format!("{function} {}", in_words(other)),
        )),
    }
}

/// The error of a process that ended with `status`, `words` said of it.
pub(crate) fn ended_badly(status: WaitStatus, words: String) -> DriverError {
    match status {
        WaitStatus::Exited(_, code) => DriverError::Exited { code, words },
        _ => DriverError::StartFailed(words),
    }
}

pub(crate) fn cannot_wait(error: impl Into<BoxedError>) -> DriverError {
    DriverError::failed("cannot wait for a process", error)
}

pub(crate) fn no_process(program: &Program, error: io::Error) -> DriverError {
    let program = program.path().to_string_lossy();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOMEM) => DriverError::Failed(format!(
            "no process to be had: {error}; ulimit -u, kernel.threads-max, kernel.pid_max and the cgroup's pids.max bound them"
        )),
        Some(libc::ENOEXEC) => DriverError::Failed(format!(
            "{program} is no executable of this machine: {error}; build the demo functions with `make functions`, bring your own anew with `runtime_bench add`"
        )),
        _ => DriverError::failed(format!("cannot execute {program}"), error),
    }
}
