//! What starts took so far.

use stats::levels::{Levels, median, processes_needed};

use crate::plan::VERY_SLOW_NS;

/// Aim: the interval of the isolated median reaches this share of it to each side. A tenth is promised, and what some processes
/// show of the spread is itself off.
const HALF_WIDTH: f64 = 0.09;

/// What starts took, as (process, batch, nanoseconds).
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Each turn counts as a batch of one.
    pub isolated: Vec<(u32, u32, f64)>,
    /// By block.
    pub back_to_back: Vec<(u32, u32, f64)>,
}

impl Seen {
    /// How many processes the interval of the isolated median asks for, by the spread of those that there are; 0 if nothing can be
    /// said.
    pub fn processes_wanted(&self, start_ns: u64) -> u32 {
        let Some(isolated) = levels(&self.isolated).filter(|_| start_ns < VERY_SLOW_NS) else {
            return 0;
        };
        let needed = processes_needed(&isolated, HALF_WIDTH).unwrap_or(usize::MAX);
        u32::try_from(needed).unwrap_or(u32::MAX)
    }

    /// How many of either design.
    pub fn len(&self) -> (usize, usize) {
        (self.isolated.len(), self.back_to_back.len())
    }

    /// Forgets what came after these.
    pub fn truncate(&mut self, (isolated, back_to_back): (usize, usize)) {
        self.isolated.truncate(isolated);
        self.back_to_back.truncate(back_to_back);
    }

    /// Median of the isolated starts.
    pub fn isolated_ns(&self) -> Option<u64> {
        // A time in nanoseconds, which is positive and fits.
        levels(&self.isolated).map(|isolated| median(&isolated).value as u64)
    }
}

pub(super) fn levels(seen: &[(u32, u32, f64)]) -> Option<Levels> {
    Levels::from_observations(seen.iter().copied())
}
