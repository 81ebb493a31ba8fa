//! Native executables, each run in a process of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use measure_core::base::files::sha256_of;

use super::process::Runner;
use super::{Executable, Words};
use crate::column::{About, Benchmark, Column, NotReady, Program, Run, RunError, Task};
use crate::layout::Layout;

/// A directory of native builds.
pub struct NativeColumn {
    /// What it is; its settings are the compiler's flags.
    pub about: About,
    /// The command that makes it, for error messages.
    pub mend: String,
    /// How long one run may take.
    pub timeout: Duration,
    /// The variable that its programs take the seed of string hashes from, if they do.
    pub hash_variable: Option<&'static str>,
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
    fn about(&self) -> &About {
        &self.about
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
        let runner = Runner::new(self.timeout, &self.mend);
        let runner = runner.map_err(|e| self.not_ready(&executable.path, e))?;
        Ok(Box::new(NativeProgram {
            column: self,
            executable,
            runner,
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
    runner: Runner,
}

impl Program for NativeProgram<'_> {
    fn run(&mut self, task: Task, layout: Layout) -> Result<Run, RunError> {
        let words = (self.column.words)(task);
        let words = words.into_iter().map(OsString::from).collect();
        let variables = layout.variables(self.column.hash_variable);
        let exited = self.runner.run(&self.executable, words, variables)?;
        Ok(exited.into_run(task))
    }
}
