//! Native executables, each run in a process of its own.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use measure_core::base::clock::PhaseClock;
use measure_core::base::files::sha256_of;
use measure_core::base::interrupt;
use measure_core::base::words::one_line;
use measure_core::driver_kit::spawn;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::{OUTPUT_LIMIT_BYTES, Words, phase};
use crate::capture::Capture;
use crate::column::{Benchmark, Column, NotReady, Program, Run, RunError, Task};

/// Kept of what a failed program says.
const LAST_WORDS_CHARS: usize = 300;

/// What runs a benchmark.
#[derive(Debug, Clone, Default)]
pub struct Executable {
    /// The program.
    pub path: PathBuf,
    /// Arguments before those of the task.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// What it was made from, as far as that is there: it must not be older.
    pub sources: Vec<PathBuf>,
}

/// A directory of native builds.
pub struct NativeColumn {
    /// `native`, `native-o3`, ...
    pub name: String,
    /// The program, its compiler, and the process it gets, in a sentence.
    pub summary: String,
    /// Compiler flags.
    pub settings: Vec<String>,
    /// The command that makes it, for error messages.
    pub mend: String,
    /// How long one run may take.
    pub timeout: Duration,
    /// Iterations that a process makes, if it is to make all.
    pub reuse: Option<u32>,
    /// Arguments of a task.
    pub words: Words,
    /// Where a benchmark is.
    pub locate: Box<dyn Fn(&Benchmark) -> Executable>,
}

impl NativeColumn {
    fn not_ready(&self, path: &Path, why: impl std::fmt::Display) -> NotReady {
        NotReady {
            why: format!("{} {why}", path.display()),
            mend: format!("`{}` builds it", self.mend),
        }
    }
}

impl Column for NativeColumn {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn settings(&self) -> Vec<String> {
        self.settings.clone()
    }

    fn processes(&self, iterations: u32) -> u32 {
        if self.reuse.is_some() { 1 } else { iterations }
    }

    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady> {
        let executable = (self.locate)(benchmark);
        let path = &executable.path;
        let data = fs::metadata(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.not_ready(path, "is missing"),
            _ => self.not_ready(path, format_args!("cannot be read ({error})")),
        })?;
        if !data.is_file() || data.permissions().mode() & 0o111 == 0 {
            return Err(self.not_ready(path, "is no executable file"));
        }
        runs_here(path).map_err(|why| self.not_ready(path, why))?;
        let built = data.modified().map_err(|e| self.not_ready(path, e))?;
        let newer = executable.sources.iter().find(|source| {
            fs::metadata(source)
                .and_then(|data| data.modified())
                .is_ok_and(|changed| changed > built)
        });
        newer.map_or(Ok(()), |source| {
            let source = source.display();
            Err(self.not_ready(path, format_args!("is stale: {source} is newer")))
        })
    }

    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady> {
        let executable = (self.locate)(benchmark);
        let capture = || Capture::new(OUTPUT_LIMIT_BYTES);
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let ready = capture().and_then(|out| Ok((out, capture()?, null?)));
        let (stdout, stderr, null) = ready.map_err(|e| self.not_ready(&executable.path, e))?;
        Ok(Box::new(NativeProgram {
            column: self,
            executable,
            laid_out: None,
            null,
            stdout,
            stderr,
        }))
    }

    fn hash(&self, benchmark: &Benchmark) -> io::Result<String> {
        sha256_of(&(self.locate)(benchmark).path)
    }
}

/// Why a file is no program for this host, in words that go on from its name.
#[derive(Debug, thiserror::Error)]
enum Foreign {
    #[error("cannot be judged ({0})")]
    Unjudged(#[source] io::Error),
    #[error("cannot be read ({0})")]
    Unreadable(#[source] io::Error),
    #[error("is not an executable of this system (no ELF header)")]
    NoElf,
    #[error(
        "is foreign: built for ELF machine {machine} ({bits} bit), this host is {own_machine} ({own_bits} bit)"
    )]
    Machine {
        machine: u16,
        bits: u32,
        own_machine: u16,
        own_bits: u32,
    },
}

