//! CPU time, cycles and disk I/O of a driver's scope, read from outside on both sides of a batch.

use measure_core::contract::Scope;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use probes::disk_io::{Bytes, Reading};
use probes::perf::{Counters, Event};

/// CPU counters, running from when they were opened.
#[derive(Debug)]
pub struct CpuMeter<'a> {
    scope: &'a Scope,
    counters: Counters,
    scope_ns: Result<u64, String>,
    client_ns: Option<Result<u64, String>>,
}

/// What a batch cost.
#[derive(Debug)]
pub struct CpuCost {
    /// CPU time of the scope.
    pub scope_ns: Result<u64, String>,
    /// CPU time of the client, where there is one.
    pub client_ns: Option<Result<u64, String>>,
    /// Cycles of the scope.
    pub cycles: Result<u64, String>,
}

impl<'a> CpuMeter<'a> {
    /// Opens the counters of `scope` and reads them.
    #[must_use]
    pub fn open(scope: &'a Scope) -> Self {
        let counters = Counters::of_scope(scope, &[Event::Cycles]);
        Self {
            scope,
            counters,
            client_ns: scope.client.map(process_cpu_ns),
            scope_ns: scope_cpu_ns(scope),
        }
    }

    /// What was spent since.
    #[must_use]
    pub fn read(mut self) -> CpuCost {
        let now = scope_cpu_ns(self.scope);
        let client = self.scope.client.map(process_cpu_ns);
        let cycles = self.counters.take().into_iter().next();
        CpuCost {
            scope_ns: difference(now, self.scope_ns),
            client_ns: client
                .zip(self.client_ns)
                .map(|(now, then)| difference(now, then)),
            cycles: cycles.map_or(Err("not counted".into()), |count| {
                count.value.map_err(|e| e.to_string())
            }),
        }
    }
}

fn difference(now: Result<u64, String>, then: Result<u64, String>) -> Result<u64, String> {
    Ok(now?.saturating_sub(then?))
}

/// CPU time of the scope's cgroup: cpuacct of version 1, which counts nanoseconds, else version 2.
fn scope_cpu_ns(scope: &Scope) -> Result<u64, String> {
    let group = ["cpuacct", "unified"]
        .iter()
        .find_map(|controller| scope.cgroups.get(*controller));
    match group {
        Some(dir) => probes::cgroup::cpu_ns(dir).map_err(|e| e.to_string()),
        None => Err("the scope has no cgroup whose CPU time could be read, run as root on a host with cpuacct or cgroup v2".into()),
    }
}

/// CPU time of process `pid` with all its threads, ended ones included, its children not.
fn process_cpu_ns(pid: i32) -> Result<u64, String> {
    let read = || {
        let time = clock_gettime(ClockId::pid_cpu_clock_id(Pid::from_raw(pid))?)?;
        Ok(time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_nsec().unsigned_abs())
    };
    read().map_err(|e: nix::Error| format!("cannot read the CPU clock of process {pid}: {e}"))
}

/// Disk I/O from one reading to the next.
#[derive(Debug)]
pub struct DiskMeter<'a> {
    scope: &'a Scope,
    before: Reading,
}

impl<'a> DiskMeter<'a> {
    /// Reads now.
    #[must_use]
    pub fn open(scope: &'a Scope) -> Self {
        Self {
            scope,
            before: Reading::of_scope(scope),
        }
    }

    /// What went to and came from storage since.
    ///
    /// # Errors
    /// Neither the processes nor the cgroup can tell.
    pub fn read(self) -> Result<Bytes, String> {
        let since = Reading::of_scope(self.scope).since(&self.before);
        since
            .best()
            .map(|(bytes, _)| bytes)
            .map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn a_scope_without_groups_says_why_it_has_no_cpu_time() {
        let error = scope_cpu_ns(&Scope::default()).expect_err("nothing to read");
        assert!(error.contains("run as root"), "{error}");
    }
}
