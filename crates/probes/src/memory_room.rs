//! How much memory there is left to take: of the host, and of each memory cgroup around this process that has a limit.

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::driver_kit::cgroup::{Controller, Hierarchies};
use procfs::{Current, Meminfo};

use crate::host::number_in;
use crate::kernel_memory::KernelMemoryError;

/// Memory that somebody bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryRoom {
    /// The cgroup with the limit; `None` for the host.
    pub group: Option<PathBuf>,
    /// All there is.
    pub total_bytes: u64,
    /// What can be had without swapping: MemAvailable; of a cgroup its limit less what is charged to it, file pages that nobody used
    /// lately taken off.
    pub available_bytes: u64,
}

impl MemoryRoom {
    /// What may be taken until only `floor_percent` of all is left.
    #[must_use]
    pub fn above_floor_bytes(&self, floor_percent: u32) -> u64 {
        let floor = self.total_bytes / 100 * u64::from(floor_percent);
        self.available_bytes.saturating_sub(floor)
    }
}

/// Memory of the host and of the limited groups around this process, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryRooms {
    /// The host first.
    pub rooms: Vec<MemoryRoom>,
    /// Swap of the host in use.
    pub swap_used_bytes: u64,
}

impl MemoryRooms {
    /// Reads /proc/meminfo and the cgroups.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn now() -> Result<Self, KernelMemoryError> {
        let info = Meminfo::current().map_err(KernelMemoryError::from)?;
        let mut rooms = vec![MemoryRoom {
            group: None,
            total_bytes: info.mem_total,
            available_bytes: info.mem_available.unwrap_or(info.mem_free),
        }];
        if let Ok(hierarchies) = Hierarchies::discover() {
            let within = hierarchies.groups_around_us(Controller::Memory);
            let limited = within.iter();
            rooms.extend(limited.filter_map(|dir| room_of_group(dir, info.mem_total)));
        }
        Ok(Self {
            rooms,
            swap_used_bytes: info.swap_total.saturating_sub(info.swap_free),
        })
    }

    /// The room with least to take above its floor.
    #[must_use]
    pub fn tightest(&self, floor_percent: u32) -> Option<&MemoryRoom> {
        let rooms = self.rooms.iter();
        rooms.min_by_key(|room| room.above_floor_bytes(floor_percent))
    }
}

/// The room in `dir`, if it has less than the host's `total_bytes`.
fn room_of_group(dir: &Path, total_bytes: u64) -> Option<MemoryRoom> {
    let number = |file: &str| number_in(&dir.join(file));
    let first = |files: [&str; 2]| files.into_iter().find_map(number);
    // `max` is no number, and on v1 no limit is one beyond any host's memory.
    let limit = first(["memory.max", "memory.limit_in_bytes"]).filter(|&l| l < total_bytes)?;
    let charged = first(["memory.current", "memory.usage_in_bytes"])?;
    let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
    let reclaimable = stat_field(&stat, "total_inactive_file")
        .or_else(|| stat_field(&stat, "inactive_file"))
        .unwrap_or(0);
    Some(MemoryRoom {
        group: Some(dir.to_owned()),
        total_bytes: limit,
        available_bytes: limit.saturating_sub(charged.saturating_sub(reclaimable)),
    })
}

fn stat_field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_room_and_no_more_than_all_of_it() {
        let now = MemoryRooms::now().expect("/proc");
        let host = &now.rooms[0];
        assert_eq!(host.group, None);
        assert!(host.available_bytes > 0 && host.available_bytes <= host.total_bytes);
        assert!(host.above_floor_bytes(100) == 0);
        assert!(host.above_floor_bytes(0) == host.available_bytes);
    }

    #[test]
    fn a_group_has_room_if_it_has_a_limit() {
        let dir = tempfile::tempdir().expect("a directory");
        let set = |file: &str, text: &str| fs::write(dir.path().join(file), text).expect("written");
        let total = 24 << 30;
        // Version 1 without a limit, then with one.
        set("memory.limit_in_bytes", "9223372036854771712\n");
        set("memory.usage_in_bytes", "700\n");
        assert_eq!(room_of_group(dir.path(), total), None);
        set("memory.limit_in_bytes", "1000\n");
        set("memory.stat", "inactive_file 1\ntotal_inactive_file 50\n");
        let room = room_of_group(dir.path(), total).expect("limited");
        assert_eq!((room.total_bytes, room.available_bytes), (1000, 350));
        // Version 2.
        set("memory.max", "max\n");
        set("memory.current", "900\n");
        let room = room_of_group(dir.path(), total).expect("the other file is still there");
        assert_eq!(room.total_bytes, 1000);
        set("memory.max", "2000\n");
        set("memory.stat", "inactive_file 100\n");
        let room = room_of_group(dir.path(), total).expect("limited");
        assert_eq!((room.total_bytes, room.available_bytes), (2000, 1200));
    }

    #[test]
    fn the_tightest_is_that_with_least_above_its_floor() {
        let room = |total_bytes, available_bytes| MemoryRoom {
            group: None,
            total_bytes,
            available_bytes,
        };
        let rooms = MemoryRooms {
            rooms: vec![room(10_000, 1_500), room(1_000, 600)],
            swap_used_bytes: 0,
        };
        assert_eq!(rooms.tightest(1).map(|r| r.total_bytes), Some(1_000));
        assert_eq!(rooms.tightest(12).map(|r| r.total_bytes), Some(10_000));
    }
}