/// Whether `path` is an ELF executable of our own kind, by comparing its header with our own.
fn runs_here(path: &Path) -> Result<(), Foreign> {
    let header = |path: &Path| -> io::Result<[u8; 20]> {
        let mut bytes = [0; 20];
        File::open(path)?.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let ours = header(Path::new("/proc/self/exe")).map_err(Foreign::Unjudged)?;
    let theirs = match header(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => [0; 20],
        Err(error) => return Err(Foreign::Unreadable(error)),
    };
    if theirs[..4] != ours[..4] {
        return Err(Foreign::NoElf);
    }
    // Word size and byte order, and the machine.
    if theirs[4..6] != ours[4..6] || theirs[18..20] != ours[18..20] {
        let machine = |header: [u8; 20]| u16::from_le_bytes([header[18], header[19]]);
        return Err(Foreign::Machine {
            machine: machine(theirs),
            bits: 32 * u32::from(theirs[4]),
            own_machine: machine(ours),
            own_bits: 32 * u32::from(ours[4]),
        });
    }
    Ok(())
}

struct NativeProgram<'a> {
    column: &'a NativeColumn,
    executable: Executable,
    /// For the task that it was last run with.
    laid_out: Option<(Task, spawn::Program)>,
    null: File,
    stdout: Capture,
    stderr: Capture,
}

impl Program for NativeProgram<'_> {
    fn run(&mut self, task: Task) -> Result<Run, RunError> {
        let (_, program) = match self.laid_out.take() {
            Some(laid_out) if laid_out.0 == task => self.laid_out.insert(laid_out),
            _ => {
                let program = lay_out(&self.executable, (self.column.words)(task));
                let program = program.map_err(|e| RunError::system("cannot start", &e))?;
                self.laid_out.insert((task, program))
            }
        };
        let streams = [self.null.as_fd(), self.stdout.fd(), self.stderr.fd()];
        let mut clock = PhaseClock::start();
        let spawned = program.spawn(streams);
        clock.lap(phase::SPAWN);
        let mut child = spawned.map_err(|e| self.refused(&e))?;
        let ended = child.ended(self.column.timeout);
        clock.lap(phase::RUN);
        if !ended.map_err(|e| RunError::system("cannot wait", &e))? {
            child.kill();
        }
        let status = child.reap();
        clock.lap(phase::REAP);
        let taken = self
            .stdout
            .take()
            .and_then(|out| Ok((out, self.stderr.take()?)));
        let (stdout, stderr) = taken.map_err(|e| RunError::system("cannot read its output", &e))?;
        let whole = clock.finish();
        if interrupt::received().is_some() {
            return Err(RunError::Interrupted);
        }
        let status = status.map_err(|e| RunError::system("cannot wait", &e))?;
        self.judge(status, &whole, &stderr)?;
        let output = if task == Task::Dump { stderr } else { stdout };
        Ok(Run { whole, output })
    }
}

fn lay_out(executable: &Executable, words: Vec<String>) -> io::Result<spawn::Program> {
    let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    let arguments = executable
        .args
        .iter()
        .chain(&words)
        .map(OsString::as_os_str);
    let environment = executable.env.iter();
    spawn::Program::new(
        &executable.path,
        arguments.collect::<Vec<&OsStr>>(),
        environment.map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

impl NativeProgram<'_> {
    fn refused(&self, error: &io::Error) -> RunError {
        let path = self.executable.path.display();
        let mend = &self.column.mend;
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

    fn judge(
        &self,
        status: WaitStatus,
        whole: &measure_core::base::clock::Phases,
        stderr: &[u8],
    ) -> Result<(), RunError> {
        let how = match status {
            WaitStatus::Exited(_, 0) => return Ok(()),
            WaitStatus::Exited(_, code) => format!("exit code {code}"),
            WaitStatus::Signaled(_, Signal::SIGKILL, _)
                if u128::from(whole.total_ns) >= self.column.timeout.as_nanos() =>
            {
                return Err(RunError::Timeout(self.column.timeout));
            }
            WaitStatus::Signaled(_, Signal::SIGILL, _) => format!(
                "ended by SIGILL: built for a CPU with other instructions? `{}` builds it for this one",
                self.column.mend
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
