//! Following a process and all its descendants with ptrace(2), to look at each at its exit, when its
//! memory is still there.
//!
//! Resuming and waiting go to libc directly: a tracer must pass every signal on, real-time ones included, and those
//! have no name in safe wrappers.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

use measure_core::base::process_tree::process_of;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;

/// What a tracer reports, of processes (threads are followed but not reported).
pub(super) trait Events {
    /// A process has begun. `borrows`: until it execs it uses its parent's memory (vfork).
    fn started(&mut self, pid: i32, borrows: bool);
    /// A process has new memory of its own.
    fn execed(&mut self, pid: i32);
    /// A process is about to exit: it is stopped, its memory still there.
    fn exiting(&mut self, pid: i32);
    /// A process is gone.
    fn gone(&mut self, pid: i32);
}

/// Lets the calling process be traced by its parent; for use between fork and exec.
pub(super) fn allow_tracing() -> Result<(), Errno> {
    ptrace::traceme()
}

/// Follows `root`, a child that called [`allow_tracing`] and is about to exec, until it is gone; what
/// it leaves behind runs on untraced.
///
/// # Errors
/// The kernel refuses to trace or wait.
pub(super) fn follow(root: i32, events: &mut dyn Events) -> Result<ExitStatus, Errno> {
    let (_, status) = wait_for(root)?;
    if !libc::WIFSTOPPED(status) {
        return Ok(ExitStatus::from_raw(status));
    }
    let options = Options::PTRACE_O_TRACEEXIT
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(Pid::from_raw(root), options)?;
    let mut tracer = Tracer {
        events,
        tasks: BTreeSet::from([root]),
        processes: BTreeSet::from([root]),
        expected: BTreeSet::new(),
        held: BTreeSet::new(),
    };
    tracer.events.started(root, false);
    resume(root, 0);
    loop {
        let (task, status) = wait_for(-1)?;
        if libc::WIFSTOPPED(status) {
            tracer.stopped(task, status);
            continue;
        }
        tracer.ended(task);
        if task == root {
            tracer.release();
            return Ok(ExitStatus::from_raw(status));
        }
    }
}

struct Tracer<'a> {
    events: &'a mut dyn Events,
    /// Threads that are traced.
    tasks: BTreeSet<i32>,
    /// Those that lead a process.
    processes: BTreeSet<i32>,
    /// Announced by their parent, not yet stopped for the first time.
    expected: BTreeSet<i32>,
    /// Stopped for the first time before their parent announced them; held until it does, so that
    /// what follows is seen in order.
    held: BTreeSet<i32>,
}

impl Tracer<'_> {
    fn stopped(&mut self, task: i32, status: i32) {
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 => self.signalled(task, signal),
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let Some(child) = message(task) {
                    self.born(child, status >> 16);
                }
                resume(task, 0);
            }
            libc::PTRACE_EVENT_EXEC => {
                // A thread that execs takes over its process's id; its own is gone without a word.
                if let Some(former) = message(task).filter(|&former| former != task) {
                    self.tasks.remove(&former);
                }
                self.events.execed(task);
                resume(task, 0);
            }
            libc::PTRACE_EVENT_EXIT => {
                if self.processes.contains(&task) {
                    self.events.exiting(task);
                }
                resume(task, 0);
            }
            _ => resume(task, 0),
        }
    }

    fn signalled(&mut self, task: i32, signal: i32) {
        if !self.tasks.contains(&task) {
            // The first stop of a new task, before its parent's word of it.
            self.held.insert(task);
        } else if self.expected.remove(&task) {
            // The first stop is the kernel's, no signal of anyone's.
            resume(task, 0);
        } else if is_group_stop(task, signal) {
            resume(task, 0);
        } else {
            resume(task, signal);
        }
    }

    fn born(&mut self, child: i32, event: i32) {
        self.tasks.insert(child);
        if event != libc::PTRACE_EVENT_CLONE || process_of(child) == Some(child) {
            self.processes.insert(child);
            self.events
                .started(child, event == libc::PTRACE_EVENT_VFORK);
        }
        if self.held.remove(&child) {
            resume(child, 0);
        } else {
            self.expected.insert(child);
        }
    }

    fn ended(&mut self, task: i32) {
        self.tasks.remove(&task);
        self.expected.remove(&task);
        self.held.remove(&task);
        if self.processes.remove(&task) {
            self.events.gone(task);
        }
    }

    /// Stops tracing whatever is left. A task can only be let go while it is stopped, so all are asked
    /// to stop and then seen in whatever order they do: a vfork parent stops only once its child has
    /// been let go and has execed.
    fn release(&mut self) {
        for task in std::mem::take(&mut self.held) {
            self.let_go(task);
        }
        let running: Vec<i32> = self.tasks.difference(&self.expected).copied().collect();
        for task in running {
            // SAFETY: a system call on plain numbers.
            let sent = unsafe { libc::syscall(libc::SYS_tkill, task, libc::SIGSTOP) };
            if sent != 0 {
                self.tasks.remove(&task);
            }
        }
        let mut early = BTreeSet::new();
        while !self.tasks.is_empty() {
            let Ok((task, status)) = wait_for(-1) else {
                return;
            };
            if libc::WIFSTOPPED(status) {
                self.stopped_for_release(task, status, &mut early);
            } else {
                self.ended(task);
            }
        }
    }

    /// One stop on the way to being let go; `early` holds new tasks that were let go before their
    /// parent announced them.
    fn stopped_for_release(&mut self, task: i32, status: i32, early: &mut BTreeSet<i32>) {
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 if !self.tasks.contains(&task) => {
                early.insert(task);
                self.let_go(task);
            }
            0 if signal == libc::SIGSTOP => self.let_go(task),
            0 => resume(task, signal),
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let Some(child) = message(task).filter(|child| !early.remove(child)) {
                    self.tasks.insert(child);
                    self.expected.insert(child);
                }
                resume(task, 0);
            }
            libc::PTRACE_EVENT_EXEC => {
                if let Some(former) = message(task).filter(|&former| former != task) {
                    self.tasks.remove(&former);
                }
                resume(task, 0);
            }
            _ => resume(task, 0),
        }
    }

    fn let_go(&mut self, task: i32) {
        self.tasks.remove(&task);
        self.expected.remove(&task);
        let _ = ptrace::detach(Pid::from_raw(task), None);
    }
}

/// Whether the stop is of the whole process (SIGSTOP and its like took effect) and not a signal on its
/// way: only the latter has details.
fn is_group_stop(task: i32, signal: i32) -> bool {
    let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    if !stops.contains(&signal) {
        return false;
    }
    ptrace::getsiginfo(Pid::from_raw(task)) == Err(Errno::EINVAL)
}

/// The task id that comes with an event.
fn message(task: i32) -> Option<i32> {
    let id = ptrace::getevent(Pid::from_raw(task)).ok()?;
    i32::try_from(id).ok()
}

/// Lets a stopped task run on, with `signal` delivered unless it is 0. A task that was killed meanwhile
/// needs no resuming.
fn resume(task: i32, signal: i32) {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes a number and no pointer.
    let _ = unsafe { libc::ptrace(libc::PTRACE_CONT, task, nothing, signal) };
}

/// Waits for `task`, or for any child or traced task if it is -1.
fn wait_for(task: i32) -> Result<(i32, i32), Errno> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to a live integer.
        let waited = unsafe { libc::waitpid(task, &mut status, libc::__WALL) };
        match Errno::result(waited) {
            Ok(task) => return Ok((task, status)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
