//! A rung that is ready: an engine with the image, and the workers' connections to it.

mod handlers;

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use measure_core::base::clock::Phases;
use measure_core::base::interrupt;
use measure_core::base::label;
use measure_core::contract::Scope;
use measure_core::contract::answer::Answer;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::handler::answer_of_handler;
use measure_core::driver_kit::stored_function::answer_of_run;

use crate::answer::{self, Question};
use crate::api::{ApiError, Client};
use crate::backend::Backend;
use crate::container::{self, StartError};
use crate::foreign;
use crate::granted::Granted;
use crate::handler::Asking;
use crate::image::build;
use crate::kinds::Way;
use crate::park::{self, Blocked, Parking};
use crate::resume;

/// Everything a start may find ready. Fields are dropped in order: clients before the engine.
#[derive(Debug)]
pub struct Prepared {
    workers: Vec<Mutex<Worker>>,
    client: Mutex<Client>,
    /// By which containers reach what the function was granted.
    granted: Option<Granted>,
    backend: Backend,
    function: String,
    /// What each start reads, if that is not empty.
    stdin: Option<Vec<u8>>,
    body: ContainerCreateBody,
    way: Way,
    names: AtomicU64,
    parked: Vec<String>,
    /// What is asked of them, if the function is a handler.
    asking: Option<Asking>,
    /// An image that was made for this rung alone in someone else's engine.
    image: Option<String>,
}

#[derive(Debug)]
struct Worker {
    client: Client,
    /// The container that was created, or suspended inside its function, beforehand.
    container: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Prepared {
    /// An engine, a connection to it, and what containers of `function` are made of.
    #[must_use]
    pub fn new(
        backend: Backend,
        client: Client,
        function: String,
        body: ContainerCreateBody,
        way: Way,
    ) -> Self {
        Self {
            workers: Vec::new(),
            client: Mutex::new(client),
            granted: None,
            backend,
            function,
            stdin: None,
            body,
            way,
            names: AtomicU64::new(0),
            parked: Vec::new(),
            asking: None,
            image: None,
        }
    }

    /// Has each start read `stdin`.
    pub fn give_stdin(&mut self, stdin: Vec<u8>) {
        self.stdin = Some(stdin);
    }

    /// What the function answers in one container; where it finds the directory that it may write to, and how long it may take.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn answer(&self, output_at: Option<&str>, limit: Duration) -> Result<Answer, DriverError> {
        if self.asking.is_some() {
            let answered = self.serve(0, |talk| Ok(talk.answer()?));
            return answer_of_handler(answered.map(|(answer, _)| answer));
        }
        let client = lock(&self.client);
        let question = Question {
            function: &self.function,
            stdin: self.stdin.as_deref(),
            limit,
            output_at,
        };
        let (body, name) = (self.body.clone(), self.name());
        let heard = client.run(answer::ask(&client.api, body, &name, question));
        drop(client);
        let heard = heard.map_err(|error| self.driver_error(error.into()))?;
        let ended = heard.ended.map_err(|error| self.driver_error(error));
        let mut answer = answer_of_run(ended, heard.stdout, None)?;
        answer.files = heard.files;
        if let Some(failure) = answer.failure.as_mut().filter(|_| !heard.said.is_empty()) {
            *failure = format!("{failure}; it said: {}", heard.said);
        }
        Ok(answer)
    }

    /// Has the image `id` removed when this is dropped, unless the engine is our own.
    pub fn remove_at_end(&mut self, id: String) {
        if let Backend::Foreign(_) = &self.backend {
            self.image = Some(id);
        }
    }

    /// Keeps `granted` as long as the engine.
    pub(crate) fn keep_granted(&mut self, granted: Option<Granted>) {
        self.granted = granted;
    }

    /// What the function was granted of the network, in words.
    pub(crate) fn granted(&self) -> Option<&str> {
        self.granted.as_ref().map(|granted| granted.words.as_str())
    }

