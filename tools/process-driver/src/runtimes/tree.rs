//! Killing a start with everything that it has started, and taking leave of adopted processes.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::process_tree::{children_of, processes_below};
use measure_core::driver_kit::spawn::Child;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill as send};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use procfs::process::Process;

/// How long killed processes may take to go.
const LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// From now on processes below this one that lose their parent become children of its first thread.
pub(super) fn adopt_orphans() {
    // Kernels that refuse (none since 3.4) only lose that.
    let _ = set_child_subreaper(true);
}

/// Kills `child` with its tree and, among the adopted, whatever names `start`; returns how many there were.
pub(super) fn kill_tree(child: &mut Child, start: Option<&str>) -> usize {
    let leader = child.pid().as_raw();
    let begun = Instant::now();
    let mut killed = BTreeSet::new();
    loop {
        let mut pids = processes_below(&[leader]);
        if let Some(name) = start {
            let all = processes_below(&[getpid().as_raw()]);
            pids.extend(all.into_iter().filter(|&pid| names_start(pid, name)));
        }
        pids.retain(|&pid| alive(pid));
        if pids.is_empty() || begun.elapsed() > LIMIT {
            break;
        }
        for pid in pids {
            // Gone already is as good.
            let _ = send(Pid::from_raw(pid), Signal::SIGKILL);
            killed.insert(pid);
        }
        thread::sleep(POLL);
    }
    let _ = child.reap();
    killed.len()
}

/// How many processes the tree of `child` has.
pub(super) fn count_processes(child: &Child) -> usize {
    processes_below(&[child.pid().as_raw()]).len()
}

/// Whether a word of the command line of `pid`, or a value of its environment, is `name`.
pub(super) fn names_start(pid: i32, name: &str) -> bool {
    let is_name = |word: &[u8]| {
        let value = word
            .iter()
            .position(|&byte| byte == b'=')
            .map(|at| &word[at + 1..]);
        word == name.as_bytes() || value == Some(name.as_bytes())
    };
    ["cmdline", "environ"].iter().any(|file| {
        fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|bytes| bytes.split(|&byte| byte == 0).any(is_name))
    })
}

/// Whether `pid` runs; a zombie does not.
fn alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The state of process `pid`, as in proc(5).
pub(super) fn state(pid: i32) -> Option<char> {
    Some(Process::new(pid).ok()?.stat().ok()?.state)
}

/// Whether a thread of process `pid` waits in a read of its standard input.
pub(super) fn reads_stdin(pid: i32) -> bool {
    // As proc_pid_syscall(5) has it: the call's number, then its arguments in hexadecimal digits.
    let calls = [libc::SYS_read, libc::SYS_readv].map(|call| format!("{call} 0x0 "));
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks.into_iter().flatten().flatten().any(|task| {
        let call = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        calls.iter().any(|reads| call.starts_with(reads))
    })
}

/// Takes leave of the adopted processes that have ended. To be called by the first thread, whose children they
/// are, while it has none of its own making.
pub(super) fn reap_adopted() {
    // Not those of other threads, which wait for their starts themselves.
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WNOTHREAD;
    while matches!(
        waitpid(None, Some(flags)),
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))
    ) {}
}

/// Gives adopted processes `grace` to end, then kills them. To be called by the first thread, once no start is
/// under way: every child is adopted then.
pub(super) fn end_adopted(grace: Duration) {
    let begun = Instant::now();
    loop {
        reap_adopted();
        let left = children_of(getpid().as_raw());
        if left.is_empty() || begun.elapsed() > grace + LIMIT {
            return;
        }
        if begun.elapsed() >= grace {
            for pid in processes_below(&left) {
                let _ = send(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        thread::sleep(POLL);
    }
}
