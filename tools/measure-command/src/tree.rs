//! Nothing of the command may outlive a signal to us.

use std::io;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use signal_hook::consts::{SIGINT, SIGTERM};

use measure_core::base::interrupt;
use measure_core::base::process_tree::processes_below;

/// How long killed processes may take to go.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Makes this process the parent of whatever its descendants leave behind, so that all of it stays
/// findable. Kernels that refuse (none since 3.4) only lose that.
pub(super) fn adopt_orphans() {
    let _ = set_child_subreaper(true);
}

/// The command that runs now, 0 between runs.
static CURRENT: AtomicI32 = AtomicI32::new(0);

/// From now on SIGINT or SIGTERM kills the process group of the command that runs, from within the
/// signal's handler, which ends our wait for it. A thread that watches for signals would do too, but a
/// second thread makes every start measurably dearer.
///
/// # Errors
/// No handler to be had.
pub(super) fn kill_on_signal() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // SAFETY: the action loads an atomic and calls kill(2), both async-signal-safe.
        unsafe {
            signal_hook::low_level::register(signal, || kill_group(CURRENT.load(Relaxed)))?;
        }
    }
    Ok(())
}

fn kill_group(leader: i32) {
    if leader > 0 {
        // SAFETY: a system call on plain numbers; a group that is gone is as good.
        unsafe {
            libc::kill(-leader, libc::SIGKILL);
        }
    }
}

/// The command runs as process group `leader`.
pub(super) fn started(leader: i32) {
    CURRENT.store(leader, Relaxed);
    // The signal may have come before there was anything to kill.
    if interrupt::received().is_some() {
        kill_group(leader);
    }
}

/// The command has been waited for: its id may be another's from now on.
pub(super) fn ended() {
    CURRENT.store(0, Relaxed);
}

fn kill_descendants() {
    let me = getpid().as_raw();
    for pid in processes_below(&[me]).into_iter().filter(|&pid| pid != me) {
        // Gone already is as good.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// After a signal: returns when no descendant is left, or after some seconds if one cannot be killed (it
/// waits in the kernel for a device).
pub(super) fn end_all() {
    let begun = Instant::now();
    kill_descendants();
    while reap_orphans() && begun.elapsed() < LAST_WAIT {
        thread::sleep(Duration::from_millis(2));
        kill_descendants();
    }
}

/// Takes leave of what the command left behind and has ended; whether something still runs.
pub(super) fn reap_orphans() -> bool {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            // ECHILD: there is no child at all.
            Err(Errno::ECHILD) => return false,
            Err(Errno::EINTR) | Ok(_) => {}
            Err(_) => return false,
        }
    }
}
