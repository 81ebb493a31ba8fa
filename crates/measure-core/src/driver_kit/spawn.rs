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
        let environment = environment
            .into_iter()
            .map(|(name, value)| text(format!("{name}={value}").as_bytes()));
        Ok(Self {
            arguments: Strings::new(arguments.collect::<io::Result<_>>()?),
            environment: Strings::new(environment.collect::<io::Result<_>>()?),
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
        match plan.error.load(Ordering::Relaxed) {
            0 => Ok((pid, fd)),
            error => {
                let _ = waitpid(pid, None);
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
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
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn null() -> File {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .expect("/dev/null")
    }

    const NO_PROGRAMS: [(&str, c_int); 3] = [
        ("/nonexistent", libc::ENOENT),
        ("/etc/passwd", libc::EACCES),
        ("/", libc::EACCES),
    ];

    fn start(path: &str, arguments: &[&str]) -> io::Result<Child> {
        let null = null();
        let arguments = arguments.iter().map(OsStr::new);
        let program = Program::new(Path::new(path), arguments, [("GREETING", "hello")])?;
        program.spawn([null.as_fd(); 3])
    }

    #[test]
    fn exit_codes_come_back() {
        for (program, code) in [("/bin/true", 0), ("/bin/false", 1)] {
            let mut child = start(program, &[]).expect("started");
            assert!(child.ended(LONG).expect("waited"));
            let pid = child.pid;
            assert_eq!(child.reap().expect("reaped"), WaitStatus::Exited(pid, code));
        }
    }

    #[test]
    fn what_cannot_be_executed_is_told() {
        for (program, error) in NO_PROGRAMS {
            let outcome = start(program, &[]).expect_err("no program");
            assert_eq!(outcome.raw_os_error(), Some(error), "{program}");
        }
        let nul = start("/bin/true", &["a\0b"]).expect_err("a NUL byte");
        assert_eq!(nul.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn arguments_environment_and_streams_arrive() {
        let mut out = tempfile::tempfile().expect("a file");
        let program = Program::new(
            Path::new("/bin/sh"),
            [
                "-c",
                "printf '%s|' \"$1\" \"$GREETING\"; env | wc -l",
                "sh",
                "one two",
            ]
            .map(OsStr::new),
            [("GREETING", "hello")],
        )
        .expect("a program");
        let null = null();
        let mut child = program
            .spawn([null.as_fd(), out.as_fd(), null.as_fd()])
            .expect("started");
        child.reap().expect("reaped");
        let mut text = String::new();
        out.seek(SeekFrom::Start(0)).expect("a file");
        out.read_to_string(&mut text).expect("text");
        // The shell adds PWD, `_` and the like, nothing of ours.
        let (said, count) = text.rsplit_once('|').expect("two parts");
        assert_eq!(said, "one two|hello");
        assert!(
            count.trim().parse::<u32>().expect("a number") <= 5,
            "{count}"
        );
    }

    #[test]
    fn one_that_never_ends_is_given_up_on_and_killed() {
        let mut child = start("/bin/sleep", &["1000"]).expect("started");
        assert!(!child.ended(Duration::from_millis(20)).expect("waited"));
        child.kill();
        assert!(child.ended(LONG).expect("waited"));
        let pid = child.pid;
        assert_eq!(
            child.reap().expect("reaped"),
            WaitStatus::Signaled(pid, Signal::SIGKILL, false)
        );
    }

    #[test]
    fn a_dropped_child_leaves_no_process() {
        let pid = start("/bin/sleep", &["1000"]).expect("started").pid;
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }

    #[test]
    fn the_callers_signal_mask_is_put_back() {
        let before = SigSet::thread_get_mask().expect("a mask");
        let mut child = start("/bin/true", &[]).expect("started");
        child.reap().expect("reaped");
        assert_eq!(SigSet::thread_get_mask().expect("a mask"), before);
        let pid = start_bare(&["/bin/true"]).expect("started");
        waitpid(pid, None).expect("ended");
        assert_eq!(SigSet::thread_get_mask().expect("a mask"), before);
    }

    fn start_bare(words: &[&str]) -> io::Result<Pid> {
        let null = null();
        let words = words.iter().map(|word| CString::new(*word));
        let program = Program::from_words(words.collect::<Result<_, _>>()?)?;
        program.spawn_bare(null.as_fd(), null.as_fd())
    }

    #[test]
    fn exit_codes_of_a_bare_start_come_back() {
        for (program, code) in [("/bin/true", 0), ("/bin/false", 1)] {
            let pid = start_bare(&[program]).expect("started");
            assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, code)));
        }
    }

    #[test]
    fn what_cannot_be_executed_bare_is_told_and_leaves_no_child() {
        for (program, error) in NO_PROGRAMS {
            let outcome = start_bare(&[program]).expect_err("no program");
            assert_eq!(outcome.raw_os_error(), Some(error), "{program}");
        }
        let nothing = start_bare(&[]).expect_err("no word");
        assert_eq!(nothing.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_open_file_is_executed_whatever_its_name_has_become() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("program");
        std::fs::copy("/bin/true", &path).expect("copied");
        let executable = File::open(&path).expect("there");
        std::fs::remove_file(&path).expect("removed");
        std::fs::copy("/bin/false", &path).expect("copied");
        let words = vec![CString::new(path.as_os_str().as_bytes()).expect("a path")];
        let program = Program::from_words(words).expect("a word");
        let null = null();
        let pid = program
            .executing(executable)
            .spawn_bare(null.as_fd(), null.as_fd())
            .expect("started");
        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 0)));
    }

    #[test]
    fn a_bare_start_stays_in_the_group_and_any_other_leads_one() {
        let group = |pid: Pid| nix::unistd::getpgid(Some(pid)).expect("a group");
        let child = start("/bin/sleep", &["1000"]).expect("started");
        assert_eq!(group(child.pid), child.pid);
        let pid = start_bare(&["/bin/sleep", "1000"]).expect("started");
        assert_eq!(group(pid), group(getpid()));
        kill(pid, Signal::SIGKILL).expect("killed");
        waitpid(pid, None).expect("ended");
    }

    #[test]
    fn many_threads_start_at_once() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let pid = start_bare(&["/bin/true"]).expect("started");
                        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 0)));
                    }
                });
            }
        });
    }
}
