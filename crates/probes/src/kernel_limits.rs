//! Numbers that the kernel bounds, and how much of each is used: what stops a host from holding more.

use std::fmt;
use std::fs;

use measure_core::driver_kit::cgroup::{Controller, Hierarchies};
use procfs::process::{LimitValue, Process};

use crate::host::{Host, number_in};

/// User addresses of a process: 47 bits with four levels of page tables, which is what is given to those that ask for no more.
const ADDRESS_SPACE_BYTES: u64 = 1 << 47;
/// Ids that the kernel has for memory cgroups (`MEM_CGROUP_ID_MAX`).
const MEMORY_GROUPS: u64 = 65_535;

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bounded {
    /// Ids of tasks: processes and threads of the whole host.
    PidMax,
    /// Tasks of the whole host.
    ThreadsMax,
    /// Tasks in a pids cgroup around this process.
    GroupPids,
    /// Open files of the whole host.
    FileMax,
    /// Network namespaces of this user.
    NetNamespaces,
    /// Memory cgroups of the whole host.
    MemoryGroups,
    /// Mappings of one process.
    MapCount,
    /// Open files of one process.
    OpenFiles,
    /// Bytes of one process's address space.
    AddressSpace,
}

impl Bounded {
    /// What it is called where it is set.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PidMax => "kernel.pid_max",
            Self::ThreadsMax => "kernel.threads-max",
            Self::GroupPids => "pids.max",
            Self::FileMax => "fs.file-max",
            Self::NetNamespaces => "user.max_net_namespaces",
            Self::MemoryGroups => "memory cgroups",
            Self::MapCount => "vm.max_map_count",
            Self::OpenFiles => "open files of a process",
            Self::AddressSpace => "address space of a process",
        }
    }

    /// How to raise it.
    #[must_use]
    pub fn how_to_raise(self) -> String {
        match self {
            Self::GroupPids => "raise pids.max of the cgroup around this process".to_owned(),
            Self::OpenFiles => {
                "raise it with `ulimit -n`, beyond fs.nr_open with `sysctl -w fs.nr_open=...`"
                    .to_owned()
            }
            Self::MemoryGroups => "the kernel has no more ids for them".to_owned(),
            Self::AddressSpace => {
                "the processor's page tables bound it; more processes have more".to_owned()
            }
            sysctl => format!(
                "raise it with `sysctl -w {}=...` or --raise-limits",
                sysctl.name()
            ),
        }
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A bound and what is used of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelLimit {
    /// Of what.
    pub bounded: Bounded,
    /// The most there can be.
    pub limit: u64,
    /// How much there is.
    pub used: u64,
}

impl fmt::Display for KernelLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bounded,
            limit,
            used,
        } = self;
        write!(f, "{bounded} is {limit}, of which {used} are used")
    }
}

/// Bounds of the whole host, and of the pids cgroups around this process; without those that this kernel or user cannot read.
#[must_use]
pub fn of_host() -> Vec<KernelLimit> {
    let mut limits = of_host_at(&Host::real());
    limits.extend(group_pids());
    limits
}

/// Tasks of the whole host; `None` where /proc/loadavg cannot be read.
#[must_use]
pub fn tasks() -> Option<u64> {
    tasks_at(&Host::real())
}

fn tasks_at(host: &Host) -> Option<u64> {
    // `0.20 0.18 0.12 1/80 11206`: ready to run, and all.
    let text = host.text("/proc/loadavg").ok()?;
    let (_, all) = text.split_whitespace().nth(3)?.split_once('/')?;
    all.parse().ok()
}

fn of_host_at(host: &Host) -> Vec<KernelLimit> {
    let sysctl = |name: &str| host.number(&format!("/proc/sys/{name}")).ok();
    let files = host.text("/proc/sys/fs/file-nr").ok();
    let files = files.as_deref().and_then(|text| {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        // Allocated, free of these, limit.
        let (used, _, limit) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some((limit.ok()?, used.ok()?))
    });
    let tasks = tasks_at(host);
    let slabs = host.text("/proc/slabinfo").ok();
    let namespaces = slabs.as_deref().and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("net_namespace "))?;
        line.split_whitespace().next()?.parse().ok()
    });
    let groups = host.text("/proc/cgroups").ok();
    let groups = groups.as_deref().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("memory"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    });
    known([
        (Bounded::PidMax, sysctl("kernel/pid_max"), tasks),
        (Bounded::ThreadsMax, sysctl("kernel/threads-max"), tasks),
        (
            Bounded::FileMax,
            files.map(|(limit, _)| limit),
            files.map(|(_, used)| used),
        ),
        (
            Bounded::NetNamespaces,
            sysctl("user/max_net_namespaces"),
            namespaces,
        ),
        (Bounded::MemoryGroups, Some(MEMORY_GROUPS), groups),
    ])
}

