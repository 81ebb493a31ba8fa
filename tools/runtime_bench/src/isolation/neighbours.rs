//! A victim beside noisy neighbours of its own rung.

use std::path::Path;
use std::time::{Duration, Instant};

use isolation::home::USER;
use isolation::interference::{BURST_MS, Interference, Noise};
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::contract::protocol::Go;
use std::thread;

use super::starts::Where;
use crate::drivers::Offer;
use crate::error::{SessionError, StepError};
use crate::session::Session;

/// The victim's starts are asked for every so often, or as fast as they come.
const PACE: Duration = Duration::from_millis(1);
/// Driver processes of a victim: as few as an interval needs.
const PROCESSES: u32 = 6;
/// Of a victim's starts alone, or beside one kind of noise, in one process.
const PHASE: Duration = Duration::from_millis(300);
const LEAST_STARTS: usize = 3;
/// How long aggressors make noise before the victim is looked at.
const LEAD: Duration = Duration::from_millis(50);

/// Where and with how many aggressors.
pub(super) struct Place<'a> {
    pub(super) home: &'a Path,
    /// Whose starts are looked at, instead of the no-op's.
    pub(super) victim: Option<&'a FunctionId>,
    pub(super) patience: Duration,
    pub(super) aggressors: usize,
}

/// What noise does to the victim's starts at the rung `offer`, in about `budget`. What does not fit is said to be missing.
pub(super) fn measure(offer: &Offer, place: &Place<'_>, budget: Duration) -> Interference {
    let begun = Instant::now();
    let mut found = Interference::default();
    for process in 0..PROCESSES {
        let spent = begun.elapsed();
        // The first process shows what one costs.
        if interrupt::received().is_some() || (process > 0 && spent + spent / process > budget) {
            break;
        }
        if let Err(error) = one_process(offer, place, budget, &mut found) {
            for noise in Noise::ALL {
                found.missing.insert(noise, error.to_string());
            }
            break;
        }
    }
    found
}

/// A victim's driver, alone and beside each kind of noise in turn.
fn one_process(
    offer: &Offer,
    place: &Place<'_>,
    budget: Duration,
    found: &mut Interference,
) -> Result<(), SessionError> {
    let all = Where {
        home: place.home,
        patience: place.patience,
    };
    let mut victim = all.open(offer, place.victim, ("time", 1), Some(1))?;
    let outcome = (|| {
        let begun = Instant::now();
        starts(&mut victim, LEAST_STARTS, Duration::ZERO)?;
        found
            .alone_ns
            .push(starts(&mut victim, LEAST_STARTS, PHASE)?);
        let alone = begun.elapsed() + victim_opened(&victim);
        // Dear rungs have but the one kind of noise that a letter stands on.
        let kinds = if alone * PROCESSES * 5 > budget {
            1
        } else {
            Noise::ALL.len()
        };
        for (at, noise) in Noise::ALL.into_iter().enumerate() {
            if at >= kinds {
                let why = "this rung's starts are too slow for the time there is".to_owned();
                found.missing.insert(noise, why);
            } else if !found.missing.contains_key(&noise) {
                beside(offer, &all, place.aggressors, noise, &mut victim, found)?;
            }
        }
        Ok(())
    })();
    let closed = victim.close();
    outcome.and(closed.or_else(|error| match error {
        // A start that failed is in no latency; the driver's last word is not more.
        SessionError::Said { .. } => Ok(()),
        other => Err(other),
    }))
}

fn victim_opened(victim: &Session) -> Duration {
    Duration::from_nanos(victim.opened_ns)
}

/// The victim beside `noise`.
fn beside(
    offer: &Offer,
    place: &Where<'_>,
    aggressors: usize,
    noise: Noise,
    victim: &mut Session,
    found: &mut Interference,
) -> Result<(), SessionError> {
    // Names of noises are names of functions.
    let Ok(function) = FunctionId::new(USER, &noise.function()) else {
        return Ok(());
    };
    let workers = aggressors.min(offer.description.max_workers);
    let mut noisy = match place.open(offer, Some(&function), ("time", 1), Some(workers)) {
        Ok(noisy) => noisy,
        Err(error @ SessionError::Interrupted(_)) => return Err(error),
        Err(error) => {
            found.missing.insert(noise, error.to_string());
            return Ok(());
        }
    };
    // More than it will make: it is told to end.
    let go = Go {
        starts: Some(1_000_000),
        workers: Some(workers),
        warmup: Some(0),
        ..Go::default()
    };
    noisy.begin_batch(&go)?;
    thread::sleep(LEAD);
    let latencies = starts(victim, LEAST_STARTS, PHASE);
    noisy.stop_batch(Duration::from_millis(BURST_MS))?;
    let closed = noisy.close();
    found.beside_ns.entry(noise).or_default().push(latencies?);
    match closed {
        Err(error @ SessionError::Interrupted(_)) => Err(error),
        _ => Ok(()),
    }
}

/// Latencies of at least `least` starts, for `time` at most beyond these, one every [`PACE`].
fn starts(victim: &mut Session, least: usize, time: Duration) -> Result<Vec<u64>, SessionError> {
    let mut latencies = Vec::new();
    let until = Instant::now() + time;
    let mut next = Instant::now();
    while latencies.len() < least || Instant::now() < until {
        let mut failed = None;
        let go = Go {
            starts: Some(1),
            workers: Some(1),
            warmup: Some(0),
            ..Go::default()
        };
        let batch = victim.batch(&go, Duration::ZERO, &mut |sample| {
            match sample.error {
                None => latencies.push(sample.total_ns),
                Some(error) => failed = Some(error),
            }
            Ok(())
        });
        match batch {
            Ok(_) => {}
            Err(StepError::Rung(error)) => return Err(error),
            Err(StepError::Run(error)) => return Err(SessionError::Unexpected(error.to_string())),
        }
        if let Some(error) = failed {
            return Err(SessionError::AllFailed(error));
        }
        next += PACE;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next = next.max(Instant::now());
    }
    Ok(latencies)
}
