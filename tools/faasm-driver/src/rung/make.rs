//! What starts of a plan find made: the function in its engines, what it is asked and granted, its seats.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use faaslet::netns::{self, Hub};
use faaslet::seat::{Found, Network, Seats};
use faaslet::stdin::Stdin;
use faaslet::waiting::WaitingThreads;
use faaslet::{EngineSettings, Exchange, FaasletEngine, Function, Grants};
use measure_core::base::ids::FunctionId;
use measure_core::contract::answer::REQUESTS;
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::handler::no_handlers;
use measure_core::driver_kit::stored_function::{StoredFunction, lacks_side};
use measure_core::driver_kit::{DriverError, Plan, Purpose};

use super::{FaasletRung, HeldStdin, Ready};
use crate::answers::{driver_error, netns_error};
use crate::limits;
use crate::rungs::OfRun;

impl FaasletRung {
    /// Everything that starts of `plan` find made.
    pub(super) fn make(&self, plan: &Plan, scope: OwnScope) -> Result<Ready, DriverError> {
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
        let stdin = held_stdin(plan)?;
        let grants = Grants {
            stdin: stdin.as_ref().map(|(stdin, _)| stdin.clone()),
            stdout: self.stdout.clone(),
            exchange: Some(exchange.clone()),
            reach: network.reach().cloned(),
            ..grants
        };
        let functions = self.functions(plan, stored.as_ref(), &grants)?;
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

    /// The function of `plan`, loaded in its engines and dealt to the workers.
    ///
    /// # Errors
    /// It cannot be loaded, or is no handler though it says so.
    fn functions(
        &self,
        plan: &Plan,
        stored: Option<&StoredFunction>,
        grants: &Grants,
    ) -> Result<Vec<Function>, DriverError> {
        let is_handler = stored.is_some_and(|stored| stored.file.served().is_some());
        let own_limit = stored.map_or(Duration::ZERO, StoredFunction::timeout);
        let settings = EngineSettings {
            instances: u32::try_from(plan.workers).unwrap_or(u32::MAX),
            // A function that was brought may say itself how long it takes.
            deadline: self.settings.engine.deadline.max(own_limit),
            ..self.settings.engine.clone()
        };
        let engines = FaasletEngine::several(&settings, engines(plan)).map_err(driver_error)?;
        let loaded: Vec<Vec<Function>> = engines
            .into_iter()
            .map(|engine| engine.with_compiler(self.settings.compiler(None)))
            .map(|engine| self.load(plan, &engine, grants.clone()))
            .collect::<Result<_, _>>()?;
        let functions = dealt(&loaded);
        if is_handler && !functions.iter().all(Function::is_handler) {
            return Err(no_handlers(
                "its Wasm side is a program, no component that exports wasi:http/incoming-handler",
            ));
        }
        Ok(functions)
    }

    /// What is said of a function that somebody brought.
    pub(super) fn stored(
        &self,
        function: &FunctionId,
    ) -> Result<Option<StoredFunction>, DriverError> {
        StoredFunction::read(&self.settings.store.root().join(function.to_string()))
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

/// What parked workers read until they are released; nothing of timed ones.
fn held_stdin(plan: &Plan) -> Result<Option<HeldStdin>, DriverError> {
    match plan.purpose {
        Purpose::Time => Ok(None),
        Purpose::Hold => {
            let (stdin, release) =
                Stdin::pipe().map_err(|e| DriverError::failed("no pipe to be had", e))?;
            Ok(Some((stdin, Some(release))))
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