    /// Whose work counts.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match &self.backend {
            Backend::Private(engine) => engine.scope(),
            Backend::Foreign(foreign) => foreign.scope(),
        }
    }

    fn name(&self) -> String {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        label::name(process::id().cast_signed(), &number.to_string())
    }

    /// Gives each of `count` workers a connection, and a container if it is to find one.
    ///
    /// # Errors
    /// The engine refuses or is gone.
    pub fn make_workers(&mut self, count: usize) -> Result<(), DriverError> {
        for _ in 0..count {
            let client = lock(&self.client)
                .another()
                .map_err(|e| DriverError::failed("no connection for a worker", e))?;
            let number = self.workers.len();
            let container = match self.way {
                Way::Full => None,
                Way::Precreated => {
                    let asking = self.asking.as_ref();
                    let body = asking.map_or_else(|| self.body.clone(), |a| a.body(number));
                    let created = client.run(container::create(&client.api, body, &self.name()));
                    Some(created.map_err(|e| self.driver_error(e.into()))?)
                }
                Way::Unpause | Way::Restore => {
                    Some(self.suspended(&client).map_err(|e| self.driver_error(e))?)
                }
            };
            self.workers.push(Mutex::new(Worker { client, container }));
        }
        Ok(())
    }

    /// One start as worker `worker`.
    ///
    /// # Errors
    /// The function failed, or the engine is gone.
    pub fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        if self.asking.is_some() {
            let ((), clock) = self.serve(worker, |_| Ok(()))?;
            return Ok(clock.finish());
        }
        let mut worker = self.worker(worker)?;
        if self.way.resumes() {
            return self
                .resume(&mut worker)
                .map_err(|error| self.driver_error(error));
        }
        let client = &worker.client;
        let function = (self.function.as_str(), self.stdin.as_deref());
        let outcome = if let Some(id) = &worker.container {
            client.run(container::precreated_start(&client.api, id, function))
        } else {
            let (body, name) = (self.body.clone(), self.name());
            client.run(container::cold_start(&client.api, body, &name, function))
        };
        outcome.map_err(|error| self.driver_error(error))
    }

    fn worker(&self, number: usize) -> Result<MutexGuard<'_, Worker>, DriverError> {
        let worker = self.workers.get(number).map(lock);
        worker.ok_or_else(|| DriverError::Failed(format!("there is no worker {number}")))
    }

    /// A container that is suspended inside its function.
    fn suspended(&self, client: &Client) -> Result<String, StartError> {
        let (mut made, name) = (Vec::new(), self.name());
        let parking = self.parking(&name, 1);
        park::park(client, &parking, 1, &mut made)?;
        let id = made.pop().unwrap_or_default();
        client.run(resume::suspend(&client.api, self.way, &id))?;
        Ok(id)
    }

    /// A start that resumes the worker's container; another is made for the next.
    fn resume(&self, worker: &mut Worker) -> Result<Phases, StartError> {
        let id = match worker.container.take() {
            Some(id) => id,
            None => self.suspended(&worker.client)?,
        };
        let (api, function) = (&worker.client.api, self.function.as_str());
        let host = match &self.backend {
            Backend::Private(engine) => engine.host(),
            Backend::Foreign(foreign) => foreign.host().to_owned(),
        };
        let resumed = resume::resume(api, self.way, &host, &id, function);
        let phases = worker.client.run(resumed);
        let removal = container::remove(api, &id, phases.is_err());
        worker.client.run(removal)?;
        let phases = phases?;
        if interrupt::received().is_none() {
            worker.container = Some(self.suspended(&worker.client)?);
        }
        Ok(phases)
    }

    /// How containers are parked under names that begin with `name`.
    fn parking<'a>(&'a self, name: &'a str, at_once: usize) -> Parking<'a> {
        let groups = self.backend.container_groups();
        let blocked = groups.map_or(Blocked::Said, Blocked::Seen);
        Parking {
            body: &self.body,
            function: &self.function,
            name,
            at_once,
            blocked,
        }
    }

    /// Parks `count` containers, `at_once` at a time.
    ///
    /// # Errors
    /// One could not be parked.
    pub fn park(&mut self, count: usize, at_once: usize) -> Result<(), DriverError> {
        if self.asking.is_some() {
            return self.park_handlers(count);
        }
        let name = self.name();
        let parking = self.parking(&name, at_once);
        let mut ids = Vec::new();
        let parked = park::park(&lock(&self.client), &parking, count, &mut ids);
        self.parked.extend(ids);
        parked.map_err(|error| {
            self.give_up();
            self.driver_error(error)
        })
    }

    /// Releases what is parked, `at_once` at a time.
    ///
    /// # Errors
    /// One ended wrongly.
    pub fn release(&mut self, at_once: usize) -> Result<(), DriverError> {
        // After a signal no one waits for hundreds of good ends: the engine's end kills them all.
        if interrupt::received().is_some() {
            return Ok(());
        }
        if self.asking.is_some() {
            return self.remove_parked();
        }
        let client = lock(&self.client);
        let released = park::release(&client, &self.function, at_once, &mut self.parked);
        drop(client);
        released.map_err(|error| self.driver_error(error))
    }

    /// Says that containers may be left that only the engine's end removes.
    fn give_up(&self) {
        if let Backend::Private(engine) = &self.backend {
            engine.mark_unclean();
        }
    }

    /// The contract's error for a failed start.
    fn driver_error(&self, error: StartError) -> DriverError {
        let api = match error {
            StartError::Api(api) => api,
            StartError::ExitCode { code, .. } => {
                return DriverError::Exited {
                    code: i32::try_from(code).unwrap_or(i32::MAX),
                    words: error.to_string(),
                };
            }
            StartError::Handler(error) => return error,
            StartError::EndedByItself { .. }
            | StartError::NoAnswer { .. }
            | StartError::WroteTooMuch { .. } => {
                return DriverError::StartFailed(error.to_string());
            }
        };
        // Whatever call failed, a container may be left.
        self.give_up();
        match (api, &self.backend) {
            (error @ ApiError::Refused { .. }, _) => DriverError::StartFailed(error.to_string()),
            (ApiError::Interrupted(call), _) => {
                DriverError::Failed(format!("interrupted during `{call}`"))
            }
            (error, Backend::Private(engine)) => engine.lost(&error.to_string()),
            (error, Backend::Foreign(_)) => DriverError::EngineLost(error.to_string()),
        }
    }

    fn remove_precreated(&self) -> Result<(), ApiError> {
        self.workers.iter().try_for_each(|worker| {
            let worker = lock(worker);
            let Some(id) = &worker.container else {
                return Ok(());
            };
            let removal = container::remove(&worker.client.api, id, true);
            worker.client.run(removal)
        })
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Backend::Foreign(_) = &self.backend {
            let me = Some(label::Owner::this_process());
            if let Err(error) = foreign::remove_ours(&lock(&self.client), me) {
                eprintln!(
                    "warning: {error}; `docker-driver clean` with the same --docker-host tries again"
                );
            }
        } else if !self.parked.is_empty() || self.remove_precreated().is_err() {
            self.give_up();
        }
        if let Some(id) = &self.image
            && interrupt::received().is_none()
        {
            build::remove(&lock(&self.client), id);
        }
    }
}
