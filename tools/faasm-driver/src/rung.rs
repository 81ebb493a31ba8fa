//! One rung at work.

mod make;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use faaslet::park::Parked;
use faaslet::seat::{self, Seats};
use faaslet::stdin::Stdin;
use faaslet::waiting::WaitingThreads;
use faaslet::{Exchange, Function, StartError, thread};
use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::ids::FunctionId;
use measure_core::contract::answer::{Answer, Content};
use measure_core::contract::{Description, Probe, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::collector::Collector;
use measure_core::driver_kit::handler::no_handler;
use measure_core::driver_kit::stored_function::answer_of_run;
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};

use crate::answers::driver_error;
use crate::rungs::{Kind, OfRun};
use crate::settings::Settings;

/// So many requests at most one instance answers before another takes its place: what they took is kept until it has ended.
const REQUESTS_OF_INSTANCE: u64 = 100_000;

pub(crate) struct FaasletRung {
    kind: Kind,
    settings: Settings,
    ready: Option<Ready>,
    /// Where its function's output goes; nowhere, unless it is asked what it answers.
    stdout: Option<Arc<OwnedFd>>,
    /// Whether the answers of a handler are kept.
    keeps_answers: bool,
}

/// What parked workers read, and what holds it open until they are released.
type HeldStdin = (Arc<Stdin>, Option<File>);

/// What `prepare` made; dropped in this order.
struct Ready {
    parked: Option<Parked>,
    waiting: Option<WaitingThreads>,
    /// What workers are dealt in turn; never none.
    functions: Vec<Function>,
    /// Whose they are, `user/function`.
    function: String,
    /// What they are asked, where they are handlers.
    exchange: Arc<Exchange>,
    stdin: Option<HeldStdin>,
    seats: Option<Arc<Seats>>,
    network: OfRun,
    _scope: OwnScope,
}

impl FaasletRung {
    pub(crate) fn new(kind: Kind, settings: Settings) -> Self {
        Self {
            kind,
            settings,
            ready: None,
            stdout: None,
            keeps_answers: false,
        }
    }

    fn ready(&self) -> Result<&Ready, DriverError> {
        self.ready
            .as_ref()
            .ok_or_else(|| DriverError::Failed("the rung is not prepared".to_owned()))
    }

    /// One start as worker `worker`.
    fn start(ready: &Ready, worker: usize) -> Result<Phases, DriverError> {
        let mut clock = PhaseClock::start();
        let function = &ready.functions[worker % ready.functions.len()];
        let (clock, result) = match (&ready.waiting, &ready.seats) {
            (Some(waiting), _) => waiting.hand_over(worker, clock),
            (None, Some(seats)) => thread::start(function, seats, worker, clock),
            (None, None) => {
                let result = function.start(&mut clock);
                (clock, result)
            }
        };
        match result {
            Ok(()) => Ok(clock.finish()),
            Err(e) => Err(match e {
                StartError::ExitCode { code, .. } => DriverError::Exited {
                    code,
                    words: e.to_string(),
                },
                _ => DriverError::StartFailed(e.to_string()),
            }),
        }
    }
}

impl Rung for FaasletRung {
    fn describe(&self) -> Description {
        let prepared = self.ready.as_ref().map(|ready| &ready.network);
        self.kind.describe(&self.settings, prepared)
    }

    fn probe(&self) -> Probe {
        if self.kind == Kind::Wasm {
            return Probe::Ready;
        }
        let tools = match self.kind.is_llvm() {
            true => self.settings.second_engine.tools().map(drop),
            false => Ok(()),
        };
        let probe = || seat::probe(self.kind.always_namespace()).map_err(driver_error);
        match tools.and_then(|()| probe()) {
            Ok(()) => Probe::Ready,
            Err(DriverError::Unavailable { why, mend }) => Probe::Unavailable { why, mend },
            Err(other) => Probe::Unavailable {
                why: other.to_string(),
                mend: String::new(),
            },
        }
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let own = OwnScope::enter(seat::SCOPE);
        let includes = "this process: engine, slots, threads";
        let mut scope = own.scope(includes);
        let ready = self.make(plan, own)?;
        if let Some(seats) = &ready.seats {
            scope.includes = format!("{}; {}", scope.includes, seats.describe());
        }
        self.ready = Some(ready);
        Ok(scope)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let ready = self.ready()?;
        Self::start(ready, worker)
    }

    fn answer_requests(
        &self,
        worker: usize,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        let ready = self.ready()?;
        if !ready.functions.iter().all(Function::is_handler) {
            return Err(no_handler(&ready.function));
        }
        let mut left = count;
        while left > 0 {
            let now = left.min(REQUESTS_OF_INSTANCE);
            left -= now;
            ready.exchange.ask_more(now);
            let started = Self::start(ready, worker);
            ready.exchange.ask_more(0);
            for phases in ready.exchange.take_phases() {
                if !each(phases) {
                    return Ok(());
                }
            }
            started?;
        }
        Ok(())
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self
            .ready
            .as_mut()
            .ok_or_else(|| DriverError::Failed("the rung is not prepared".to_owned()))?;
        let Some((stdin, release)) = &mut ready.stdin else {
            return Err(DriverError::Failed(
                "prepared for starts, not for parking".to_owned(),
            ));
        };
        let release = release
            .take()
            .ok_or_else(|| DriverError::Failed("already parked".to_owned()))?;
        let parked = Parked::park(
            &ready.functions,
            stdin,
            release,
            ready.seats.as_ref(),
            count,
        )
        .map_err(park_error)?;
        ready.parked = Some(parked);
        Ok(())
    }

    fn answer(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        let stored = self.stored(function)?;
        let (collector, input) =
            Collector::start().map_err(|e| DriverError::failed("no pipe to be had", e))?;
        self.stdout = Some(Arc::new(input));
        let plan = Plan {
            function: function.clone(),
            workers: 1,
            purpose: Purpose::Time,
        };
        self.keeps_answers = true;
        let started = self.prepare(&plan).map(|_| self.cold_start(0));
        self.keeps_answers = false;
        let (is_handler, responses) = match &self.ready {
            Some(ready) => (
                ready.functions.iter().all(Function::is_handler),
                ready.exchange.take_responses(),
            ),
            None => (false, Vec::new()),
        };
        // What holds the pipe's other end goes before it is read to its end.
        self.ready = None;
        self.stdout = None;
        let stdout = collector.finish();
        let answer = answer_of_run(started?.map(drop), stdout, stored.as_ref())?;
        if !is_handler {
            return Ok(answer);
        }
        // It has no exit code, and what it prints is none of what it answers.
        Ok(Answer {
            exit_code: None,
            stdout: Content::default(),
            responses,
            ..answer
        })
    }

    fn release(&mut self) -> Result<(), DriverError> {
        match self.ready.as_mut().and_then(|ready| ready.parked.as_mut()) {
            Some(parked) => parked.release().map_err(park_error),
            None => Ok(()),
        }
    }
}

fn park_error(error: StartError) -> DriverError {
    DriverError::StartFailed(error.to_string())
}
