//! One piece of work, from its start to its end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use measure_core::base::words::one_line;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid};
use seccompiler::BpfProgram;

use crate::filter::forbidding;
use crate::{ConfineError, Files, Limits};

/// How often it is asked whether the work is still wanted.
const ASK: Duration = Duration::from_millis(50);
/// Kept of what it says on standard error.
const SAID_CHARS: usize = 400;
const SAID_BYTES: u64 = 16 << 10;
/// How programs say that they get no more memory: Rust's, LLVM's, C++'s, the C library.
const OUT_OF_MEMORY: [&str; 4] = [
    "memory allocation of",
    "out of memory",
    "bad_alloc",
    "cannot allocate memory",
];

/// A program to run confined.
#[derive(Debug)]
pub struct Job<'a> {
    /// The executable.
    pub program: &'a Path,
    pub arguments: Vec<OsString>,
    /// All of its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// What it reads on standard input.
    pub input: &'a [u8],
    /// What it may use.
    pub limits: &'a Limits,
    /// For a program of others: the directories that it sees, and a filter of system calls. One of our own gives up
    /// more than that by itself, when it has been loaded ([`crate::give_up_rights`]).
    pub files: Option<Files>,
}

/// What a piece of work that ended well left.
#[derive(Debug)]
pub struct Output(File);

impl Output {
    /// What it wrote to standard output.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.seek(SeekFrom::Start(0))?;
        self.0.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Runs `job` to its end, or until `given_up` says that nobody wants it any more. Nothing of it runs on when this returns, but for
/// what a program of its own put into another process group, which its filter forbids.
///
/// # Errors
/// It cannot be started, passes a limit, is given up, or ends otherwise than with exit code 0.
pub fn run(job: &Job<'_>, given_up: &dyn Fn() -> bool) -> Result<Output, ConfineError> {
    let failed = ConfineError::Start;
    let mut input = memory_file("input").map_err(failed)?;
    input.write_all(job.input).map_err(failed)?;
    input.seek(SeekFrom::Start(0)).map_err(failed)?;
    let output = memory_file("output").map_err(failed)?;
    let errors = memory_file("errors").map_err(failed)?;
    let streams = (|| Ok((output.try_clone()?, errors.try_clone()?)))().map_err(failed)?;
    let mut command = Command::new(job.program);
    command
        .args(&job.arguments)
        .env_clear()
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .stdin(input)
        .stdout(streams.0)
        .stderr(streams.1)
        .process_group(0);
    let confinement = Confinement::new(job)?;
    // SAFETY: `apply` makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(move || confinement.apply()) };
    let mut running = Running::start(&mut command).map_err(failed)?;
    // The streams that the command holds are copies.
    drop(command);
    let begun = Instant::now();
    while !running.ended_within(ASK).map_err(failed)? {
        if given_up() {
            return Err(ConfineError::GivenUp);
        }
        if begun.elapsed() > job.limits.wall_time {
            return Err(ConfineError::WallTime(job.limits.wall_time));
        }
    }
    let status = running.reap().map_err(failed)?;
    outcome(status, job.limits, errors).map(|()| Output(output))
}

/// What `status` and what was said mean.
fn outcome(status: ExitStatus, limits: &Limits, errors: File) -> Result<(), ConfineError> {
    if status.success() {
        return Ok(());
    }
    let said = said(errors);
    let lower = said.to_ascii_lowercase();
    if OUT_OF_MEMORY.iter().any(|words| lower.contains(words)) {
        return Err(ConfineError::Memory(limits.memory_bytes));
    }
    // A program that starts others says of them how they ended.
    let of_child = |name: &str| said.contains(name);
    match status.signal() {
        Some(libc::SIGXCPU) => return Err(ConfineError::CpuTime(limits.cpu_time)),
        Some(libc::SIGXFSZ) => return Err(ConfineError::FileSize(limits.file_bytes)),
        _ if of_child("CPU time limit exceeded") => {
            return Err(ConfineError::CpuTime(limits.cpu_time));
        }
        _ if of_child("File size limit exceeded") => {
            return Err(ConfineError::FileSize(limits.file_bytes));
        }
        _ => {}
    }
    let how = match (status.code(), status.signal().map(Signal::try_from)) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(Ok(signal))) => format!("ended by {signal}"),
        _ => status.to_string(),
    };
    Err(ConfineError::Failed {
        code: status.code(),
        how,
        said,
    })
}

