//! Starting a program the cheapest way there is, and what the kernel says of it at its end.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{AccessFlags, Pid, access};

use super::streams::Streams;
use measure_core::base::clock::now_ns;
use measure_core::base::programs::{file_in, find_in};

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// No such file in PATH.
    #[error(
        "command not found: `{0}` is in no directory of PATH, give its path (./{0}) or install it"
    )]
    NotInPath(String),
    /// No such file.
    #[error("command not found: there is no file {}", .0.display())]
    NoFile(PathBuf),
    /// Not a program.
    #[error("{} cannot be executed: {}", path.display(), no_program(*errno))]
    NotExecutable {
        path: PathBuf,
        #[source]
        errno: Errno,
    },
    /// An argument with a NUL byte.
    #[error("an argument or environment variable holds a NUL byte")]
    Nul,
    /// Its input or output cannot be opened.
    #[error("cannot open {}: {cause}", path.display())]
    Stream {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// The kernel refuses to start it.
    #[error("cannot start {}: {}", path.display(), not_started(*errno))]
    Start {
        path: PathBuf,
        #[source]
        errno: Errno,
    },
}

fn no_program(errno: Errno) -> &'static str {
    match errno {
        Errno::EISDIR => "it is a directory",
        Errno::EACCES => "no permission, `chmod +x` it",
        errno => errno.desc(),
    }
}

fn not_started(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOEXEC => {
            "it is neither a binary of this machine nor a script with an interpreter line (#!/bin/sh)"
        }
        Errno::ENOENT => "its interpreter or dynamic loader is missing",
        errno => errno.desc(),
    }
}

/// A program ready to be started again and again: found, with its arguments and environment laid out.
pub struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    actions: PosixSpawnFileActions,
    attributes: PosixSpawnAttr,
    streams: Arc<Streams>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("path", &self.path)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

/// How a program ended and what the kernel counted for it and the children that it waited for.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// When it was asked for, `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// From there until wait4 returned.
    pub wall_ns: u64,
    /// Exit code or signal.
    pub status: ExitStatus,
    /// What it used.
    pub usage: Usage,
}

/// Of getrusage(2), in the units of our metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode; the kernel reports microseconds.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults with I/O.
    pub major_faults: u64,
    /// Switches because it waited.
    pub voluntary_switches: u64,
    /// Switches because others were to run.
    pub involuntary_switches: u64,
    /// Read from storage (not from the page cache), in blocks of 512 bytes.
    pub read_bytes: u64,
    /// Dirtied, to be written to storage.
    pub write_bytes: u64,
    /// Largest resident set of any one process of the tree. Between vfork and exec a process borrows
    /// its parent's memory, and Linux counts that too: below the caller's own peak it says nothing.
    pub max_rss_bytes: u64,
}

