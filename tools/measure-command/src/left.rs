//! How long a pass goes on.

use std::fmt;
use std::time::{Duration, Instant};

/// How long a pass goes on, by how long it took so far; shown from two seconds on.
pub(super) struct Left {
    begun: Instant,
    /// Runs that are over.
    pub(super) done: u64,
    all: u64,
}

impl Left {
    pub(super) fn begin(runs: u32, tasks: usize) -> Self {
        Self {
            begun: Instant::now(),
            done: 0,
            all: u64::from(runs) * tasks as u64,
        }
    }

    fn seconds(&self, elapsed: Duration) -> Option<f64> {
        let to_come = self.all.saturating_sub(self.done) as f64;
        (self.done > 0).then(|| elapsed.as_secs_f64() / self.done as f64 * to_come)
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds(self.begun.elapsed()) {
            Some(seconds) if seconds >= 2.0 => write!(f, ", about {seconds:.0} s left"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_the_pace_so_far() {
        let mut left = Left::begin(10, 2);
        assert_eq!(left.seconds(Duration::from_secs(5)), None);
        left.done = 5;
        assert_eq!(left.seconds(Duration::from_secs(5)), Some(15.0));
        left.done = 20;
        assert_eq!(left.seconds(Duration::from_secs(9)), Some(0.0));
    }
}