/// Those of which both are known.
fn known<const N: usize>(all: [(Bounded, Option<u64>, Option<u64>); N]) -> Vec<KernelLimit> {
    let both = all.into_iter().filter_map(|(bounded, limit, used)| {
        Some(KernelLimit {
            bounded,
            limit: limit?,
            used: used?,
        })
    });
    both.collect()
}

/// The pids cgroup around this process that has least left.
fn group_pids() -> Option<KernelLimit> {
    let within = Hierarchies::discover()
        .ok()?
        .groups_around_us(Controller::Pids);
    let limits = within.iter().flat_map(|dir| {
        let number = |file: &str| number_in(&dir.join(file));
        known([(
            Bounded::GroupPids,
            number("pids.max"),
            number("pids.current"),
        )])
    });
    limits.min_by_key(|limit| limit.limit.saturating_sub(limit.used))
}

/// Bounds of process `pid`; none if it is gone or another user's.
#[must_use]
pub fn of_process(pid: i32) -> Vec<KernelLimit> {
    let Ok(process) = Process::new(pid) else {
        return Vec::new();
    };
    let maps = fs::read(format!("/proc/{pid}/maps")).ok();
    // Not by `procfs`, which parses each of tens of thousands.
    let maps = maps.map(|text| text.iter().filter(|&&byte| byte == b'\n').count() as u64);
    let files = process.fd_count().ok().map(|count| count as u64);
    let limits = process.limits().ok();
    let number = |value: LimitValue| match value {
        LimitValue::Value(limit) => limit,
        LimitValue::Unlimited => u64::MAX,
    };
    let open_files = limits
        .as_ref()
        .map(|limits| number(limits.max_open_files.hard_limit));
    let address_space = limits.map(|limits| number(limits.max_address_space.soft_limit));
    let size = process.stat().ok().map(|stat| stat.vsize);
    known([
        (
            Bounded::MapCount,
            Host::real().number("/proc/sys/vm/max_map_count").ok(),
            maps,
        ),
        (Bounded::OpenFiles, open_files, files),
        (
            Bounded::AddressSpace,
            address_space.map(|limit| limit.min(ADDRESS_SPACE_BYTES)),
            size,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(limits: &[KernelLimit], bounded: Bounded) -> Option<(u64, u64)> {
        let limit = limits.iter().find(|limit| limit.bounded == bounded);
        limit.map(|limit| (limit.limit, limit.used))
    }

    #[test]
    fn a_host_of_files_says_what_they_say() {
        let dir = tempfile::tempdir().expect("a directory");
        for (path, text) in [
            ("proc/loadavg", "0.20 0.18 0.12 1/814 11206\n"),
            ("proc/sys/kernel/pid_max", "32768\n"),
            ("proc/sys/kernel/threads-max", "192730\n"),
            ("proc/sys/fs/file-nr", "1128\t0\t2466177\n"),
            ("proc/sys/user/max_net_namespaces", "96365\n"),
            (
                "proc/slabinfo",
                "slabinfo - version: 2.1\nnet_namespace         23     56   4288\n",
            ),
            (
                "proc/cgroups",
                "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t4\t1959\t1\n",
            ),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        let host = Host {
            root: dir.path().to_owned(),
        };
        let limits = of_host_at(&host);
        for (bounded, numbers) in [
            (Bounded::PidMax, (32_768, 814)),
            (Bounded::ThreadsMax, (192_730, 814)),
            (Bounded::FileMax, (2_466_177, 1128)),
            (Bounded::NetNamespaces, (96_365, 23)),
            (Bounded::MemoryGroups, (65_535, 1959)),
        ] {
            assert_eq!(found(&limits, bounded), Some(numbers), "{bounded}");
        }
        assert_eq!(
            limits[0].to_string(),
            "kernel.pid_max is 32768, of which 814 are used"
        );
        // What cannot be read is left out.
        fs::remove_file(dir.path().join("proc/loadavg")).expect("removed");
        assert_eq!(found(&of_host_at(&host), Bounded::PidMax), None);
    }

    #[test]
    fn this_process_uses_some_of_what_it_may() {
        let me = of_process(nix::unistd::getpid().as_raw());
        assert_eq!(me.len(), 3, "{me:?}");
        for limit in me {
            assert!(limit.used > 0 && limit.used < limit.limit, "{limit}");
        }
        assert!(of_process(i32::MAX).is_empty());
        assert!(tasks().is_some_and(|tasks| tasks > 1));
    }
}
