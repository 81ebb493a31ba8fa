//! CPU time of a scope and of single processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use measure_core::contract::Scope;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// The groups that together count the scope's CPU time, of each cpuacct of version 1, which counts nanoseconds, else version 2;
/// `None` if it has no group, or one that has neither. [`crate::cgroup::cpu_ns`] reads each.
#[must_use]
pub fn groups_of_scope(scope: &Scope) -> Option<Vec<&Path>> {
    let dirs: Option<Vec<&Path>> = scope.groups().map(counting_dir).collect();
    dirs.filter(|dirs| !dirs.is_empty())
}

fn counting_dir(group: &BTreeMap<String, PathBuf>) -> Option<&Path> {
    let dir = group.get("cpuacct").or_else(|| group.get("unified"));
    dir.map(PathBuf::as_path)
}

/// CPU time of process `pid` with all its threads, ended ones included, its children not, in nanoseconds.
///
/// # Errors
/// It is gone.
pub fn process_cpu_ns(pid: i32) -> Result<u64, Errno> {
    let time = clock_gettime(ClockId::pid_cpu_clock_id(Pid::from_raw(pid))?)?;
    Ok(time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_nsec().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_clock_of_a_process_moves_with_its_work() {
        let me = std::process::id().cast_signed();
        let before = process_cpu_ns(me).expect("own clock");
        let worker = std::thread::spawn(|| {
            let mut sum = 0u64;
            for i in 0..20_000_000u64 {
                sum = std::hint::black_box(sum.wrapping_add(i));
            }
        });
        worker.join().expect("a thread");
        // The thread has ended; its time has not.
        assert!(process_cpu_ns(me).expect("own clock") > before + 1_000_000);
        let mut ended = Command::new("true").spawn().expect("true starts");
        ended.wait().expect("a child");
        assert_eq!(process_cpu_ns(ended.id().cast_signed()), Err(Errno::ESRCH));
    }
}
