//! `--resume`: the rest of a run that was cut short.

use std::path::Path;
use std::time::Duration;

use measure_core::base::exit::Exit;
use measure_core::base::ids::FunctionId;
use measure_core::contract::host_lock::{HostLock, MEASURING};

use super::{Run, answers_of, describe, stop_if_told};
use crate::drivers::Ladder;
use crate::error::BenchError;
use crate::recorder::Recorder;
use crate::time::resume::{Resume, require_same};

/// Goes on with the run in `dir`.
pub(crate) fn resume(dir: &Path) -> Result<Exit, BenchError> {
    let resume = Resume::read(dir)?;
    if resume.asked.sizes.is_aa() {
        return Err(BenchError::Usage(format!(
            "{} is a run of `aa`, which is measured anew",
            dir.display()
        )));
    }
    let (mut run, is_quick) = (Run::resume(dir, &resume)?, resume.asked.is_quick);
    let mut troubles = vec![run.go_on(resume)?];
    if is_quick {
        troubles.extend(run.rest_of_quick()?);
    }
    run.finish(troubles)
}

impl Run {
    /// Goes on with the run in `dir`, if nothing has changed since.
    fn resume(dir: &Path, resume: &Resume) -> Result<Self, BenchError> {
        let function = resume
            .asked
            .function
            .as_deref()
            .map(str::parse::<FunctionId>);
        let function = function
            .transpose()
            .map_err(|e| BenchError::Usage(e.to_string()))?;
        let lock = HostLock::take(MEASURING)?;
        let mut now = probes::environment::capture();
        let offers = Ladder::discover(&resume.asked.engines).select(&resume.asked.rungs)?;
        stop_if_told()?;
        describe(&mut now, &offers);
        let mut recorder = Recorder::resume(dir, "time")?;
        require_same(recorder.environment(), &now, &offers)?;
        now.heed(resume.asked.sizes.strict)
            .map_err(|unfit| BenchError::Unavailable(unfit.to_string()))?;
        let (answers, is_handler) = match &function {
            Some(function) => answers_of(function, &offers)?,
            None => (Vec::new(), false),
        };
        let note = format!(
            "It was cut short ({}) and gone on with later.",
            recorder
                .part()
                .ended
                .as_deref()
                .unwrap_or("at an unknown moment")
        );
        recorder.part().notes.push(note);
        Ok(Self {
            recorder,
            offers,
            named: resume.asked.named,
            engines: resume.asked.engines.clone(),
            function,
            patience: Duration::from_secs(resume.asked.patience_s),
            answers,
            is_handler,
            _lock: lock,
        })
    }
}
