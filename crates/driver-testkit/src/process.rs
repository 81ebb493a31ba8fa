//! Processes as they come and go.

use std::fs;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::process_tree;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Everything that a test waits for has happened by then, on however slow a host.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `holds`.
///
/// # Panics
/// It does not come to hold within [`PATIENCE`].
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "not within {} s: {what}",
            PATIENCE.as_secs()
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether process `pid` still runs (a zombie does not).
#[must_use]
pub fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        state.is_some_and(|rest| !rest.starts_with('Z') && !rest.starts_with('X'))
    })
}

/// The children of process `pid` that run.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let mut children = process_tree::children_of(pid);
    children.retain(|&child| alive(child));
    children
}

/// How many processes have `mark` in their command line.
///
/// # Panics
/// There is no `/proc`.
#[must_use]
pub fn marked(mark: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("procfs").flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .filter(|words| String::from_utf8_lossy(words).contains(mark))
        .count()
}

/// A child that does not outlive its test.
#[derive(Debug)]
pub struct Started(pub Child);

impl Started {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Sends it `signal`.
    ///
    /// # Panics
    /// It has been waited for already.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("still there");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not come within [`PATIENCE`].
    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("its end", || {
            status = self.0.try_wait().expect("our child");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Ended already in a test that passes.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_zombie_is_a_child_that_does_not_run() {
        let me = std::process::id().cast_signed();
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        let pid = child.id().cast_signed();
        assert!(alive(pid) && children(me).contains(&pid));
        child.kill().expect("killed");
        eventually("it is a zombie", || !alive(pid));
        assert!(!children(me).contains(&pid));
        child.wait().expect("ended");
    }

    #[test]
    fn a_started_one_ends_by_a_signal_or_with_its_test() {
        let start = || Started(Command::new("sleep").arg("1000").spawn().expect("sleep"));
        let mut child = start();
        child.signal(Signal::SIGTERM);
        assert_eq!(child.end().code(), None);
        let pid = start().pid();
        assert!(!alive(pid));
    }
}
