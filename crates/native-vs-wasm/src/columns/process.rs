//! One run, one process: started without a shell, waited for with a limit, its output kept in memory. Every column's
//! runs go through here.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::interrupt;
use measure_core::base::words::one_line;
use measure_core::driver_kit::spawn;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::{OUTPUT_LIMIT_BYTES, phase};
use crate::capture::Capture;
use crate::column::{Run, RunError, Task};

/// Kept of what a failed program says.
const LAST_WORDS_CHARS: usize = 300;

/// A program and what it is given.
#[derive(Debug, Clone, Default)]
pub struct Executable {
    /// The program.
    pub path: PathBuf,
    /// Arguments before those of the task.
    pub args: Vec<OsString>,
    /// Its whole environment, but for what differs between replicates.
    pub env: Vec<(String, String)>,
    /// What it reads from its standard input; nothing is an empty file.
    pub stdin: Option<PathBuf>,
    /// What it was made from, as far as that is there: it must not be older.
    pub sources: Vec<PathBuf>,
}

/// Runs processes one after another.
pub(crate) struct Runner {
    timeout: Duration,
    /// The command that builds the program, for error messages.
    mend: String,
    null: File,
    stdout: Capture,
    stderr: Capture,
}

/// A process that exited with 0.
pub(crate) struct Exited {
    /// From asked for to reaped.
    pub(crate) whole: Phases,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Exited {
    /// The run of a program that is timed as a whole process.
    pub(crate) fn into_run(self, task: Task) -> Run {
        Run {
            process_ns: self.whole.total_ns,
            whole: self.whole,
            output: if task == Task::Dump {
                self.stderr
            } else {
                self.stdout
            },
        }
    }
}

impl Runner {
    /// For processes that may take `timeout` each.
    pub(crate) fn new(timeout: Duration, mend: &str) -> io::Result<Self> {
        Ok(Self {
            timeout,
            mend: mend.to_owned(),
            null: OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/null")?,
            stdout: Capture::new(OUTPUT_LIMIT_BYTES)?,
            stderr: Capture::new(OUTPUT_LIMIT_BYTES)?,
        })
    }

    /// One process of `executable` with the further arguments `words`, laid out beforehand.
    pub(crate) fn run(
        &mut self,
        executable: &Executable,
        words: Vec<OsString>,
        variables: Vec<(String, String)>,
    ) -> Result<Exited, RunError> {
        let program = lay_out(executable, &words, &variables);
        let program = program.map_err(RunError::system("cannot start"))?;
        let stdin = executable.stdin.as_ref().map(File::open).transpose();
        let stdin = stdin.map_err(RunError::system("cannot open its standard input"))?;
        let stdin = stdin.as_ref().unwrap_or(&self.null);
        let streams = [stdin.as_fd(), self.stdout.fd(), self.stderr.fd()];
        let mut clock = PhaseClock::start();
        let spawned = program.spawn(streams);
        clock.lap(phase::SPAWN);
        let mut child = spawned.map_err(|e| self.refused(executable, &e))?;
        let ended = child.ended(self.timeout);
        clock.lap(phase::RUN);
        if !ended.map_err(RunError::system("cannot wait"))? {
            child.kill();
        }
        let status = child.reap();
        clock.lap(phase::REAP);
        let taken = self
            .stdout
            .take()
            .and_then(|out| Ok((out, self.stderr.take()?)));
        let (stdout, stderr) = taken.map_err(RunError::system("cannot read its output"))?;
        let whole = clock.finish();
        if interrupt::received().is_some() {
            return Err(RunError::Interrupted);
        }
        let status = status.map_err(RunError::system("cannot wait"))?;
        self.judge(status, &whole, &stderr)?;
        Ok(Exited {
            whole,
            stdout,
            stderr,
        })
    }

    fn refused(&self, executable: &Executable, error: &io::Error) -> RunError {
        let path = executable.path.display();
        let mend = &self.mend;
        RunError::Failed(match error.raw_os_error() {
            Some(libc::ENOEXEC) => {
                format!("{path} is not an executable of this system; `{mend}` builds it")
            }
            Some(libc::ENOENT) => {
                format!("{path} or its loader is missing; `{mend}` builds it")
            }
            _ => format!("cannot start {path}: {error}"),
        })
    }

    fn judge(&self, status: WaitStatus, whole: &Phases, stderr: &[u8]) -> Result<(), RunError> {
        let how = match status {
            WaitStatus::Exited(_, 0) => return Ok(()),
            WaitStatus::Exited(_, code) => format!("exit code {code}"),
            WaitStatus::Signaled(_, Signal::SIGKILL, _)
                if u128::from(whole.total_ns) >= self.timeout.as_nanos() =>
            {
                return Err(RunError::Timeout(self.timeout));
            }
            WaitStatus::Signaled(_, Signal::SIGILL, _) => format!(
                "ended by SIGILL: built for a CPU with other instructions? `{}` builds it for this one",
                self.mend
            ),
            WaitStatus::Signaled(_, signal, _) => format!("ended by {signal}"),
            other => format!("{other:?}"),
        };
        let said = String::from_utf8_lossy(stderr);
        let mut said = one_line(&said, LAST_WORDS_CHARS);
        if !said.is_empty() {
            said = format!(" (it said: {said})");
        }
        Err(RunError::Failed(how + &said))
    }
}

fn lay_out(
    executable: &Executable,
    words: &[OsString],
    variables: &[(String, String)],
) -> io::Result<spawn::Program> {
    let arguments = executable.args.iter().chain(words);
    let environment = executable.env.iter().chain(variables);
    spawn::Program::new(
        &executable.path,
        arguments.map(OsString::as_os_str).collect::<Vec<&OsStr>>(),
        environment.map(|(name, value)| (name.as_str(), value.as_str())),
    )
}