fn said(mut errors: File) -> String {
    let mut text = Vec::new();
    // What cannot be read is only missing from the message.
    let _ = errors
        .seek(SeekFrom::Start(0))
        .and_then(|_| errors.take(SAID_BYTES).read_to_end(&mut text));
    one_line(&String::from_utf8_lossy(&text), SAID_CHARS)
}

fn memory_file(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?.into())
}

/// The program's process, its group and its descriptor. Dropping it kills the group.
struct Running {
    child: Child,
    fd: OwnedFd,
    reaped: bool,
}

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        // SAFETY: plain numbers; the process is ours and not yet collected.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
        match RawFd::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(Self {
                child,
                // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
                fd: unsafe { OwnedFd::from_raw_fd(fd) },
                reaped: false,
            }),
            _ => {
                let error = io::Error::last_os_error();
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn ended_within(&self, time: Duration) -> io::Result<bool> {
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        match poll(
            &mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        // What it may have left behind in its group; its id is ours until it is collected.
        self.kill();
        let status = self.child.wait();
        self.reaped = true;
        status
    }

    fn kill(&self) {
        if let Ok(pid) = self.child.id().try_into() {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// What the process puts on itself before it becomes the program, made beforehand.
struct Confinement {
    limits: Vec<(Resource, u64, u64)>,
    filter: Option<BpfProgram>,
    rules: Option<OwnedFd>,
    parent: Pid,
}

impl Confinement {
    fn new(job: &Job<'_>) -> Result<Self, ConfineError> {
        let limits = job.limits;
        let seconds = limits.cpu_time.as_secs() + u64::from(limits.cpu_time.subsec_nanos() > 0);
        let both = |resource, limit| (resource, limit, limit);
        Ok(Self {
            limits: vec![
                // The first ends it with a signal that says why.
                (Resource::RLIMIT_CPU, seconds, seconds + 1),
                both(Resource::RLIMIT_DATA, limits.memory_bytes),
                both(Resource::RLIMIT_FSIZE, limits.file_bytes),
                both(Resource::RLIMIT_NOFILE, limits.open_files),
                both(Resource::RLIMIT_CORE, 0),
            ],
            filter: job.files.is_some().then(forbidding).transpose()?,
            rules: match &job.files {
                Some(files) => files.rules()?,
                None => None,
            },
            parent: getpid(),
        })
    }

    fn apply(&self) -> io::Result<()> {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // Killed before that call: nobody would tell us.
        if nix::unistd::getppid() != self.parent {
            return Err(Errno::ESRCH.into());
        }
        nix::sys::prctl::set_no_new_privs()?;
        be_first_to_go();
        for &(resource, soft, hard) in &self.limits {
            // Whoever runs us may have less, which nobody but root can raise.
            let (_, most) = getrlimit(resource)?;
            setrlimit(resource, soft.min(most), hard.min(most))?;
        }
        // SAFETY: plain numbers. What was inherited without close-on-exec is closed with the exec; where the kernel does not
        // know the call, nothing is.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                3,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if let Some(rules) = &self.rules {
            // SAFETY: plain numbers; the descriptor is open.
            let done =
                unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) };
            Errno::result(done)?;
        }
        match &self.filter {
            Some(filter) => seccompiler::apply_filter(filter).map_err(|_| Errno::last().into()),
            None => Ok(()),
        }
    }
}

/// Where the host has no memory left though every limit was kept, the kernel ends this process and not another. Anybody may ask for
/// that; where there is no `/proc`, the kernel chooses by size.
fn be_first_to_go() {
    let most = b"1000";
    // SAFETY: a constant path and constant bytes; the descriptor is ours.
    unsafe {
        let file = libc::open(
            c"/proc/self/oom_score_adj".as_ptr(),
            libc::O_WRONLY | libc::O_CLOEXEC,
        );
        if file >= 0 {
            libc::write(file, most.as_ptr().cast(), most.len());
            libc::close(file);
        }
    }
}
