//! The same of functions that are handlers.

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::handler::{HttpOrDriverError, Talk, no_handler};

use super::{Prepared, lock};
use crate::container;
use crate::engine::not_interrupted;
use crate::handler::Asking;

impl Prepared {
    /// Has each container be asked, in place of being waited for.
    pub fn ask(&mut self, asking: Asking) {
        self.asking = Some(asking);
    }

    /// One container of a handler for worker `worker`, and what `then` does with it once it has answered.
    pub(super) fn serve<T>(
        &self,
        number: usize,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<(T, PhaseClock), DriverError> {
        let asking = self
            .asking
            .as_ref()
            .ok_or_else(|| no_handler(&self.function))?;
        let worker = self.worker(number)?;
        let (client, name) = (&worker.client, self.name());
        let api = &client.api;
        let mut clock = PhaseClock::start();
        let outcome = match &worker.container {
            None => client.run(asking.start(api, (&name, number), &mut clock, then)),
            Some(id) => client.run(async {
                let asked = asking
                    .start_created(api, (id, number), &mut clock, then)
                    .await;
                let killed = container::kill(api, id).await;
                clock.lap("kill");
                let done = asked?;
                killed?;
                Ok(done)
            }),
        };
        let done = outcome.map_err(|error| self.driver_error(error))?;
        Ok((done, clock))
    }

    /// Requests to one container that has answered before.
    ///
    /// # Errors
    /// It does not answer as it should, or the function is no handler.
    pub fn answer_requests(
        &self,
        worker: usize,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        self.serve(worker, |talk| talk.timed(count, each)).map(drop)
    }

    /// Starts `count` containers of a handler to stay, each having answered once.
    pub(super) fn park_handlers(&mut self, count: usize) -> Result<(), DriverError> {
        let mut ids = Vec::new();
        let started = (0..count).try_for_each(|worker| {
            let asking = self
                .asking
                .as_ref()
                .ok_or_else(|| no_handler(&self.function))?;
            let (client, name) = (lock(&self.client), self.name());
            let parked = client.run(async {
                let api = &client.api;
                let id = container::create(api, asking.body(worker), &name).await?;
                ids.push(id.clone());
                let mut untimed = PhaseClock::start();
                let at = (id.as_str(), worker);
                asking
                    .start_created(api, at, &mut untimed, |_| Ok(()))
                    .await
            });
            drop(client);
            parked.map_err(|error| self.driver_error(error))?;
            not_interrupted("containers were parked")
        });
        self.parked.extend(ids);
        started.inspect_err(|_| self.give_up())
    }

    /// Removes parked handlers, which have no end of their own.
    pub(super) fn remove_parked(&mut self) -> Result<(), DriverError> {
        while let Some(id) = self.parked.last() {
            let client = lock(&self.client);
            let removed = client.run(container::remove(&client.api, id, true));
            drop(client);
            removed.map_err(|error| self.driver_error(error.into()))?;
            self.parked.pop();
        }
        Ok(())
    }
}
