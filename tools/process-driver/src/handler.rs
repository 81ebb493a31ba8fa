//! Functions that are handlers, as processes: started, asked over the loopback as soon as they listen, and killed.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::ids::FunctionId;
use measure_core::contract::answer::Answer;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::handler::{
    HttpOrDriverError, Question, Talk, answer_of_handler, free_port, ports_of,
};
use measure_core::driver_kit::http_client::{HttpError, Place};
use measure_core::driver_kit::kept::wait_for_pid;
use measure_core::driver_kit::spawn::{Child, Program};
use nix::sys::wait::{WaitPidFlag, WaitStatus};

use crate::child::{cannot_wait, in_words, no_process, phase};
use crate::runtimes::ErrorText;
use crate::store::Store;
use crate::thread::unprepared;

/// How long the end of a process that has closed its connections may take to be known; a runtime takes down what it has made before it ends.
const END: Duration = Duration::from_millis(500);

/// A function that is a handler, once for each worker, which have a port each.
#[derive(Debug)]
pub(crate) struct Handlers {
    question: Question,
    seats: Vec<Seat>,
}

#[derive(Debug)]
struct Seat {
    program: Program,
    place: Place,
    errors: Mutex<ErrorText>,
}

/// Where a handler of this host is asked.
pub(crate) fn place_at(port: u16) -> Place {
    Place {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        namespace: None,
    }
}

/// A handler that was started.
pub(crate) struct Started<'a> {
    pub(crate) question: &'a Question,
    pub(crate) place: &'a Place,
    /// Ends when it does.
    pub(crate) child: &'a Child,
    /// The process that is to listen, which may be another.
    pub(crate) listener: &'a dyn Fn() -> Option<i32>,
}

/// Has a handler answer its first request, and does with it what `then` does.
///
/// # Errors
/// It does not answer as it should; with how it ended, if it did, and what it said.
pub(crate) fn asked<T>(
    started: &Started<'_>,
    errors: &mut ErrorText,
    clock: &mut PhaseClock,
    then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
) -> Result<T, DriverError> {
    let Started {
        question, child, ..
    } = *started;
    let alive = || !child.ended(Duration::ZERO).unwrap_or(true);
    match question.asked(started.place, &alive, clock, then) {
        Ok(done) => Ok(done),
        Err(HttpOrDriverError::Driver(error)) => Err(error),
        Err(HttpOrDriverError::Http(error)) => {
            let listener = (started.listener)();
            Err(unanswered(question, &error, child, listener, errors))
        }
    }
}

/// The error of a handler that did not answer because of `error`: how `child` ended, if it did, on what else `listener` listens, and what was
/// said.
pub(crate) fn unanswered(
    question: &Question,
    error: &HttpError,
    child: &Child,
    listener: Option<i32>,
    errors: &mut ErrorText,
) -> DriverError {
    if error.may_be_its_end() && child.ended(END).unwrap_or(false) {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        if let Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) =
            wait_for_pid(child.pid(), look)
        {
            let said = errors.last_lines();
            let said = match said.is_empty() {
                true => said,
                false => format!("; it said: {said}"),
            };
            let (function, how) = (&question.function, in_words(status));
            let words = format!("{function} {how} before it had answered{said}");
            return DriverError::StartFailed(words);
        }
    }
    let ports = listener.map(ports_of).unwrap_or_default();
    question.failure(error, &ports, &errors.last_lines())
}

impl Handlers {
    /// The function `id` of `store` for so many workers; `None` if it is a program.
    pub(crate) fn find(
        store: &Store,
        id: &FunctionId,
        workers: usize,
    ) -> Result<Option<Self>, DriverError> {
        let Some(stored) = store.stored(id)? else {
            return Ok(None);
        };
        let Some(question) = Question::to_stored(&id.to_string(), &stored)? else {
            return Ok(None);
        };
        let seat = |_| {
            let port = free_port()?;
            Ok(Seat {
                program: store.native_function(id, Some(port))?.program,
                place: place_at(port),
                errors: Mutex::new(ErrorText::new()?),
            })
        };
        let seats = (0..workers).map(seat).collect::<Result<_, DriverError>>()?;
        Ok(Some(Self { question, seats }))
    }

    fn asked<T>(
        &self,
        seat: &Seat,
        child: &Child,
        errors: &mut ErrorText,
        clock: &mut PhaseClock,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<T, DriverError> {
        let started = Started {
            question: &self.question,
            place: &seat.place,
            child,
            listener: &|| Some(child.pid().as_raw()),
        };
        asked(&started, errors, clock, then)
    }

    /// Starts one and does with it what `then` does; nothing of it is left.
    fn run<T>(
        &self,
        worker: usize,
        null: &File,
        clock: &mut PhaseClock,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<T, DriverError> {
        let seat = self.seats.get(worker).ok_or_else(unprepared)?;
        let mut errors = seat.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.rewind();
        let mut child = seat.spawn(null, &errors)?;
        clock.lap(phase::SPAWN);
        let outcome = self.asked(seat, &child, &mut errors, clock, then);
        child.kill();
        let reaped = child.reap();
        clock.lap(phase::REAP);
        reaped.map_err(cannot_wait)?;
        outcome
    }

    /// One start, to its first answer and its end.
    pub(crate) fn cold_start(&self, worker: usize, null: &File) -> Result<Phases, DriverError> {
        let mut clock = PhaseClock::start();
        self.run(worker, null, &mut clock, |_| Ok(()))?;
        Ok(clock.finish())
    }

    /// Requests to one that has answered before.
    pub(crate) fn requests(
        &self,
        worker: usize,
        null: &File,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        let mut untimed = PhaseClock::start();
        self.run(worker, null, &mut untimed, |talk| talk.timed(count, each))
    }

    /// What it answers.
    pub(crate) fn answer(&self, null: &File) -> Result<Answer, DriverError> {
        let mut untimed = PhaseClock::start();
        answer_of_handler(self.run(0, null, &mut untimed, |talk| Ok(talk.answer()?)))
    }

    /// Starts those of all workers to stay, each having answered once.
    pub(crate) fn park(&self, null: &File) -> Result<Vec<Child>, DriverError> {
        let park = |seat: &Seat| {
            let mut errors = seat.errors.lock().unwrap_or_else(PoisonError::into_inner);
            let child = seat.spawn(null, &errors)?;
            let mut untimed = PhaseClock::start();
            self.asked(seat, &child, &mut errors, &mut untimed, |_| Ok(()))?;
            Ok(child)
        };
        self.seats.iter().map(park).collect()
    }
}

impl Seat {
    fn spawn(&self, null: &File, errors: &ErrorText) -> Result<Child, DriverError> {
        let streams = [null.as_fd(), null.as_fd(), errors.file()];
        let child = self.program.spawn(streams);
        child.map_err(|e| no_process(&self.program, e))
    }
}
