//! Memory that PSS does not see: page tables, kernel stacks, slabs, per-CPU areas; and what the machine
//! has left.
//!
//! All of it is the whole machine's: take a snapshot on both sides of a change, on an otherwise quiet
//! machine, or fit its slope over a sweep.

use std::collections::BTreeMap;

use measure_core::contract::vocabulary::Metric;
use procfs::process::Process;
use procfs::{Current, Meminfo, ProcError};

/// The kernel's own memory, in bytes by metric; without those that this kernel does not report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelMemory(BTreeMap<Metric, u64>);

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[error("cannot read /proc/meminfo: {0}, mount /proc")]
pub struct KernelMemoryError(
    #[from]
    #[source]
    ProcError,
);

impl KernelMemory {
    /// Reads /proc/meminfo.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn now() -> Result<Self, KernelMemoryError> {
        let info = Meminfo::current().map_err(KernelMemoryError)?;
        let secondary = info.secondary_page_tables.unwrap_or(0);
        let all = [
            (Metric::MemAvailableBytes, info.mem_available),
            (
                Metric::PageTablesBytes,
                info.page_tables.map(|own| own + secondary),
            ),
            (Metric::KernelStacksBytes, info.kernel_stack),
            (Metric::SlabReclaimableBytes, info.s_reclaimable),
            (Metric::SlabUnreclaimableBytes, info.s_unreclaim),
            (Metric::PercpuBytes, info.per_cpu),
            (Metric::VmallocBytes, Some(info.vmalloc_used)),
        ];
        let known = all
            .into_iter()
            .filter_map(|(name, bytes)| Some((name, bytes?)));
        Ok(Self(known.collect()))
    }

    /// What the kernel reports of `metric`.
    #[must_use]
    pub fn bytes(&self, metric: &Metric) -> Option<u64> {
        self.0.get(metric).copied()
    }

    /// Everything that the kernel reports.
    pub fn metrics(self) -> impl Iterator<Item = (Metric, u64)> {
        self.0.into_iter()
    }

    /// By how much those of `metrics` that both report have changed since `earlier`, up or down, added up.
    #[must_use]
    pub fn moved_bytes(&self, earlier: &Self, metrics: &[Metric]) -> u64 {
        let moved = |metric| Some(self.bytes(metric)?.abs_diff(earlier.bytes(metric)?));
        metrics.iter().filter_map(moved).sum()
    }
}

/// Page tables of one process (`VmPTE`), in bytes; `None` if it is gone or is a kernel thread.
#[must_use]
pub fn page_tables_of(pid: i32) -> Option<u64> {
    let kib = Process::new(pid).ok()?.status().ok()?.vmpte?;
    Some(kib * 1024)
}

/// The kernel's own peak of the resident set of process `pid` since its last exec (`VmHWM`), in bytes; `None` if it is
/// gone or is a kernel thread.
#[must_use]
pub fn resident_peak_of(pid: i32) -> Option<u64> {
    let kib = Process::new(pid).ok()?.status().ok()?.vmhwm?;
    Some(kib * 1024)
}

/// Page tables of several processes, in bytes, those that are gone left out. Processes that share
/// page tables (threads, vfork) are one process.
#[must_use]
pub fn page_tables_of_all(pids: &[i32]) -> u64 {
    pids.iter().filter_map(|&pid| page_tables_of(pid)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_reports_what_is_needed() {
        let now = KernelMemory::now().expect("/proc");
        assert_eq!(now.clone().metrics().count(), 7, "{now:?}");
    }

    #[test]
    fn parked_threads_show_as_kernel_stacks() {
        let stacks = || {
            let now = KernelMemory::now().expect("/proc");
            now.bytes(&Metric::KernelStacksBytes).expect("reported")
        };
        let before = stacks();
        let hold = std::sync::Barrier::new(201);
        let after = std::thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| hold.wait());
            }
            let after = stacks();
            hold.wait();
            after
        });
        // At least one page each, most of 200; other tests' threads come and go meanwhile.
        assert!(after > before + 100 * 4096, "{before}, then {after}");
    }

    #[test]
    fn a_process_has_page_tables_until_it_is_gone() {
        let me = nix::unistd::getpid().as_raw();
        assert!(page_tables_of(me).is_some_and(|bytes| bytes >= 4096));
        assert_eq!(page_tables_of(i32::MAX), None);
        assert!(resident_peak_of(me).is_some_and(|bytes| bytes >= 4096));
        assert_eq!(
            page_tables_of_all(&[me, i32::MAX]).checked_rem(1024),
            Some(0)
        );
    }

    /// Each figure is the kernel's own line, in bytes: from the text, as proc(5) names the fields.
    #[test]
    fn figures_are_those_of_the_text() {
        // Between two readings that agree, so that nothing has changed meanwhile.
        let text = || std::fs::read_to_string("/proc/meminfo").expect("/proc");
        let kib = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let names = ["PageTables:", "SReclaimable:", "SUnreclaim:", "Percpu:"];
        for _ in 0..1000 {
            let before = text();
            let now = KernelMemory::now().expect("/proc");
            if names.iter().all(|n| kib(&before, n) == kib(&text(), n)) {
                let bytes = |name| kib(&before, name).map(|kib| kib * 1024);
                let secondary = bytes("SecPageTables:").unwrap_or(0);
                let page_tables = bytes("PageTables:").map(|own| own + secondary);
                for (metric, expected) in [
                    (Metric::PageTablesBytes, page_tables),
                    (Metric::SlabReclaimableBytes, bytes("SReclaimable:")),
                    (Metric::SlabUnreclaimableBytes, bytes("SUnreclaim:")),
                    (Metric::PercpuBytes, bytes("Percpu:")),
                ] {
                    assert_eq!(now.bytes(&metric), expected, "{metric}");
                }
                return;
            }
        }
        panic!("no two readings agree");
    }

    #[test]
    fn what_one_snapshot_lacks_has_not_changed_by_any_number() {
        let reports = |bytes| KernelMemory(BTreeMap::from([(Metric::PercpuBytes, bytes)]));
        let moved = |now: &KernelMemory, then: &KernelMemory| {
            now.moved_bytes(then, &[Metric::PercpuBytes, Metric::VmallocBytes])
        };
        assert_eq!(moved(&reports(3), &reports(10)), 7);
        assert_eq!(moved(&reports(3), &KernelMemory::default()), 0);
    }
}
