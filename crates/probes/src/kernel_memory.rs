//! Memory that PSS does not see: page tables, kernel stacks, slabs, per-CPU areas; and what the machine
//! has left.
//!
//! All of it is the whole machine's: take a snapshot on both sides of a change, on an otherwise quiet
//! machine, or fit its slope over a sweep.

use measure_core::contract::vocabulary::Metric;
use procfs::process::Process;
use procfs::{Current, Meminfo, ProcError};
use serde::{Deserialize, Serialize};

/// The kernel's own memory, in bytes; `None` for what this kernel does not report. The same struct
/// holds a snapshot and, as [`Difference`], the change between two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMemory<T = u64> {
    /// What could be given out without swapping (`MemAvailable`); falls when anything is used.
    pub available_bytes: Option<T>,
    /// Page tables of all processes (`PageTables` and `SecPageTables`).
    pub page_tables_bytes: Option<T>,
    /// Kernel stacks of all threads (`KernelStack`).
    pub kernel_stacks_bytes: Option<T>,
    /// Slabs that are given back under pressure: dentries, inodes (`SReclaimable`).
    pub slab_reclaimable_bytes: Option<T>,
    /// Slabs that are not (`SUnreclaim`).
    pub slab_unreclaimable_bytes: Option<T>,
    /// Per-CPU areas, which every namespace and cgroup has (`Percpu`).
    pub percpu_bytes: Option<T>,
    /// Allocated with vmalloc, kernel stacks included on most architectures (`VmallocUsed`).
    pub vmalloc_bytes: Option<T>,
}

/// The change between two snapshots, which may be negative.
pub type Difference = KernelMemory<i64>;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
#[error("cannot read /proc/meminfo: {0}, mount /proc")]
pub struct KernelMemoryError(#[source] ProcError);

impl KernelMemory {
    /// Reads /proc/meminfo.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn now() -> Result<Self, KernelMemoryError> {
        match Meminfo::current() {
            Ok(info) => Ok(Self::from(&info)),
            Err(error) => Err(KernelMemoryError(error)),
        }
    }

    /// What has changed since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Difference {
        let change = |now: Option<u64>, then: Option<u64>| {
            let signed = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
            Some(signed(now?) - signed(then?))
        };
        Difference {
            available_bytes: change(self.available_bytes, earlier.available_bytes),
            page_tables_bytes: change(self.page_tables_bytes, earlier.page_tables_bytes),
            kernel_stacks_bytes: change(self.kernel_stacks_bytes, earlier.kernel_stacks_bytes),
            slab_reclaimable_bytes: change(
                self.slab_reclaimable_bytes,
                earlier.slab_reclaimable_bytes,
            ),
            slab_unreclaimable_bytes: change(
                self.slab_unreclaimable_bytes,
                earlier.slab_unreclaimable_bytes,
            ),
            percpu_bytes: change(self.percpu_bytes, earlier.percpu_bytes),
            vmalloc_bytes: change(self.vmalloc_bytes, earlier.vmalloc_bytes),
        }
    }
}

impl<T: Copy> KernelMemory<T> {
    /// The metrics of records, and their values.
    #[must_use]
    pub fn metrics(&self) -> [(Metric, Option<T>); 7] {
        [
            (Metric::MemAvailableBytes, self.available_bytes),
            (Metric::PageTablesBytes, self.page_tables_bytes),
            (Metric::KernelStacksBytes, self.kernel_stacks_bytes),
            (Metric::SlabReclaimableBytes, self.slab_reclaimable_bytes),
            (
                Metric::SlabUnreclaimableBytes,
                self.slab_unreclaimable_bytes,
            ),
            (Metric::PercpuBytes, self.percpu_bytes),
            (Metric::VmallocBytes, self.vmalloc_bytes),
        ]
    }
}

impl From<&Meminfo> for KernelMemory {
    fn from(info: &Meminfo) -> Self {
        let page_tables = info.page_tables;
        Self {
            available_bytes: info.mem_available,
            page_tables_bytes: page_tables.map(|own| own + info.secondary_page_tables.unwrap_or(0)),
            kernel_stacks_bytes: info.kernel_stack,
            slab_reclaimable_bytes: info.s_reclaimable,
            slab_unreclaimable_bytes: info.s_unreclaim,
            percpu_bytes: info.per_cpu,
            vmalloc_bytes: Some(info.vmalloc_used),
        }
    }
}

/// Page tables of one process (`VmPTE`), in bytes; `None` if it is gone or is a kernel thread.
#[must_use]
pub fn page_tables_of(pid: i32) -> Option<u64> {
    let kib = Process::new(pid).ok()?.status().ok()?.vmpte?;
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
        for (name, value) in now.metrics() {
            assert!(value.is_some(), "{name}");
        }
        assert_eq!(now.since(&now).available_bytes, Some(0));
    }

    #[test]
    fn parked_threads_show_as_kernel_stacks() {
        let before = KernelMemory::now().expect("/proc");
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Arc::new(std::sync::Mutex::new(held));
        let threads: Vec<_> = (0..200)
            .map(|_| {
                let held = held.clone();
                std::thread::spawn(move || {
                    let _ = held.lock().map(|receiver| receiver.recv());
                })
            })
            .collect();
        let grown = KernelMemory::now().expect("/proc").since(&before);
        drop(hold);
        for thread in threads {
            thread.join().expect("it ends");
        }
        // At least one page each, most of 200; other tests' threads come and go meanwhile.
        let bytes = grown.kernel_stacks_bytes.expect("reported");
        assert!(bytes > 100 * 4096, "{bytes}");
    }

    #[test]
    fn a_process_has_page_tables_until_it_is_gone() {
        let me = nix::unistd::getpid().as_raw();
        assert!(page_tables_of(me).is_some_and(|bytes| bytes >= 4096));
        assert_eq!(page_tables_of(i32::MAX), None);
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
                assert_eq!(now.page_tables_bytes, page_tables);
                assert_eq!(now.slab_reclaimable_bytes, bytes("SReclaimable:"));
                assert_eq!(now.slab_unreclaimable_bytes, bytes("SUnreclaim:"));
                assert_eq!(now.percpu_bytes, bytes("Percpu:"));
                return;
            }
        }
        panic!("no two readings agree");
    }

    #[test]
    fn what_one_snapshot_lacks_has_not_changed_by_any_number() {
        let now = KernelMemory::now().expect("/proc");
        let change = now.since(&KernelMemory::default());
        assert_eq!(change.page_tables_bytes, None);
    }
}
