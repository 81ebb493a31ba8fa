//! One rung at work.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use faaslet::park::Parked;
use faaslet::seat::{self, Found, Seats};
use faaslet::stdin::Stdin;
use faaslet::waiting::WaitingThreads;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError, thread};
use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::ids::FunctionId;
use measure_core::contract::answer::Answer;
use measure_core::contract::{Description, Probe, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::collector::Collector;
use measure_core::driver_kit::stored_function::{StoredFunction, answer_of_run, lacks_side};
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};

use crate::answers::driver_error;
use crate::limits;
use crate::rungs::Kind;
use crate::settings::Settings;

pub(crate) struct FaasletRung {
    kind: Kind,
    settings: Settings,
    ready: Option<Ready>,
    /// Where its function's output goes; nowhere, unless it is asked what it answers.
    stdout: Option<Arc<OwnedFd>>,
}

/// What `prepare` made; dropped in this order.
struct Ready {
    parked: Option<Parked>,
    waiting: Option<WaitingThreads>,
    /// One, or the snapshots that workers are dealt in turn; never none.
    functions: Vec<Function>,
    stdin: Option<(Arc<Stdin>, Option<File>)>,
    seats: Option<Arc<Seats>>,
    _scope: OwnScope,
}

impl FaasletRung {
    pub(crate) fn new(kind: Kind, settings: Settings) -> Self {
        Self {
            kind,
            settings,
            ready: None,
            stdout: None,
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
        limits::check(plan.workers, found, grants.dirs.len())?;
        let stored = self.stored(&plan.function)?;
        if let Some(StoredFunction { file, .. }) = &stored
            && file.wasm.is_none()
            && file.python.is_none()
        {
            return Err(lacks_side(&plan.function, "Wasm side"));
        }
        let own_limit = stored.map_or(Duration::ZERO, |stored| stored.timeout());
        let engine = FaasletEngine::new(EngineSettings {
            instances: u32::try_from(plan.workers).unwrap_or(u32::MAX),
            // A function that was brought may say itself how long it takes.
            deadline: self.settings.engine.deadline.max(own_limit),
            ..self.settings.engine.clone()
        })
        .map_err(driver_error)?
        .with_compiler(self.settings.compiler(None));
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
            ..grants
        };
        let functions = self.load(plan, &engine, grants)?;
        let seats = found
            .map(|found| Seats::make(plan.workers, found, &scope).map(Arc::new))
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
            stdin,
            seats,
            _scope: scope,
        })
    }

    /// What is said of a function that somebody brought.
    fn stored(&self, function: &FunctionId) -> Result<Option<StoredFunction>, DriverError> {
        StoredFunction::read(&self.settings.store.root().join(function.to_string()))
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
        self.kind.describe(&self.settings)
    }

    fn probe(&self) -> Probe {
        if self.kind == Kind::Wasm {
            return Probe::Ready;
        }
        let tools = match self.kind.is_llvm() {
            true => self.settings.second_engine.tools().map(drop),
            false => Ok(()),
        };
        match tools.and_then(|()| seat::probe().map_err(driver_error)) {
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
        let started = self.prepare(&plan).map(|_| self.cold_start(0));
        // What holds the pipe's other end goes before it is read to its end.
        self.ready = None;
        self.stdout = None;
        let stdout = collector.finish();
        answer_of_run(started?.map(drop), stdout, stored.as_ref())
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
