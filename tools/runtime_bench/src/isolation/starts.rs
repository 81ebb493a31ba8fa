//! A few starts of one function at one rung, and how each ended.

use std::path::Path;
use std::time::Duration;

use isolation::cell::Ended;
use measure_core::base::ids::FunctionId;
use measure_core::contract::Scope;
use measure_core::contract::protocol::{Go, StartSample};

use crate::drivers::Offer;
use crate::error::{SessionError, StepError};
use crate::link::Start;
use crate::session::Session;

/// Where the functions of a campaign lie, and what its drivers may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Where<'a> {
    /// `$FAASM_BENCH_HOME` of the drivers, and where their standard error goes.
    pub(super) home: &'a Path,
    /// See [`Start::patience`].
    pub(super) patience: Duration,
}

impl Where<'_> {
    /// A driver that is to start `function` of the rung `offer`, or to hold it.
    pub(super) fn open(
        &self,
        offer: &Offer,
        function: Option<&FunctionId>,
        (command, count): (&str, u64),
        workers: Option<usize>,
    ) -> Result<Session, SessionError> {
        let what = function.map_or(command, FunctionId::function);
        Session::start(Start {
            driver: &offer.driver,
            command,
            count,
            rung: offer.rung(),
            function,
            workers,
            log: self
                .home
                .join(format!("isolation-{}-{what}.log", offer.rung())),
            patience: self.patience,
            environment_padding_bytes: 0,
            home: Some(self.home),
            takes_releases: false,
        })
    }
}

/// Starts `function` as often as `count` says, so many `at_once`, in one driver; `ready` is called with its scope before the first.
///
/// # Errors
/// A signal came to us, or the driver could not be made ready.
pub(super) fn starts_of(
    place: &Where<'_>,
    offer: &Offer,
    function: &FunctionId,
    (count, at_once): (u64, usize),
    ready: impl FnOnce(&Scope),
) -> Result<Vec<Ended>, SessionError> {
    let mut session = place.open(offer, Some(function), ("time", count), Some(at_once))?;
    ready(&session.scope);
    let go = Go {
        starts: Some(count),
        workers: Some(at_once),
        warmup: Some(0),
        ..Go::default()
    };
    let mut ended = Vec::new();
    let batch = session.batch(&go, Duration::ZERO, &mut |sample| {
        ended.push(how_it_ended(sample));
        Ok(())
    });
    // What a probe did to its driver is told by the batch; how that then closes says no more.
    let closed = session.close();
    match batch {
        Ok(_) => {}
        Err(StepError::Rung(error @ SessionError::Interrupted(_))) => return Err(error),
        Err(error) => ended.push(Ended {
            exit_code: None,
            error: Some(error.to_string()),
        }),
    }
    match closed {
        Err(error @ SessionError::Interrupted(_)) => Err(error),
        _ => Ok(ended),
    }
}

fn how_it_ended(sample: StartSample) -> Ended {
    let ended_well = sample.error.is_none().then_some(0);
    Ended {
        exit_code: sample.exit_code.or(ended_well),
        error: sample.error,
    }
}
