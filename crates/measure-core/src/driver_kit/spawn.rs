//! Starting a process as cheaply as `posix_spawn` does, with what that has no words for: the child dies with
//! this process, even if that is killed. Where it is to be waited for with a limit ([`Program::spawn`]), it is
//! also known by a descriptor and leads a process group; a start that is measured bare
//! ([`Program::spawn_bare`]) pays for neither.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, pthread_sigmask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::placement;
use crate::base::interrupt;

/// What the child needs between clone and exec; the calls below take little.
const STACK_BYTES: usize = 32 * 1024;
/// An executable that is found by its path.
const NO_FILE: RawFd = -1;
/// A stream that the child inherits.
const INHERITED: RawFd = -1;

/// Everything a start needs, as the kernel wants it, laid out beforehand: nothing of it is in the timed path.
#[derive(Debug)]
pub struct Program {
    path: CString,
    /// The executable itself, if it is not to be looked for by its name.
    executable: Option<File>,
    arguments: Strings,
    environment: Strings,
}

/// Texts and the null-terminated array of pointers to them.
#[derive(Debug)]
struct Strings {
    _texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead into the heap blocks of `_texts`, which are never changed and move with it.
unsafe impl Send for Strings {}
// SAFETY: as above.
unsafe impl Sync for Strings {}

impl Strings {
    fn new(texts: Vec<CString>) -> Self {
        let pointers = texts.iter().map(|text| text.as_ptr());
        Self {
            pointers: pointers.chain([ptr::null()]).collect(),
            _texts: texts,
        }
    }
}

impl Program {
    /// `path` with `arguments` (the name it is called by is put before them) and nothing but `environment`.
    ///
    /// # Errors
    /// A text with a NUL byte.
    pub fn new<'a>(
        path: &Path,
        arguments: impl IntoIterator<Item = &'a OsStr>,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> io::Result<Self> {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
        let path = text(path.as_os_str().as_bytes())?;
        let given = arguments.into_iter().map(|word| text(word.as_bytes()));
        let arguments = std::iter::once(Ok(path.clone())).chain(given);
        Ok(Self {
            arguments: Strings::new(arguments.collect::<io::Result<_>>()?),
            environment: variables(environment)?,
            executable: None,
            path,
        })
    }

    /// The program that `words` name first, with the others for arguments and an empty environment.
    ///
    /// # Errors
    /// There is no word.
    pub fn from_words(words: Vec<CString>) -> io::Result<Self> {
        let path = words.first().ok_or(io::ErrorKind::InvalidInput)?.clone();
        Ok(Self {
            arguments: Strings::new(words),
            environment: Strings::new(Vec::new()),
            executable: None,
            path,
        })
    }

    /// The same with nothing but `environment`.
    ///
    /// # Errors
    /// A text with a NUL byte.
    pub fn with_environment<'a>(
        self,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> io::Result<Self> {
        Ok(Self {
            environment: variables(environment)?,
            ..self
        })
    }

    /// The same, but what is executed is the open file `executable`, whatever lies at its path by then. It must be no script:
    /// the interpreter would be told the name of a descriptor that is closed for it. Before Linux 6.14 the process's
    /// short name (`/proc/PID/comm`) is the descriptor's number.
    #[must_use]
    pub fn executing(self, executable: File) -> Self {
        Self {
            executable: Some(executable),
            ..self
        }
    }

