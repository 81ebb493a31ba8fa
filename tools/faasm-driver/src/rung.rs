//! One rung at work.

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use faaslet::netns::{self, Hub};
use faaslet::park::Parked;
use faaslet::seat::{self, Found, Network, Seats};
use faaslet::stdin::Stdin;
use faaslet::waiting::WaitingThreads;
use faaslet::{EngineSettings, Exchange, FaasletEngine, Function, Grants, StartError, thread};
use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::ids::FunctionId;
use measure_core::contract::answer::{Answer, Content, REQUESTS};
use measure_core::contract::{Description, Probe, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::collector::Collector;
use measure_core::driver_kit::handler::{no_handler, no_handlers};
use measure_core::driver_kit::stored_function::{StoredFunction, answer_of_run, lacks_side};
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};

use crate::answers::{driver_error, netns_error};
use crate::limits;
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
    stdin: Option<(Arc<Stdin>, Option<File>)>,
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

    fn make(&self, plan: &Plan, scope: OwnScope) -> Result<Ready, DriverError> {
        // Parked ones are weighed, not timed: where their seat came from does not matter then.
        let found = self.kind.found().map(|found| match plan.purpose {
            Purpose::Time => found,
            Purpose::Hold => Found::Seat,
        });
        let grants = self
            .settings
            .store
            .grants(&plan.function)
            .map_err(driver_error)?;
        let network = self.network(plan, &grants)?;
        limits::check(
            plan.workers,
            found,
            !matches!(network, Network::NotOffered),
            grants.dirs.len(),
        )?;
        let stored = self.stored(&plan.function)?;
        if let Some(StoredFunction { file, .. }) = &stored
            && file.wasm.is_none()
            && (file.python.is_none() || file.served().is_some())
        {
            return Err(lacks_side(&plan.function, "Wasm side"));
        }
        let exchange = Arc::new(self.exchange(stored.as_ref())?);
        let is_handler = stored.as_ref().map(|stored| stored.file.served().is_some());
        let own_limit = stored.map_or(Duration::ZERO, |stored| stored.timeout());
        let settings = EngineSettings {
            instances: u32::try_from(plan.workers).unwrap_or(u32::MAX),
            // A function that was brought may say itself how long it takes.
            deadline: self.settings.engine.deadline.max(own_limit),
            ..self.settings.engine.clone()
        };
        let engines = FaasletEngine::several(&settings, engines(plan)).map_err(driver_error)?;
        let stdin = match plan.purpose {
            Purpose::Time => None,
            Purpose::Hold => {
                let (stdin, release) =
                    Stdin::pipe().map_err(|e| DriverError::failed("no pipe to be had", e))?;
                Some((stdin, Some(release)))
            }
        };
        let grants = Grants {
            stdin: stdin.as_ref().map(|(stdin, _)| stdin.clone()),
            stdout: self.stdout.clone(),
            exchange: Some(exchange.clone()),
            reach: network.reach().cloned(),
            ..grants
        };
        let loaded: Vec<Vec<Function>> = engines
            .into_iter()
            .map(|engine| engine.with_compiler(self.settings.compiler(None)))
            .map(|engine| self.load(plan, &engine, grants.clone()))
            .collect::<Result<_, _>>()?;
        let functions = dealt(&loaded);
        if is_handler == Some(true) && !functions.iter().all(Function::is_handler) {
            return Err(no_handlers(
                "its Wasm side is a program, no component that exports wasi:http/incoming-handler",
            ));
        }
        let of_run = OfRun::from(&network);
        let seats = found
            .map(|found| Seats::make(plan.workers, found, network, &scope).map(Arc::new))
            .transpose()
            .map_err(driver_error)?;
        if let (Some(seats), Some(percent)) = (&seats, self.settings.engine.budget.cpu_percent) {
            seats.limit_cpu(percent).map_err(driver_error)?;
        }
        let waiting = match (&seats, plan.purpose) {
            (Some(seats), Purpose::Time) if self.kind.waits() => {
                Some(WaitingThreads::start(&functions, seats).map_err(DriverError::library)?)
            }
            _ => None,
        };
        Ok(Ready {
            parked: None,
            waiting,
            functions,
            function: plan.function.to_string(),
            exchange,
            stdin,
            seats,
            network: of_run,
            _scope: scope,
        })
    }

    /// What is said of a function that somebody brought.
    fn stored(&self, function: &FunctionId) -> Result<Option<StoredFunction>, DriverError> {
        StoredFunction::read(&self.settings.store.root().join(function.to_string()))
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

    /// What the function is asked, if it is a handler: for `/` unless something else is said.
    fn exchange(&self, stored: Option<&StoredFunction>) -> Result<Exchange, DriverError> {
        let request = match stored {
            Some(stored) => stored.request()?,
            None => None,
        };
        let expect = stored.and_then(|stored| stored.file.expect.as_ref());
        let expected = expect.and_then(|expect| expect.status);
        let exchange = Exchange::new(&request.unwrap_or_default(), expected);
        let exchange = exchange.map_err(driver_error)?;
        if self.keeps_answers {
            exchange.keep();
            exchange.ask_more(REQUESTS - 1);
        }
        Ok(exchange)
    }

    /// What network its seats are in.
    fn network(&self, plan: &Plan, grants: &Grants) -> Result<Network, DriverError> {
        if grants.network.is_empty() {
            return Ok(match self.kind.always_namespace() {
                true => Network::Namespace,
                false => Network::NotOffered,
            });
        }
        if self.kind.found().is_none() {
            return Err(DriverError::Unavailable {
                why: format!(
                    "{} is granted the network, and a start of `{}` has no namespace to be granted it in",
                    plan.function, self.kind
                ),
                mend: "start it as a faaslet".to_owned(),
            });
        }
        let config = netns::checked_config().map_err(netns_error)?;
        let hub = Hub::open(&grants.network, &config).map_err(|e| driver_error(e.into()))?;
        Ok(Network::Granted(hub))
    }

    /// The function, or its snapshots.
    fn load(
        &self,
        plan: &Plan,
        engine: &FaasletEngine,
        grants: Grants,
    ) -> Result<Vec<Function>, DriverError> {
        let (store, id) = (&self.settings.store, &plan.function);
        let one = |function| vec![function];
        if self.kind.is_llvm() {
            let tools = self.settings.second_engine.tools()?;
            if self.kind.is_proto() {
                Function::load_snapshots_by_c(engine, store, tools, id, &grants)
            } else {
                Function::load_by_c(engine, store, tools, id, grants).map(one)
            }
        } else if self.kind.is_proto() {
            Function::load_snapshots(engine, store, id, &grants)
        } else {
            Function::load(engine, store, id, grants).map(one)
        }
        .map_err(driver_error)
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

/// Engines for the workers of `plan`: one for each processor that they start on. Parked ones wait in one, whose code is there once.
fn engines(plan: &Plan) -> u32 {
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    match plan.purpose {
        Purpose::Time => u32::try_from(plan.workers.min(processors)).unwrap_or(u32::MAX),
        Purpose::Hold => 1,
    }
}

/// What was loaded into each engine, the function or its snapshots, in the order in which workers are dealt it: by turns of the
/// engines, and of the snapshots.
fn dealt(loaded: &[Vec<Function>]) -> Vec<Function> {
    let of_engine = loaded.first().map_or(0, Vec::len);
    let turns = (0..of_engine * loaded.len()).zip(loaded.iter().cycle());
    let deal = |(worker, functions): (usize, &Vec<Function>)| functions[worker % of_engine].clone();
    turns.map(deal).collect()
}

fn park_error(error: StartError) -> DriverError {
    DriverError::StartFailed(error.to_string())
}
