//! What went wrong with rungs while the others were measured.

use std::time::Duration;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::progress::Progress;

use crate::drivers::{self, DriverError, Offer};
use crate::error::{BenchError, SessionError};
use crate::recorder::Recorder;

/// How long a driver may take to remove what a killed one left.
const CLEAN_LIMIT: Duration = Duration::from_secs(60);

/// The failures of a part.
#[derive(Debug, Default)]
pub struct Trouble {
    first: Option<(String, SessionError)>,
}

impl Trouble {
    /// Records that `offer` failed. A signal to us is no failure of the rung.
    ///
    /// # Errors
    /// The records cannot be written.
    pub fn add(
        &mut self,
        recorder: &mut Recorder,
        progress: &mut Progress,
        offer: &Offer,
        function: Option<String>,
        error: SessionError,
    ) -> Result<(), BenchError> {
        if matches!(error, SessionError::Interrupted(_)) {
            return Ok(());
        }
        let function = function.unwrap_or_else(|| offer.description.default_function.clone());
        recorder.unavailable(offer.rung(), &function, &error.to_string())?;
        recorder.about_rung(offer.rung(), |info| info.failure = Some(error.to_string()));
        recorder.save()?;
        progress.warn(&format!("{}: {error}", offer.rung()));
        self.keep(progress, offer, error);
        Ok(())
    }

    /// Records that driver process `number` of `offer` was lost, while others of it count.
    ///
    /// # Errors
    /// The records cannot be written.
    pub fn lost_process(
        &mut self,
        recorder: &mut Recorder,
        progress: &mut Progress,
        offer: &Offer,
        number: u32,
        error: SessionError,
    ) -> Result<(), BenchError> {
        if matches!(error, SessionError::Interrupted(_)) {
            return Ok(());
        }
        let lost = format!(
            "{}: driver process {number} was lost, its other processes count: {error}",
            offer.rung()
        );
        progress.warn(&lost);
        recorder.part().notes.push(lost);
        recorder.save()?;
        self.keep(progress, offer, error);
        Ok(())
    }

    /// Removes what a driver left that could not do so itself, and keeps the error to end with.
    fn keep(&mut self, progress: &mut Progress, offer: &Offer, error: SessionError) {
        if matches!(
            error,
            SessionError::Died { .. } | SessionError::Stuck { .. }
        ) {
            // It could not clean up after itself; its own `clean` removes only what it left.
            if let Err(why) = clean_up_after(offer) {
                progress.warn(&format!("{}: cleaning up after it: {why}", offer.rung()));
            }
        }
        // What a host cannot do is a row of the table, not a failure of the run.
        if error.exit() != Exit::Unavailable && self.first.is_none() {
            self.first = Some((offer.rung().to_owned(), error));
        }
    }

    /// The first failure, to end with.
    ///
    /// # Errors
    /// There was one.
    pub fn result(self) -> Result<(), BenchError> {
        match self.first {
            Some((rung, error)) => Err(BenchError::Rung { rung, error }),
            None => Ok(()),
        }
    }
}

/// Has the driver of `offer` remove what a killed one left.
///
/// # Errors
/// It cannot.
pub fn clean_up_after(offer: &Offer) -> Result<(), DriverError> {
    drivers::run(&offer.driver, &["clean"], CLEAN_LIMIT).map(drop)
}
