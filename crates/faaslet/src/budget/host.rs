//! What the host, the limits of this process and its cgroup have to give.

use std::fs;
use std::os::fd::BorrowedFd;

use measure_core::driver_kit::cgroup::{Controller, Hierarchies};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use procfs::Current;
use rustix::fs::fstatvfs;

/// Room that an entry of a directory takes, and the least that a file system allots.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// Descriptors that the process keeps beside those of its seats: code, pipes, sockets, slots to spare.
const OTHER_DESCRIPTORS: u64 = 64;
/// Descriptors of a start that are not its program's: seat, namespaces and their sockets, the two that a call opens on its way.
const DESCRIPTORS_PER_START: u64 = 8;
/// One part in so many of a file system is left to others, of its space this much at most: on a large disk a twentieth would
/// refuse every start where there is room for hundreds.
const DISK_KEPT: u64 = 20;
const DISK_KEPT_AT_MOST_BYTES: u64 = 1 << 30;

/// What the file system of `dir` has for Faaslets; nothing if it cannot be asked.
pub(super) fn free_disk_bytes(dir: BorrowedFd<'_>) -> Option<u64> {
    let stat = fstatvfs(dir).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let kept_bytes = bytes(stat.f_blocks / DISK_KEPT).min(DISK_KEPT_AT_MOST_BYTES);
    let left_bytes = bytes(stat.f_bavail).saturating_sub(kept_bytes);
    // Some file systems make inodes as they go, and say that there are none.
    let entries = match stat.f_files {
        0 => u64::MAX,
        files => {
            let left = stat.f_favail.saturating_sub(files / DISK_KEPT);
            left.saturating_mul(BLOCK_BYTES)
        }
    };
    Some(left_bytes.min(entries))
}

/// Three quarters of what the host has, or of what the cgroup lets this process have.
pub(super) fn memory_bytes() -> u64 {
    let host = procfs::Meminfo::current().map_or(u64::MAX, |info| info.mem_total);
    let limits = ["memory.max", "memory.limit_in_bytes"];
    host.min(cgroup_limit(Controller::Memory, limits)) / 4 * 3
}

/// Nine tenths of what the host, this user's limit and the cgroup allow.
pub(super) fn threads() -> u64 {
    let sysctl = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        let value = text.ok().and_then(|text| text.trim().parse().ok());
        value.unwrap_or(u64::MAX)
    };
    // Root has none.
    let own = match getrlimit(Resource::RLIMIT_NPROC) {
        Ok((soft, _)) if !geteuid().is_root() => soft,
        _ => u64::MAX,
    };
    let group = cgroup_limit(Controller::Pids, ["pids.max"; 2]);
    let least = sysctl("threads-max")
        .min(sysctl("pid_max"))
        .min(own)
        .min(group);
    least / 10 * 9
}

/// The least limit of `controller` from this process's group up, in one of `files`.
fn cgroup_limit(controller: Controller, files: [&str; 2]) -> u64 {
    let Ok(hierarchies) = Hierarchies::discover() else {
        return u64::MAX;
    };
    let limit = |path| {
        let text = fs::read_to_string(path).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let within = hierarchies.groups_around_us(controller);
    within
        .iter()
        .flat_map(|dir| files.map(|file| dir.join(file)))
        .filter_map(limit)
        .min()
        .unwrap_or(u64::MAX)
}

/// What the limit of open files leaves for programs beside what is open now and what `instances` starts need themselves.
pub(super) fn free_descriptors(instances: u64) -> u64 {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    let open = fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64);
    let others = OTHER_DESCRIPTORS + DESCRIPTORS_PER_START.saturating_mul(instances);
    limit.saturating_sub(open.saturating_add(others))
}
