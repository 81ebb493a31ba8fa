//! Memory that PSS does not see: page tables, kernel stacks, slabs, per-CPU areas; and what the machine
//! has left.
//!
//! All of it is the whole machine's: take a snapshot on both sides of a change, on an otherwise quiet
//! machine, or fit its slope over a sweep.

use std::fs;
use std::io;

use measure_core::contract::vocabulary::Metric;
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
#[error("cannot read {path}: {source}, mount /proc")]
pub struct KernelMemoryError {
    path: String,
    source: io::Error,
}

impl KernelMemory {
    /// Reads /proc/meminfo.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn now() -> Result<Self, KernelMemoryError> {
        let path = "/proc/meminfo";
        fs::read_to_string(path)
            .map(|text| parse_meminfo(&text))
            .map_err(|source| KernelMemoryError {
                path: path.to_owned(),
                source,
            })
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

fn parse_meminfo(text: &str) -> KernelMemory {
    let field = |name: &str| kib_field(text, name);
    let page_tables = field("PageTables");
    KernelMemory {
        available_bytes: field("MemAvailable"),
        page_tables_bytes: page_tables.map(|own| own + field("SecPageTables").unwrap_or(0)),
        kernel_stacks_bytes: field("KernelStack"),
        slab_reclaimable_bytes: field("SReclaimable"),
        slab_unreclaimable_bytes: field("SUnreclaim"),
        percpu_bytes: field("Percpu"),
        vmalloc_bytes: field("VmallocUsed"),
    }
}

/// The value in bytes of a line `Name:  123 kB`.
fn kib_field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    })
}

/// Page tables of one process (`VmPTE`), in bytes; `None` if it is gone or is a kernel thread.
#[must_use]
pub fn page_tables_of(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kib_field(&status, "VmPTE")
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
    use proptest::prelude::*;

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

    #[test]
    fn a_name_is_not_the_prefix_of_another() {
        let text = "Slab:  9 kB\nSlabX:  8 kB\nSReclaimable:   2 kB\nPageTables: 3 kB\nSecPageTables: 1 kB\n";
        let parsed = parse_meminfo(text);
        assert_eq!(parsed.slab_reclaimable_bytes, Some(2048));
        assert_eq!(parsed.page_tables_bytes, Some(4096));
        assert_eq!(parsed.percpu_bytes, None);
        assert_eq!(
            parsed.since(&KernelMemory::default()).page_tables_bytes,
            None
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = parse_meminfo(&text);
        }
    }
}
