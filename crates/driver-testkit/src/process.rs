//! Processes as they come and go.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::process_tree;

/// Everything that a test waits for has happened by then, on however slow a host.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`.
///
/// # Panics
/// It does not come to hold within a minute.
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
}