    /// Where its executable is.
    #[must_use]
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// Starts it in a process group of its own; returns when it has been loaded (the point up to which a
    /// failure can be told). It is killed when the calling thread ends, so call this from one that waits
    /// for it.
    ///
    /// # Errors
    /// No process to be had, or it cannot be executed.
    pub fn spawn(&self, streams: [BorrowedFd<'_>; 3]) -> io::Result<Child> {
        let (pid, fd) = self.start(streams.map(|fd| fd.as_raw_fd()), true)?;
        let Some(fd) = fd else {
            // Kernels before 5.2 take no notice of the flag.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
            return Err(io::ErrorKind::Unsupported.into());
        };
        Ok(Child {
            pid,
            fd,
            reaped: false,
        })
    }

    /// As [`Self::spawn`], but the child stays in this process's group, inherits standard error, and is known
    /// by its id alone, which is the caller's to collect.
    ///
    /// # Errors
    /// As [`Self::spawn`].
    pub fn spawn_bare(&self, stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> io::Result<Pid> {
        let streams = [stdin.as_raw_fd(), stdout.as_raw_fd(), INHERITED];
        self.start(streams, false).map(|(pid, _)| pid)
    }

    /// With a descriptor and a group of its own if it is to be `supervised`.
    fn start(&self, streams: [RawFd; 3], supervised: bool) -> io::Result<(Pid, Option<OwnedFd>)> {
        let mut mask = SigSet::empty();
        // No handler of ours may run in the child while it shares our memory.
        pthread_sigmask(
            SigmaskHow::SIG_SETMASK,
            Some(&SigSet::all()),
            Some(&mut mask),
        )?;
        let plan = Plan {
            path: self.path.as_ptr(),
            executable: self.executable.as_ref().map_or(NO_FILE, AsRawFd::as_raw_fd),
            argv: self.arguments.pointers.as_ptr(),
            envp: self.environment.pointers.as_ptr(),
            streams,
            supervised,
            parent: getpid().as_raw(),
            mask,
            error: AtomicI32::new(0),
        };
        let cloned = plan.clone_process();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
        let (pid, fd) = cloned?;
        placement::let_go(pid);
        match plan.error.load(Ordering::Relaxed) {
            0 => Ok((pid, fd)),
            error => {
                let _ = waitpid(pid, None);
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
}

fn variables<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> io::Result<Strings> {
    let texts = all
        .into_iter()
        .map(|(name, value)| CString::new(format!("{name}={value}")).map_err(io::Error::from));
    texts.collect::<io::Result<_>>().map(Strings::new)
}

/// A process started by [`Program::spawn`]. Dropping it kills its group.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    fd: OwnedFd,
    reaped: bool,
}

impl Child {
    /// Its process id, which no other process gets before it is collected.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it has ended, at most `limit`; `false` if it still runs then, or when a signal came to us
    /// ([`interrupt::received`]).
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn ended(&self, limit: Duration) -> io::Result<bool> {
        interrupt::wait_readable(self.fd.as_fd(), Some(limit))
    }

    /// Collects it, waiting for its end if need be.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn reap(&mut self) -> io::Result<WaitStatus> {
        loop {
            match waitpid(self.pid, None) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(status) => {
                    self.reaped = true;
                    return Ok(status);
                }
            }
        }
    }

    /// Kills it and what it has started in its process group.
    pub fn kill(&self) {
        if !self.reaped {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            let _ = self.reap();
        }
    }
}

#[repr(C, align(16))]
struct Stack(MaybeUninit<[u8; STACK_BYTES]>);

/// What the child reads before it becomes the program.
struct Plan {
    path: *const c_char,
    /// A descriptor, or [`NO_FILE`]: then the path counts.
    executable: RawFd,
    argv: *const *const c_char,
    envp: *const *const c_char,
    /// What become its standard streams, each a descriptor or [`INHERITED`].
    streams: [RawFd; 3],
    supervised: bool,
    parent: libc::pid_t,
    mask: SigSet,
    /// Why it could not become the program; 0 if it did.
    error: AtomicI32,
}

impl Plan {
    /// Returns when the child has called execve or _exit.
    fn clone_process(&self) -> io::Result<(Pid, Option<OwnedFd>)> {
        let mut stack = Stack(MaybeUninit::uninit());
        let mut fd: RawFd = -1;
        let pidfd = if self.supervised {
            libc::CLONE_PIDFD
        } else {
            0
        };
        // SAFETY: with CLONE_VFORK this thread waits until the child has called execve or _exit, so the plan
        // and `stack`, which the child uses meanwhile, outlive their use; the stack grows down from its
        // end, which is aligned to 16. CLONE_PIDFD stores a descriptor through its argument.
        let pid = unsafe {
            let top = (&raw mut stack).cast::<u8>().add(STACK_BYTES);
            libc::clone(
                child_main,
                top.cast(),
                libc::CLONE_VM | libc::CLONE_VFORK | pidfd | libc::SIGCHLD,
                ptr::from_ref(self).cast_mut().cast(),
                &raw mut fd,
            )
        };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
        let fd = (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) });
        Ok((Pid::from_raw(pid), fd))
    }
}

extern "C" fn child_main(argument: *mut c_void) -> c_int {
    // SAFETY: `argument` is the `Plan` of the parent, which waits (see `clone_process`).
    let plan = unsafe { &*argument.cast::<Plan>() };
    plan.error.store(become_program(plan), Ordering::Relaxed);
    // SAFETY: ends the process at once, running nothing of the parent's on the way.
    unsafe { libc::_exit(127) }
}

/// Returns only if it fails: the error number.
fn become_program(plan: &Plan) -> c_int {
    // SAFETY: only async-signal-safe calls; the pointers lead to the parent's memory, which outlives this.
    unsafe {
        let kill = libc::c_ulong::from(libc::SIGKILL.unsigned_abs());
        if libc::prctl(libc::PR_SET_PDEATHSIG, kill) != 0 {
            return Errno::last_raw();
        }
        // Killed before that call: nobody would tell us.
        if libc::getppid() != plan.parent {
            return libc::ESRCH;
        }
        if plan.supervised && libc::setpgid(0, 0) != 0 {
            return Errno::last_raw();
        }
        // What this process catches or ignores (the Rust runtime: SIGPIPE) is not the child's business.
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGPIPE] {
            if libc::signal(signal, libc::SIG_DFL) == libc::SIG_ERR {
                return Errno::last_raw();
            }
        }
        for (target, fd) in (0..).zip(plan.streams) {
            if fd != INHERITED && libc::dup2(fd, target) < 0 {
                return Errno::last_raw();
            }
        }
        libc::sigprocmask(libc::SIG_SETMASK, plan.mask.as_ref(), ptr::null_mut());
        if plan.executable == NO_FILE {
            libc::execve(plan.path, plan.argv, plan.envp);
        } else {
            let here = c"".as_ptr();
            libc::syscall(
                libc::SYS_execveat,
                plan.executable,
                here,
                plan.argv,
                plan.envp,
                libc::AT_EMPTY_PATH,
            );
        }
    }
    Errno::last_raw()
}

#[cfg(test)]
mod tests;
