//! CPU time, cycles and disk I/O of a driver's scope, read from outside on both sides of a batch.

use measure_core::contract::Scope;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::Metric;
use measure_core::driver_kit::cgroup::CgroupError;
use nix::errno::Errno;
use probes::cpu_time::{groups_of_scope, process_cpu_ns};
use probes::disk_io::{Bytes, DiskIoError, Reading};
use probes::perf::{Counters, Event, PerfError};

/// Why a scope's CPU time is not known.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// Nothing to read it from.
    #[error(
        "the scope has no cgroup that holds all of its work and counts CPU time: run as root on a host with cpuacct or cgroup v2, and an \
         engine elsewhere as a service, whose group is its own"
    )]
    NoGroup,
    /// Its group cannot tell.
    #[error(transparent)]
    Group(#[from] CgroupError),
    /// The client cannot be read.
    #[error("cannot read the CPU clock of process {pid}: {errno}")]
    Clock {
        /// The client.
        pid: i32,
        /// What the kernel says.
        #[source]
        errno: Errno,
    },
    /// The processor's counters cannot tell.
    #[error(transparent)]
    Counter(#[from] PerfError),
    /// There was no counter.
    #[error("not counted")]
    NotCounted,
}

/// CPU counters, running from when they were opened.
#[derive(Debug)]
pub struct CpuMeter<'a> {
    scope: &'a Scope,
    counters: Counters,
    scope_ns: Result<u64, CpuError>,
    client_ns: Option<Result<u64, CpuError>>,
}

/// What a batch cost.
#[derive(Debug)]
pub struct CpuCost {
    /// CPU time of the scope.
    pub scope_ns: Result<u64, CpuError>,
    /// CPU time of the client, where there is one.
    pub client_ns: Option<Result<u64, CpuError>>,
    /// Cycles of the scope; scaled up where they were counted for less time than they were to be.
    pub cycles: Result<u64, CpuError>,
    /// For how long they were to be counted, and for how long they were, in nanoseconds; `None` where they were not.
    pub cycles_enabled_and_running_ns: Option<(u64, u64)>,
}

impl CpuCost {
    /// All of it, as records have it.
    pub fn values(self) -> impl Iterator<Item = (Metric, Value)> {
        let counted = self.cycles_enabled_and_running_ns;
        let known = [
            (Metric::CpuNs, Some(self.scope_ns.into())),
            (Metric::CpuCycles, Some(self.cycles.into())),
            (Metric::CyclesEnabledNs, counted.map(|ns| ns.0.into())),
            (Metric::CyclesRunningNs, counted.map(|ns| ns.1.into())),
            (Metric::ClientCpuNs, self.client_ns.map(Value::from)),
        ];
        known
            .into_iter()
            .filter_map(|(metric, value)| Some((metric, value?)))
    }
}

impl<'a> CpuMeter<'a> {
    /// Opens the counters of `scope` and reads them.
    #[must_use]
    pub fn open(scope: &'a Scope) -> Self {
        let counters = Counters::of_scope(scope, &[Event::Cycles]);
        Self {
            scope,
            counters,
            client_ns: scope.client.map(client_cpu_ns),
            scope_ns: scope_cpu_ns(scope),
        }
    }

    /// What was spent since.
    #[must_use]
    pub fn read(mut self) -> CpuCost {
        let now = scope_cpu_ns(self.scope);
        let client = self.scope.client.map(client_cpu_ns);
        let cycles = self.counters.take().into_iter().next();
        let counted = cycles.as_ref().filter(|count| count.value.is_ok());
        CpuCost {
            cycles_enabled_and_running_ns: counted.map(|c| (c.enabled_ns, c.running_ns)),
            scope_ns: difference(now, self.scope_ns),
            client_ns: client
                .zip(self.client_ns)
                .map(|(now, then)| difference(now, then)),
            cycles: cycles.map_or(Err(CpuError::NotCounted), |count| {
                count.value.map_err(CpuError::from)
            }),
        }
    }
}

fn difference(now: Result<u64, CpuError>, then: Result<u64, CpuError>) -> Result<u64, CpuError> {
    Ok(now?.saturating_sub(then?))
}

/// CPU time of the scope's cgroups.
fn scope_cpu_ns(scope: &Scope) -> Result<u64, CpuError> {
    let dirs = groups_of_scope(scope).ok_or(CpuError::NoGroup)?;
    dirs.into_iter()
        .try_fold(0, |sum, dir| Ok(sum + probes::cgroup::cpu_ns(dir)?))
}

fn client_cpu_ns(pid: i32) -> Result<u64, CpuError> {
    process_cpu_ns(pid).map_err(|errno| CpuError::Clock { pid, errno })
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
    pub fn read(self) -> Result<Bytes, DiskIoError> {
        Reading::of_scope(self.scope).since(&self.before).best()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_took_turns_are_told_in_the_records() {
        let cost = |cycles, counted| CpuCost {
            scope_ns: Ok(5),
            client_ns: None,
            cycles,
            cycles_enabled_and_running_ns: counted,
        };
        let values: Vec<_> = cost(Ok(300), Some((30, 10))).values().collect();
        for (metric, value) in [
            (Metric::CpuNs, 5_u64),
            (Metric::CpuCycles, 300),
            (Metric::CyclesEnabledNs, 30),
            (Metric::CyclesRunningNs, 10),
        ] {
            assert!(values.contains(&(metric, value.into())), "{values:?}");
        }
        let uncounted: Vec<_> = cost(Err(CpuError::NotCounted), None).values().collect();
        assert_eq!(uncounted.len(), 2, "{uncounted:?}");
    }

    #[test]
    fn a_scope_without_groups_says_why_it_has_no_cpu_time() {
        let error = scope_cpu_ns(&Scope::default())
            .expect_err("nothing to read")
            .to_string();
        assert!(error.contains("run as root"), "{error}");
    }
}
