//! Starting a process as cheaply as `posix_spawn` does, with the one thing it has no word for: the child
//! dies with this process, even if that is killed.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};

/// What the child needs between clone and exec; the calls below take little.
const STACK_BYTES: usize = 32 * 1024;

#[repr(C, align(16))]
struct Stack(MaybeUninit<[u8; STACK_BYTES]>);

struct Child<'a> {
    argv: &'a [*const c_char],
    envp: [*const c_char; 1],
    stdin: RawFd,
    stdout: RawFd,
    parent: libc::pid_t,
    mask: SigSet,
    /// Why it could not become the program; 0 if it did.
    error: AtomicI32,
}

/// A program and its arguments as the kernel wants them, laid out before any start.
#[derive(Debug)]
pub struct Argv {
    words: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead into `words`, which are never changed.
unsafe impl Send for Argv {}
// SAFETY: as above.
unsafe impl Sync for Argv {}

impl Argv {
    /// Of `words`, the program first.
    ///
    /// # Errors
    /// There is none.
    pub fn new(words: Vec<CString>) -> io::Result<Self> {
        if words.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let pointers = words.iter().map(|word| word.as_ptr());
        let pointers = pointers.chain([ptr::null()]).collect();
        Ok(Self { words, pointers })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &CStr {
        &self.words[0]
    }
}

/// Starts the program of `argv` with its arguments and an empty environment; returns when it has been loaded (the
/// point up to which a failure can be told). It is killed when the calling thread ends, so call this from
/// one that waits for it.
///
/// # Errors
/// No process to be had, or `program` cannot be executed.
pub fn spawn(argv: &Argv, stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> io::Result<Pid> {
    let mut mask = SigSet::empty();
    // No handler of ours may run in the child while it shares our memory.
    pthread_sigmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut mask),
    )?;
    let mut child = Child {
        argv: &argv.pointers,
        envp: [ptr::null()],
        stdin: stdin.as_raw_fd(),
        stdout: stdout.as_raw_fd(),
        parent: getpid().as_raw(),
        mask,
        error: AtomicI32::new(0),
    };
    let mut stack = Stack(MaybeUninit::uninit());
    // SAFETY: with CLONE_VFORK this thread waits until the child has called execve or _exit, so `child` and
    // `stack`, which the child uses meanwhile, outlive their use; the stack grows down from its end, which
    // is aligned to 16.
    let pid = unsafe {
        let top = (&raw mut stack).cast::<u8>().add(STACK_BYTES);
        libc::clone(
            child_main,
            top.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut child).cast(),
        )
    };
    let cloned = if pid < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(Pid::from_raw(pid))
    };
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
    let pid = cloned?;
    match child.error.load(Ordering::Relaxed) {
        0 => Ok(pid),
        error => {
            let _ = waitpid(pid, None);
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

extern "C" fn child_main(argument: *mut c_void) -> c_int {
    // SAFETY: `argument` is the `Child` of the parent, which waits (see `spawn`).
    let child = unsafe { &*argument.cast::<Child<'_>>() };
    child.error.store(become_program(child), Ordering::Relaxed);
    // SAFETY: ends the process at once, running nothing of the parent's on the way.
    unsafe { libc::_exit(127) }
}

/// Returns only if it fails: the error number.
fn become_program(child: &Child<'_>) -> c_int {
    // SAFETY: only async-signal-safe calls; the pointers lead to the parent's memory, which outlives this.
    unsafe {
        let kill = libc::c_ulong::from(libc::SIGKILL.unsigned_abs());
        if libc::prctl(libc::PR_SET_PDEATHSIG, kill) != 0 {
            return errno();
        }
        // Killed before that call: nobody would tell us.
        if libc::getppid() != child.parent {
            return libc::ESRCH;
        }
        // What this process catches or ignores (the Rust runtime: SIGPIPE) is not the child's business.
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGPIPE] {
            if libc::signal(signal, libc::SIG_DFL) == libc::SIG_ERR {
                return errno();
            }
        }
        if libc::dup2(child.stdin, libc::STDIN_FILENO) < 0
            || libc::dup2(child.stdout, libc::STDOUT_FILENO) < 0
        {
            return errno();
        }
        libc::sigprocmask(libc::SIG_SETMASK, child.mask.as_ref(), ptr::null_mut());
        libc::execve(child.argv[0], child.argv.as_ptr(), child.envp.as_ptr());
    }
    errno()
}

fn errno() -> c_int {
    nix::errno::Errno::last_raw()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use nix::sys::wait::WaitStatus;

    use super::*;

    fn start(program: &str) -> io::Result<Pid> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let argv = Argv::new(vec![CString::new(program)?])?;
        spawn(&argv, null.as_fd(), null.as_fd())
    }

    #[test]
    fn exit_codes_come_back() {
        for (program, code) in [("/bin/true", 0), ("/bin/false", 1)] {
            let pid = start(program).expect("started");
            assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, code)));
        }
    }

    #[test]
    fn what_cannot_be_executed_is_told_and_leaves_no_child() {
        for (program, error) in [
            ("/nonexistent", libc::ENOENT),
            ("/etc/passwd", libc::EACCES),
            ("/", libc::EACCES),
        ] {
            let outcome = start(program).expect_err("no program");
            assert_eq!(outcome.raw_os_error(), Some(error), "{program}");
        }
    }

    #[test]
    fn the_callers_signal_mask_is_put_back() {
        let before = SigSet::thread_get_mask().expect("a mask");
        let pid = start("/bin/true").expect("started");
        waitpid(pid, None).expect("ended");
        assert_eq!(SigSet::thread_get_mask().expect("a mask"), before);
    }

    #[test]
    fn many_threads_start_at_once() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let pid = start("/bin/true").expect("started");
                        assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 0)));
                    }
                });
            }
        });
    }
}
