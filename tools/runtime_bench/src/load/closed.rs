//! Starts of a process in a closed loop: one by one, and as many as it makes, before it is loaded and beside each rate.

use std::time::Duration;

use measure_core::contract::protocol::Go;

use crate::error::{SessionError, StepError};
use crate::session::Session;

/// How long one worker makes starts, for the unloaded median.
const ALONE: Duration = Duration::from_millis(200);
/// Fewest and most starts of one worker.
const ALONE_STARTS: (u64, u64) = (3, 300);
/// Fewest and most starts of each worker of many.
const TOGETHER_STARTS: (u64, u64) = (3, 50_000);
/// Starts of each worker before those that count, at most.
const WARMUP: u64 = 10;

/// What a process makes in a closed loop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    /// Median start of one worker.
    pub unloaded_ns: u64,
    /// Starts that went well of all workers, a second.
    pub per_s: f64,
    /// What they took together.
    pub elapsed_ns: u64,
    /// How many they were.
    pub starts: u64,
}

/// Median of starts made one by one, unless it is `known`; a fresh process makes at least one.
///
/// # Errors
/// No start went well, or the driver fails.
pub(super) fn unloaded_ns(session: &mut Session, known: Option<u64>) -> Result<u64, StepError> {
    let first_ns = alone(session, 1, 0)?;
    let starts = as_many_in(ALONE, first_ns, ALONE_STARTS);
    match known {
        Some(known) => Ok(known),
        None => alone(session, starts, WARMUP.min(starts)),
    }
}

/// As many starts as one worker makes in `time`.
fn as_many_in(time: Duration, start_ns: u64, (least, most): (u64, u64)) -> u64 {
    let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    (time_ns / start_ns.max(1)).clamp(least, most)
}

/// Median of starts made one by one by one worker.
fn alone(session: &mut Session, starts: u64, warmup: u64) -> Result<u64, StepError> {
    let go = Go {
        starts: Some(starts),
        workers: Some(1),
        warmup: Some(warmup),
        ..Go::default()
    };
    let (mut took, mut said) = (Vec::new(), "no start was made".to_owned());
    session.batch(&go, ALONE, &mut |sample| {
        match sample.error {
            Some(error) => said = error,
            None if sample.warmup => {}
            None => took.push(sample.total_ns as f64),
        }
        Ok(())
    })?;
    let median = stats::median(&took).ok_or(SessionError::AllFailed(said))?;
    Ok(median as u64)
}

/// Starts of all `workers` in a closed loop, as many as would take one of them `time` if each took `start_ns`, as alone.
///
/// # Errors
/// No start went well, or the driver fails.
pub(super) fn together(
    session: &mut Session,
    workers: usize,
    start_ns: u64,
    time: Duration,
) -> Result<Closed, StepError> {
    let each = as_many_in(time, start_ns, TOGETHER_STARTS);
    let go = Go {
        starts: Some(each * workers as u64),
        workers: Some(workers),
        warmup: Some(WARMUP.min(each)),
        quiet: true,
        ..Go::default()
    };
    let mut said = "no start was made".to_owned();
    let expected = ALONE * u32::try_from(workers).unwrap_or(u32::MAX);
    let end = session.batch(&go, expected, &mut |sample| {
        if let Some(error) = sample.error {
            said = error;
        }
        Ok(())
    })?;
    let good = end.starts.saturating_sub(end.failed);
    if good == 0 {
        return Err(SessionError::AllFailed(said).into());
    }
    Ok(Closed {
        unloaded_ns: start_ns,
        per_s: good as f64 * 1e9 / end.elapsed_ns.max(1) as f64,
        elapsed_ns: end.elapsed_ns,
        starts: end.starts,
    })
}
