//! What the host has left for more workers, and when it has too little.

use probes::kernel_limits::{self, KernelLimit};
use probes::memory_room::{MemoryRoom, MemoryRooms};
use report::bytes;

use super::gave::Gave;
use super::plan::{left_of, left_of_memory};
use crate::error::{BenchError, SessionError};
use crate::link::interrupted;

/// Swap that may come into use beside a run: what others had not used for long.
const SWAP_BYTES: u64 = 16 << 20;

/// What the host had before any worker was parked.
#[derive(Debug)]
pub(super) struct Room {
    floor_percent: u32,
    limits_before: Vec<KernelLimit>,
    memory_before: MemoryRooms,
}

impl Room {
    pub(super) fn begin(floor_percent: u32) -> Result<Self, BenchError> {
        Ok(Self {
            floor_percent,
            limits_before: kernel_limits::of_host(),
            memory_before: MemoryRooms::now()?,
        })
    }

    /// How many more workers than `resident` fit, by what those took, and what gives then.
    pub(super) fn left(&self, resident: u64) -> Result<(u64, Gave), BenchError> {
        let memory = MemoryRooms::now()?;
        if let Some(words) = self.swapped(&memory) {
            return Ok((0, Gave::Swap(words)));
        }
        let mut tightest = (u64::MAX, Gave::Until);
        for room in &memory.rooms {
            let before = self.memory_before.rooms.iter();
            let taken: u64 = before
                .filter(|before| before.group == room.group)
                .map(|before| before.available_bytes.saturating_sub(room.available_bytes))
                .sum();
            let left = left_of_memory(room.above_floor_bytes(self.floor_percent), taken, resident);
            if left < tightest.0 {
                let each = taken.checked_div(resident).unwrap_or(0);
                tightest = (left, Gave::Memory(self.next_falls_below(room, each)));
            }
        }
        for limit in kernel_limits::of_host() {
            let before = self.limits_before.iter();
            let before = before.filter(|before| before.bounded == limit.bounded);
            let before = before.map(|before| before.used).min().unwrap_or(limit.used);
            match left_of(&limit, before, resident) {
                Some(left) if left < tightest.0 => tightest = (left, Gave::Limit(limit)),
                _ => {}
            }
        }
        Ok(tightest)
    }

    /// Why not to wait for what takes more memory: a signal, or too little is left.
    pub(super) fn stop(&self) -> Option<SessionError> {
        interrupted().or_else(|| self.is_too_tight().map(SessionError::GivenUp))
    }

    fn is_too_tight(&self) -> Option<String> {
        let memory = MemoryRooms::now().ok()?;
        let room = memory.tightest(self.floor_percent)?;
        let fell = room.above_floor_bytes(self.floor_percent) == 0;
        fell.then(|| {
            format!(
                "{} fell to its floor of {} % while workers were parked; {}",
                named(room),
                self.floor_percent,
                how_to_have_more(room)
            )
        })
    }

    fn next_falls_below(&self, room: &MemoryRoom, each_bytes: u64) -> String {
        format!(
            "the next, of {} each, would take {} below its floor of {} %; {}",
            bytes(each_bytes as f64),
            named(room),
            self.floor_percent,
            how_to_have_more(room)
        )
    }

    fn swapped(&self, now: &MemoryRooms) -> Option<String> {
        let before = self.memory_before.swap_used_bytes;
        let more = now.swap_used_bytes.saturating_sub(before);
        (more > SWAP_BYTES).then(|| {
            format!(
                "the host began to swap, {} so far; it needs more memory, or vm.swappiness=0",
                bytes(more as f64)
            )
        })
    }
}

fn named(room: &MemoryRoom) -> String {
    let (available, total) = (
        bytes(room.available_bytes as f64),
        bytes(room.total_bytes as f64),
    );
    match &room.group {
        None => format!("the host's MemAvailable ({available} of {total})"),
        Some(group) => format!(
            "the memory of cgroup {} ({available} of {total} left)",
            group.display()
        ),
    }
}

fn how_to_have_more(room: &MemoryRoom) -> &'static str {
    match room.group {
        None => "add memory, or lower --floor",
        Some(_) => "raise the group's limit (memory.max, memory.limit_in_bytes), or lower --floor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_above_all_there_is_stops_at_once() {
        let room = Room::begin(100).expect("/proc");
        assert!(
            matches!(room.stop(), Some(SessionError::GivenUp(words)) if words.contains("floor of 100 %"))
        );
        let (left, gave) = room.left(0).expect("/proc");
        assert_eq!((left, gave.word()), (0, "memory"), "{gave:?}");
        let roomy = Room::begin(1).expect("/proc");
        assert!(roomy.stop().is_none());
        assert!(roomy.left(0).expect("/proc").0 > 0);
    }
}
