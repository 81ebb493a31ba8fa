//! Whether the wall clock of the host went on as time did during a run.

use std::time::{Duration, Instant, SystemTime};

/// By how much the two clocks of a host may run apart without a step: an hour of the fastest slewing that the kernel does
/// is 1.8 s.
const SLEW: Duration = Duration::from_secs(2);

/// Both clocks at the beginning of a run.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    monotonic: Instant,
    wall: SystemTime,
}

impl WallClock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// What to say if the wall clock has stepped since.
    #[must_use]
    pub fn stepped(&self) -> Option<String> {
        clock_step(self.monotonic.elapsed(), self.wall, SystemTime::now())
    }
}

/// What to say if the wall clock did not go on as `elapsed` did, from `then` to `now`.
fn clock_step(elapsed: Duration, then: SystemTime, now: SystemTime) -> Option<String> {
    let expected = then + elapsed;
    let (by, direction) = match now.duration_since(expected) {
        Ok(ahead) => (ahead, "forward"),
        Err(behind) => (behind.duration(), "back"),
    };
    (by > SLEW + elapsed / 2000).then(|| {
        format!(
            "the wall clock (CLOCK_REALTIME) stepped {direction} by {} s during the run, or the host was suspended: its dates do not tell how long it \
             took; what was timed is by CLOCK_MONOTONIC and stands",
            by.as_secs()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_is_told_from_slewing() {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let after = |seconds| then + Duration::from_millis(seconds);
        let hour = Duration::from_secs(3600);
        assert_eq!(clock_step(hour, then, after(3_600_000)), None);
        assert_eq!(clock_step(hour, then, after(3_601_700)), None);
        let said = |seconds| clock_step(hour, then, after(seconds)).expect("a step");
        assert!(said(3_660_000).contains("forward by 60 s"));
        assert!(said(3_540_000).contains("back by 60 s"));
    }
}
