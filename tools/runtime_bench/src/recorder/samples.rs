//! What is appended to a run's files, a line at a time.

use measure_core::contract::load_point::{self, LoadPoint};
use measure_core::contract::protocol::StartSample;
use measure_core::contract::run_dir::RunDirError;
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use measure_core::contract::vocabulary::{Measure, Metric, phase};

use super::{About, Recorder};

impl Recorder {
    /// Appends one value.
    ///
    /// # Errors
    /// The disk is full, or another failure to write.
    pub fn value(
        &mut self,
        about: About<'_>,
        phase: &str,
        metric: Metric,
        value: Value,
    ) -> Result<(), RunDirError> {
        self.value_in(self.block, about, phase, metric, value)
    }

    /// Appends one value that belongs to another block than the present one.
    ///
    /// # Errors
    /// As of [`Recorder::value`].
    pub fn value_in(
        &mut self,
        block: u32,
        about: About<'_>,
        phase: &str,
        metric: Metric,
        value: Value,
    ) -> Result<(), RunDirError> {
        let mut sample = self.sample(about, phase, metric, value);
        sample.block = block;
        self.dir.append(&sample)
    }

    fn sample(&self, about: About<'_>, phase: &str, metric: Metric, value: Value) -> Sample {
        Sample {
            schema: SCHEMA,
            run: self.run.clone(),
            rung: about.rung.to_owned(),
            function: about.function.to_owned(),
            measure: about.measure.clone(),
            phase: phase.to_owned(),
            metric,
            value,
            n: about.n,
            workers: about.workers,
            process: about.process,
            block: self.block,
            order: about.order,
            seed: self.seed,
            warmup: false,
            error: None,
        }
    }

    /// Appends a start with its phases; a failed one without times.
    ///
    /// # Errors
    /// As of [`Recorder::value`].
    pub fn start(&mut self, about: About<'_>, start: &StartSample) -> Result<(), RunDirError> {
        let about = About {
            n: 1,
            order: start.order,
            ..about
        };
        let value = match &start.error {
            Some(error) => Value::Unavailable(error.clone()),
            None => start.total_ns.into(),
        };
        let mut total = self.sample(about, phase::TOTAL, Metric::WallNs, value);
        total.warmup = start.warmup;
        total.error.clone_from(&start.error);
        self.dir.append(&total)?;
        if let Some(first_byte_ns) = first_byte_ns(start)
            && *about.measure != Measure::Request
        {
            let value = first_byte_ns.into();
            let mut sample = self.sample(about, phase::TOTAL, Metric::FirstByteNs, value);
            sample.warmup = start.warmup;
            self.dir.append(&sample)?;
        }
        for (phase, ns) in &start.phases {
            let mut sample = self.sample(about, phase, Metric::WallNs, (*ns).into());
            sample.warmup = start.warmup;
            self.dir.append(&sample)?;
        }
        Ok(())
    }

    /// Appends what ended a ramp, as a word and in a sentence, and how many workers were parked then.
    ///
    /// # Errors
    /// As of [`Recorder::value`].
    pub fn gave(
        &mut self,
        about: About<'_>,
        word: &str,
        resident: u64,
        words: String,
    ) -> Result<(), RunDirError> {
        let mut sample = self.sample(about, word, Metric::Resident, resident.into());
        sample.error = Some(words);
        self.dir.append(&sample)
    }

    /// Appends a point of an open loop, of the present block.
    ///
    /// # Errors
    /// As of [`Recorder::value`].
    pub fn load_point(&self, point: LoadPoint) -> Result<(), RunDirError> {
        let point = LoadPoint {
            schema: load_point::SCHEMA,
            run: self.run.clone(),
            block: self.block,
            ..point
        };
        load_point::append(self.path(), &point)
    }

    /// Appends that a rung has no numbers, and why.
    ///
    /// # Errors
    /// As of [`Recorder::value`].
    pub fn unavailable(
        &mut self,
        rung: &str,
        function: &str,
        why: &str,
    ) -> Result<(), RunDirError> {
        let about = About {
            rung,
            function,
            measure: &Measure::Probe,
            n: 0,
            workers: 0,
            process: 0,
            order: 0,
        };
        self.value(
            about,
            phase::TOTAL,
            Metric::Ready,
            Value::Unavailable(why.to_owned()),
        )
    }
}

/// From asked for until the first byte of its answer, of a handler's start.
fn first_byte_ns(start: &StartSample) -> Option<u64> {
    let mut phases = start.phases.iter();
    let last = phases.position(|(name, _)| name == phase::FIRST_BYTE)?;
    Some(start.phases[..=last].iter().map(|(_, ns)| ns).sum())
}
