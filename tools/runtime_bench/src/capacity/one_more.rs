//! What one more start takes beside those that are parked: by a driver process that parks none.

use std::time::Duration;

use measure_core::base::interrupt;
use measure_core::contract::protocol::{Go, StartSample};
use measure_core::contract::vocabulary::Measure;
use stats::{median, quantile};

use crate::drivers::Offer;
use crate::error::{SessionError, StepError};
use crate::link::Start;
use crate::recorder::{About, Recorder};
use crate::session::{Job, Session};

/// Before each start nothing is asked of the host for so long.
const REST: Duration = Duration::from_millis(10);
/// Starts that only warm the process up.
const WARMUP: u64 = 3;
/// Starts at a point, of rungs below 10 ms a start, below 1 s, and others.
const STARTS: u64 = 50;
const SLOW_STARTS: u64 = 15;
const VERY_SLOW_STARTS: u64 = 5;
/// On the empty host, to which all else is held, so many times as many.
const TIMES_ON_EMPTY: u64 = 4;
const SLOW_NS: f64 = 1e7;
const VERY_SLOW_NS: f64 = 1e9;

/// The driver that makes them.
#[derive(Debug)]
pub(super) struct OneMore {
    session: Session,
    rung: String,
    starts: u64,
}

/// Starts beside one number of parked workers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Starts {
    /// What each took that went well.
    pub(super) total_ns: Vec<f64>,
    /// Why the first failed that did.
    pub(super) failed: Option<String>,
}

impl Starts {
    pub(super) fn median_ns(&self) -> Option<f64> {
        median(&self.total_ns)
    }

    pub(super) fn p99_ns(&self) -> Option<f64> {
        quantile(&self.total_ns, 0.99)
    }
}

impl OneMore {
    /// Opens the driver and warms it up.
    ///
    /// # Errors
    /// It cannot be had, or a start fails.
    pub(super) fn open(
        recorder: &mut Recorder,
        offer: &Offer,
        job: &Job<'_>,
    ) -> Result<Self, StepError> {
        let session = Session::start(Start {
            driver: &offer.driver,
            command: "time",
            count: 1,
            rung: offer.rung(),
            function: job.function,
            workers: Some(1),
            log: recorder.log("capacity", &format!("{}-one-more", offer.rung()), 1),
            environment_padding_bytes: 0,
            home: None,
            takes_releases: false,
            patience: job.patience,
        })?;
        let mut one_more = Self {
            session,
            rung: offer.rung().to_owned(),
            starts: WARMUP,
        };
        let warm = one_more.make(recorder, 0, WARMUP, true)?;
        if let Some(why) = warm.failed {
            return Err(SessionError::AllFailed(why).into());
        }
        one_more.starts = match warm.median_ns().unwrap_or(f64::INFINITY) {
            ns if ns < SLOW_NS => STARTS,
            ns if ns < VERY_SLOW_NS => SLOW_STARTS,
            _ => VERY_SLOW_STARTS,
        };
        Ok(one_more)
    }

    /// The driver's session.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// How many starts a point has, and how many the empty host.
    pub(super) fn starts(&self) -> (u64, u64) {
        (self.starts, self.starts * TIMES_ON_EMPTY)
    }

    /// Makes the starts of a point beside `resident` parked workers; no more once one has failed.
    ///
    /// # Errors
    /// The driver is gone, or a signal came to us.
    pub(super) fn measure(
        &mut self,
        recorder: &mut Recorder,
        resident: u64,
    ) -> Result<Starts, StepError> {
        let (starts, on_empty) = self.starts();
        let starts = if resident == 0 { on_empty } else { starts };
        self.make(recorder, resident, starts, false)
    }

    fn make(
        &mut self,
        recorder: &mut Recorder,
        resident: u64,
        starts: u64,
        warmup: bool,
    ) -> Result<Starts, StepError> {
        let mut made = Starts::default();
        let function = self.session.function.clone();
        let go = Go {
            starts: Some(1),
            workers: Some(1),
            warmup: Some(0),
            ..Go::default()
        };
        for order in 0..starts {
            if !interrupt::sleep(REST) {
                break;
            }
            let about = About {
                rung: &self.rung,
                function: &function,
                measure: &Measure::OneMore,
                n: 1,
                workers: u32::try_from(resident).unwrap_or(u32::MAX),
                process: 1,
                order,
            };
            self.session
                .batch(&go, Duration::from_secs(1), &mut |sample| {
                    match &sample.error {
                        None => made.total_ns.push(sample.total_ns as f64),
                        Some(error) => made.failed = Some(error.clone()),
                    }
                    let sample = StartSample {
                        order,
                        warmup,
                        ..sample
                    };
                    Ok(recorder.start(about, &sample)?)
                })?;
            if made.failed.is_some() {
                break;
            }
        }
        Ok(made)
    }

    /// Ends the driver.
    ///
    /// # Errors
    /// It failed to clean up.
    pub(super) fn close(self) -> Result<(), SessionError> {
        self.session.close()
    }
}
