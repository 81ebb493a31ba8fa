//! Nothing of the command may outlive a signal to us.

use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::disk_io::processes_below;
use crate::interrupt;

/// How long killed processes may take to go.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Makes this process the parent of whatever its descendants leave behind, so that all of it stays
/// findable. Kernels that refuse (none since 3.4) only lose that.
pub(super) fn adopt_orphans() {
    let _ = set_child_subreaper(true);
}

/// From now on SIGINT or SIGTERM kills every descendant of this process, again and again until it
/// ends, so that one that is being started meanwhile does not escape.
pub(super) fn kill_on_signal() {
    thread::spawn(|| {
        while interrupt::sleep(Duration::from_secs(3600)) {}
        loop {
            kill_descendants();
            thread::sleep(Duration::from_millis(5));
        }
    });
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
