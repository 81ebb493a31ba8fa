//! Memory over time.

use serde::Serialize;

use super::{Memory, Walk};

/// One pass, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// When the pass began, `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// How many processes were read.
    pub processes: usize,
    /// Their sum.
    #[serde(flatten)]
    pub memory: Memory,
}

impl From<&Walk> for Point {
    fn from(walk: &Walk) -> Self {
        Self {
            start_ns: walk.start_ns,
            end_ns: walk.end_ns,
            processes: walk.processes.len(),
            memory: walk.sum(),
        }
    }
}

/// Passes over time; every one is kept.
#[derive(Debug, Default)]
pub struct Series {
    /// In order of time.
    pub points: Vec<Point>,
    /// Processes that vanished during a pass, over all passes.
    pub vanished: usize,
    /// Processes that could not be read, over all passes.
    pub denied: usize,
    /// Why, each reason once.
    pub reasons: Vec<String>,
}

impl Series {
    /// Adds a pass.
    pub fn push(&mut self, walk: &Walk) {
        self.points.push(walk.into());
        self.vanished += walk.vanished;
        self.denied += walk.denied;
        for reason in &walk.reasons {
            if !self.reasons.contains(reason) {
                self.reasons.push(reason.clone());
            }
        }
    }

    /// The pass with the largest PSS, the first of equals. It is the peak of what was sampled: what
    /// lived between two passes is not in it.
    #[must_use]
    pub fn peak(&self) -> Option<&Point> {
        self.points
            .iter()
            .rev()
            .max_by_key(|point| point.memory.pss_bytes)
    }

    /// The largest value of each kind, which may be of different passes.
    #[must_use]
    pub fn maxima(&self) -> Option<Memory> {
        let all = self.points.iter().map(|point| point.memory);
        all.reduce(Memory::larger_of_each)
    }
}
