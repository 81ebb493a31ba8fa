//! Monotonic nanoseconds and the phases of one start.

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds: one time line for every process of the host, so that a
/// driver's samples and its parent's readings can be laid side by side.
#[must_use]
pub fn now_ns() -> u64 {
    // CLOCK_MONOTONIC exists on every Linux; 0 would show as an absurd sample, not as a crash.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        t.tv_sec().unsigned_abs() * 1_000_000_000 + t.tv_nsec().unsigned_abs()
    })
}

/// More phases than any rung has; a fixed array keeps allocation out of the timed path.
const MAX_PHASES: usize = 16;

/// A stop watch whose laps are the phases of one start. Laps are differences of consecutive
/// readings, so they sum to the total by construction. It is `Copy`: hand it to the thread that
/// does the next phase and take it back.
#[derive(Debug, Clone, Copy)]
pub struct PhaseClock {
    start_ns: u64,
    laps: [(&'static str, u64); MAX_PHASES],
    len: usize,
}

impl PhaseClock {
    /// Starts the clock.
    #[must_use]
    pub fn start() -> Self {
        let mut clock = Self {
            start_ns: 0,
            laps: [("", 0); MAX_PHASES],
            len: 0,
        };
        clock.start_ns = now_ns();
        clock
    }

    /// Ends the phase `name`, which began where the one before it ended. Laps beyond the sixteenth
    /// are added to the last one.
    pub fn lap(&mut self, name: &'static str) {
        self.lap_at(name, now_ns());
    }

    /// The same, but the phase ended at `now` already, by the same clock.
    pub fn lap_at(&mut self, name: &'static str, now: u64) {
        if self.len < MAX_PHASES {
            self.laps[self.len] = (name, now);
            self.len += 1;
        } else {
            self.laps[MAX_PHASES - 1].1 = now;
        }
    }

    /// The phases so far; the total ends with the last lap.
    #[must_use]
    pub fn finish(&self) -> Phases {
        let mut last = self.start_ns;
        let phases = self.laps[..self.len]
            .iter()
            .map(|&(name, at)| {
                let lap = (name, at.saturating_sub(last));
                last = at;
                lap
            })
            .collect();
        Phases {
            start_ns: self.start_ns,
            total_ns: last - self.start_ns,
            phases,
        }
    }
}

/// What one start cost, phase by phase, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phases {
    /// When the start was asked for, on `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// From there to torn down.
    pub total_ns: u64,
    /// Name and duration of each phase; they sum to `total_ns`.
    pub phases: Vec<(&'static str, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_sum_to_the_total() {
        let mut clock = PhaseClock::start();
        for name in ["a", "b", "c"] {
            std::hint::black_box(name.repeat(1000));
            clock.lap(name);
        }
        let done = clock.finish();
        assert_eq!(done.phases.len(), 3);
        assert_eq!(done.phases.iter().map(|p| p.1).sum::<u64>(), done.total_ns);
    }

    #[test]
    fn laps_beyond_the_array_still_sum() {
        let mut clock = PhaseClock::start();
        for _ in 0..40 {
            clock.lap("many");
        }
        let done = clock.finish();
        assert_eq!(done.phases.iter().map(|p| p.1).sum::<u64>(), done.total_ns);
    }
}
