//! What a function answers in a worker, and which functions can be given there all that they are to have.

use std::time::Duration;

use measure_core::base::ids::FunctionId;
use measure_core::contract::answer::{Answer, Content};
use measure_core::driver_kit::stored_function::{StoredFunction, answer_of_run};
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};

use super::server::{ANSWER, NEW, OWN, TIMEOUT};
use super::{Kind, Ready, WorkerdRung, check, lock};
use crate::thread::unprepared;

/// Fails where a worker lacks what `function` is given.
pub(super) fn require_can_give(
    function: &FunctionId,
    stored: &StoredFunction,
) -> Result<(), DriverError> {
    stored.require_program("its worker runs preview-1 modules")?;
    stored.require_no_network(function, "its worker has none")?;
    let file = &stored.file;
    let lacks = [
        (file.files.is_some(), "files"),
        (file.output_at.is_some(), "a directory that it may write to"),
        (file.stdin.is_some(), "a standard input"),
    ];
    match lacks.iter().find(|(is_wanted, _)| *is_wanted) {
        None => Ok(()),
        Some((_, what)) => Err(DriverError::Unavailable {
            why: format!("{function} is given {what}, and a worker has no such thing"),
            mend: "take another rung".into(),
        }),
    }
}

impl WorkerdRung {
    /// What `function` answers.
    pub(super) fn answer_once(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        let stored = self.store.stored(function)?;
        let limit = stored.as_ref().map_or(TIMEOUT, StoredFunction::timeout);
        let plan = Plan {
            function: function.clone(),
            workers: 1,
            purpose: Purpose::Time,
        };
        let (ended, output) = match self.prepare(&plan) {
            // The worker that a process has from its start runs the function, too.
            Err(error @ DriverError::StartFailed(_)) => (Err(error), Vec::new()),
            prepared => {
                prepared?;
                let ready = self.ready.take().ok_or_else(unprepared)?;
                ready.answer(self.kind, limit)?
            }
        };
        answer_of_run(ended, Content::of_bytes(&output), stored.as_ref())
    }
}

impl Ready {
    /// How a run ended, and what it wrote to its standard output.
    fn answer(
        &self,
        kind: Kind,
        limit: Duration,
    ) -> Result<(Result<(), DriverError>, Vec<u8>), DriverError> {
        let mut own = match kind {
            Kind::Process => Some(self.recipe.prepare()?.spawn(&self.null)?),
            Kind::Worker => None,
        };
        let mut shared = self.server.as_ref().map(lock);
        let server = own
            .as_mut()
            .or(shared.as_deref_mut())
            .ok_or_else(unprepared)?;
        let path = if kind == Kind::Process { OWN } else { NEW };
        let mut connection = server.connect()?;
        let answered = connection
            .ask(&format!("{path}{ANSWER}"))
            .map_err(Into::into)
            .and_then(|()| connection.exit_code_and_output(limit, || server.is_alive()));
        Ok(match answered {
            Ok((code, output)) => (check(&self.function, code), output),
            Err(error) => (Err(server.failure(error)), Vec::new()),
        })
    }
}