impl Program {
    /// Finds `words[0]` as a shell would and lays everything out, so that nothing of it is in the
    /// timed path. The program starts in a process group of its own with default signal handling.
    ///
    /// # Errors
    /// There is no such program.
    pub fn find(
        words: &[OsString],
        streams: impl Into<Arc<Streams>>,
    ) -> Result<Self, ProgramError> {
        let streams = streams.into();
        let path = find(words.first().map_or(OsStr::new(""), OsString::as_os_str))?;
        let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| ProgramError::Nul);
        let environment = env::vars_os()
            .map(|(name, value)| c_string([name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<Result<_, _>>()?;
        let refused = |errno| ProgramError::Start {
            path: path.clone(),
            errno,
        };
        Ok(Self {
            arguments: words
                .iter()
                .map(|word| c_string(word.clone().into_vec()))
                .collect::<Result<_, _>>()?,
            environment,
            actions: streams.actions().map_err(refused)?,
            attributes: attributes().map_err(refused)?,
            path: c_string(path.clone().into_os_string().into_vec())?,
            streams,
        })
    }

    /// The file that is started.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsStr::from_bytes(self.path.to_bytes()))
    }

    /// Starts it and waits for its end: posix_spawn (vfork and exec in one, no shell, no copied page
    /// tables), then wait4.
    ///
    /// # Errors
    /// The kernel refuses to start it.
    pub fn run(&self) -> Result<Ended, ProgramError> {
        self.run_noting(|_| ())
    }

    /// [`Program::run`] that tells the process id as soon as it is known; `started` is in the timed
    /// path.
    ///
    /// # Errors
    /// The kernel refuses to start it.
    pub fn run_noting(&self, started: impl FnOnce(i32)) -> Result<Ended, ProgramError> {
        self.streams.rewind();
        let start_ns = now_ns();
        let child = posix_spawn(
            self.path.as_c_str(),
            &self.actions,
            &self.attributes,
            &self.arguments,
            &self.environment,
        );
        let ended = child.and_then(|child| {
            started(child.as_raw());
            wait(child).map(|end| (now_ns(), end))
        });
        let (end_ns, (status, usage)) = ended.map_err(|errno| ProgramError::Start {
            path: self.path(),
            errno,
        })?;
        Ok(Ended {
            start_ns,
            wall_ns: end_ns.saturating_sub(start_ns),
            status,
            usage,
        })
    }

    /// The same program for the standard library's way of starting, which can run code of ours
    /// between fork and exec.
    pub(super) fn command(&self) -> io::Result<Command> {
        self.streams.rewind();
        let mut command = Command::new(self.path());
        let word = |word: &CString| OsString::from_vec(word.to_bytes().to_vec());
        if let Some((name, arguments)) = self.arguments.split_first() {
            command.arg0(word(name)).args(arguments.iter().map(word));
        }
        command.process_group(0);
        self.streams.give_to(&mut command)?;
        Ok(command)
    }
}

fn attributes() -> Result<PosixSpawnAttr, Errno> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    // Rust programs ignore SIGPIPE, and an ignored signal stays ignored across exec.
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    attributes.set_sigmask(&SigSet::empty())?;
    Ok(attributes)
}

/// Waits for `child` and takes its usage.
pub(super) fn wait(child: Pid) -> Result<(ExitStatus, Usage), Errno> {
    let mut status = 0;
    // SAFETY: rusage is plain data for which all zeroes are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live values of the types that wait4 writes.
        let waited = unsafe { libc::wait4(child.as_raw(), &mut status, 0, &mut usage) };
        match Errno::result(waited) {
            Ok(_) => return Ok((ExitStatus::from_raw(status), Usage::from(&usage))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

impl From<&libc::rusage> for Usage {
    fn from(usage: &libc::rusage) -> Self {
        let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
        let ns = |time: libc::timeval| {
            u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
                + u64::try_from(time.tv_usec).unwrap_or(0) * 1000
        };
        Self {
            user_ns: ns(usage.ru_utime),
            system_ns: ns(usage.ru_stime),
            minor_faults: count(usage.ru_minflt),
            major_faults: count(usage.ru_majflt),
            voluntary_switches: count(usage.ru_nvcsw),
            involuntary_switches: count(usage.ru_nivcsw),
            read_bytes: count(usage.ru_inblock) * 512,
            write_bytes: count(usage.ru_oublock) * 512,
            max_rss_bytes: count(usage.ru_maxrss) * 1024,
        }
    }
}

/// Whether a shell would start a file for `name`.
pub(super) fn is_program(name: &OsStr) -> bool {
    find(name).is_ok()
}

/// The file that a shell would start for `name`.
fn find(name: &OsStr) -> Result<PathBuf, ProgramError> {
    let refused = |path, errno| ProgramError::NotExecutable { path, errno };
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match access(&path, AccessFlags::X_OK) {
            // A directory may be "executed" too, by the same bit.
            Ok(()) if path.is_dir() => Err(refused(path, Errno::EISDIR)),
            Ok(()) => Ok(path),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Err(ProgramError::NoFile(path)),
            Err(errno) => Err(refused(path, errno)),
        };
    }
    let directories = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    if let Some(path) = find_in(name, &directories) {
        return Ok(path);
    }
    match file_in(name, &directories) {
        Some(path) => Err(refused(path, Errno::EACCES)),
        None => Err(ProgramError::NotInPath(name.to_string_lossy().into_owned())),
    }
}

#[cfg(test)]
mod tests;
