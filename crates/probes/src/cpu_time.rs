//! CPU time of a scope and of single processes.

use std::path::Path;

use measure_core::contract::Scope;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// The group that counts the scope's CPU time: cpuacct of version 1, which counts nanoseconds, else version 2; `None`
/// if it has neither. [`crate::cgroup::cpu_ns`] reads it.
#[must_use]
pub fn group_of_scope(scope: &Scope) -> Option<&Path> {
    let controllers = ["cpuacct", "unified"].iter();
    let mut groups = controllers.filter_map(|controller| scope.cgroups.get(*controller));
    groups.next().map(|dir| dir.as_path())
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
