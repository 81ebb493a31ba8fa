//! An open loop between a driver and whoever loads it: starts are asked for at times drawn beforehand, whatever has or has not
//! come back.
//!
//! Under `time --gated --releases FD --release-page FD` a [`Go`](super::protocol::Go) may hold an [`OpenLoop`]. The driver says `armed` once its workers
//! wait, and gets one more line that says when the loop begins. From then on each arrival counts from when it is due, whatever the driver does: a worker
//! that has ended a start takes what is due by the clock, and those that wait are woken by a byte of the pipe for each arrival that comes due, by a
//! generator in another process ([`release_page`](super::release_page)). When all is over the driver says what became of them in [`Arrivals`], and then `batch`.

use serde::{Deserialize, Serialize};

/// The most arrivals of one loop, all of which both sides hold in memory and tell in lines.
pub const MAX_ARRIVALS: usize = 1_000_000;

/// Most starts of one [`Arrivals`]: a line that nobody minds to read.
pub const CHUNK: usize = 10_000;

/// When starts are to be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenLoop {
    /// From one arrival to the next; the first from the loop's beginning.
    pub gaps_ns: Vec<u64>,
    /// For how long after the last arrival starts may still begin; an arrival that has not begun by then is refused.
    pub drain_ns: u64,
}

impl OpenLoop {
    /// The loop with arrivals at `offsets_ns` from its beginning, in rising order.
    #[must_use]
    pub fn at(offsets_ns: &[u64], drain_ns: u64) -> Self {
        let mut before = 0;
        let gap = |&at: &u64| {
            let gap = at.saturating_sub(before);
            before = before.max(at);
            gap
        };
        Self {
            gaps_ns: offsets_ns.iter().map(gap).collect(),
            drain_ns,
        }
    }

    /// When each arrival is due, from the loop's beginning, in rising order.
    #[must_use]
    pub fn offsets_ns(&self) -> Vec<u64> {
        let mut at = 0_u64;
        let offset = |gap: &u64| {
            at = at.saturating_add(*gap);
            at
        };
        self.gaps_ns.iter().map(offset).collect()
    }
}

/// What became of consecutive arrivals, in the order in which they were due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrivals {
    /// Batch number, from 0.
    pub batch: u32,
    /// Which arrival of the loop the first of these is, from 0.
    pub first: usize,
    /// From when each was due until a worker began its start; null if it was refused.
    pub waited_ns: Vec<Option<u64>>,
    /// From there until it was torn down; 0 if it was refused.
    pub took_ns: Vec<u64>,
    /// Which arrivals of the loop failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<usize>,
    /// Why the first of them did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_lies_before_the_one_before_is_due_with_it() {
        let open = OpenLoop::at(&[5, 9, 7, 20], 0);
        assert_eq!(open.offsets_ns(), [5, 9, 9, 20]);
    }

    proptest! {
        #[test]
        fn times_survive_as_gaps(mut offsets in prop::collection::vec(0..1_u64 << 50, 0..200)) {
            offsets.sort_unstable();
            let open = OpenLoop::at(&offsets, 7);
            let line = serde_json::to_string(&open).expect("plain data");
            let read: OpenLoop = serde_json::from_str(&line).expect("its own form");
            prop_assert_eq!(read.offsets_ns(), offsets);
        }
    }
}
