//! The phases of a start, and whom their ends are told.

use measure_core::base::clock::PhaseClock;

/// Names of the phases of a start that every rung has.
pub mod phase {
    /// Store, limits and WASI state.
    pub const WASI: &str = "wasi";
    /// Slot, memory image, instance.
    pub const INSTANCE: &str = "instance";
    /// Of a handler: from its instance, or from the request of one that is there, to its answer's head.
    pub use measure_core::contract::vocabulary::phase::FIRST_BYTE;
    /// `_start`: C start-up code, `main`, exit; of a handler the rest of its answer.
    pub const RUN: &str = "run";
    /// Instance dropped, slot reset.
    pub const DROP: &str = "drop";
}

/// What a start tells the time of its phases to. A parked worker has none: a stop watch would lie on its
/// stack for as long as it is blocked.
pub trait Laps {
    /// The phase `name` ends here.
    fn lap(&mut self, name: &'static str);

    /// The same, but it ended at `now_ns` already.
    fn lap_at(&mut self, name: &'static str, now_ns: u64);
}

impl Laps for PhaseClock {
    fn lap(&mut self, name: &'static str) {
        Self::lap(self, name);
    }

    fn lap_at(&mut self, name: &'static str, now_ns: u64) {
        Self::lap_at(self, name, now_ns);
    }
}

impl Laps for Untimed {
    fn lap(&mut self, _: &'static str) {}

    fn lap_at(&mut self, _: &'static str, _: u64) {}
}

/// No stop watch.
pub struct Untimed;
