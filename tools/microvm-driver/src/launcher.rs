//! The rungs whose monitor is a process of its own: what they share. A [`Launcher`] brings one start up to its
//! guest's first word; everything before and after that is the same for all of them.

use std::fmt;
use std::time::Duration;

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::contract::answer::Answer;
use measure_core::contract::{Description, Probe, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::stored_function::answer_of_run;
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};

use crate::firecracker::api::Connection;
use crate::limit::Limit;
use crate::shared::{SCOPE, ended_while_held, unprepared};
use crate::vmm::{Vmm, check_exit_code};
use crate::{guest, phase, scratch};

/// How long a released guest may take to its end.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the guest that was parked last is watched, whether it stays.
const SETTLE: Duration = Duration::from_millis(300);

/// A started guest and its monitor.
#[derive(Debug)]
pub struct Running {
    /// The monitor.
    pub vmm: Vmm,
    /// The connection to its API, where it has one.
    pub api: Option<Connection>,
}

/// One way to start a guest under a monitor.
pub trait Launcher: fmt::Debug + Send + Sync {
    /// What it starts, for the ladder and the records.
    fn describe(&self) -> Description;

    /// Whether this host can start it: what it needs is there and, but for an emulator, a trial start succeeds.
    fn probe(&self) -> Probe;

    /// Makes what a start finds ready.
    ///
    /// # Errors
    /// The function does not exist, or the host lacks something.
    fn prepare(&mut self, plan: &Plan) -> Result<(), DriverError>;

    /// Starts a guest as worker `worker`, up to its first word, with a lap per phase. A guest to be `held`
    /// gets a serial port that can be written to.
    ///
    /// # Errors
    /// It did not get so far within the limit.
    fn start(
        &self,
        clock: &mut PhaseClock,
        worker: usize,
        held: bool,
        limit: &Limit,
    ) -> Result<Running, DriverError>;

    /// Brings a guest to rest that has said its first word and does not sleep by itself.
    ///
    /// # Errors
    /// Its monitor refuses, or does not answer within the limit.
    fn rest(&self, _guest: &mut Running, _limit: &Limit) -> Result<(), DriverError> {
        Ok(())
    }

    /// Undoes [`Self::rest`].
    ///
    /// # Errors
    /// As [`Self::rest`].
    fn wake(&self, _guest: &mut Running, _limit: &Limit) -> Result<(), DriverError> {
        Ok(())
    }

    /// The function, if its guest says how it ended.
    fn reported_function(&self) -> Option<&str>;

    /// How long a start may take.
    fn timeout(&self) -> Duration;
}

/// A rung of a launcher.
#[derive(Debug)]
pub struct VmmRung<L> {
    launcher: L,
    ready: Option<Ready>,
}

/// Dropped in this order: no process may be left when the group goes.
#[derive(Debug)]
struct Ready {
    parked: Vec<Running>,
    function: String,
    _scope: OwnScope,
}

impl<L: Launcher> VmmRung<L> {
    /// The rung that starts with `launcher`.
    pub fn new(launcher: L) -> Self {
        Self {
            launcher,
            ready: None,
        }
    }

    fn end(
        &self,
        guest: Running,
        clock: &mut PhaseClock,
        limit: &Limit,
    ) -> Result<(), DriverError> {
        let mut vmm = guest.vmm;
        // An API connection that stays open does not keep a monitor from ending, but closing it is ours.
        drop(guest.api);
        if let Some(function) = self.launcher.reported_function() {
            vmm.hear_exit(function, limit)?;
            clock.lap(phase::RUN);
        }
        vmm.finish(limit)?;
        clock.lap(phase::EXIT);
        Ok(())
    }
}

/// Prepares `launcher` for one start of the no-op and makes it.
///
/// # Errors
/// Why this host cannot.
pub fn trial<L: Launcher>(mut launcher: L, timeout: Duration) -> Result<(), DriverError> {
    let function = "demo/noop";
    launcher.prepare(&Plan {
        function: function
            .parse()
            .map_err(|e| DriverError::failed(function, e))?,
        workers: 1,
        purpose: Purpose::Time,
    })?;
    let (mut clock, limit) = (PhaseClock::start(), Limit::after(timeout));
    let guest = launcher.start(&mut clock, 0, false, &limit)?;
    VmmRung::new(launcher).end(guest, &mut clock, &limit)
}

impl<L: Launcher> Rung for VmmRung<L> {
    fn describe(&self) -> Description {
        self.launcher.describe()
    }

    fn probe(&self) -> Probe {
        self.launcher.probe()
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        if let Err(error) = scratch::remove_orphans() {
            eprintln!("warning: left by a killed run: {error}");
        }
        let scope = OwnScope::enter(SCOPE);
        let said =
            scope.scope("this process and the monitors it starts, with their guests' memory");
        self.ready = Some(Ready {
            parked: Vec::new(),
            function: plan.function.to_string(),
            _scope: scope,
        });
        self.launcher.prepare(plan)?;
        Ok(said)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let (mut clock, limit) = (PhaseClock::start(), Limit::after(self.launcher.timeout()));
        let guest = self.launcher.start(&mut clock, worker, false, &limit)?;
        self.end(guest, &mut clock, &limit)?;
        Ok(clock.finish())
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let function = ready.function.clone();
        for worker in 0..count {
            if interrupt::received().is_some() {
                return Err(DriverError::Failed("interrupted while parking".into()));
            }
            let limit = Limit::after(self.launcher.timeout());
            let mut clock = PhaseClock::start();
            let mut guest = self.launcher.start(&mut clock, worker, true, &limit)?;
            self.launcher.rest(&mut guest, &limit)?;
            ready.parked.push(guest);
        }
        if let Some(last) = ready.parked.last_mut() {
            last.vmm.settle(SETTLE);
        }
        match ready.parked.iter().any(|guest| guest.vmm.function_ended()) {
            true => Err(ended_while_held(&function)),
            false => Ok(()),
        }
    }

    fn answer(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        self.prepare(&Plan {
            function: function.clone(),
            workers: 1,
            purpose: Purpose::Time,
        })?;
        let Some(name) = self.launcher.reported_function().map(str::to_owned) else {
            return Err(DriverError::Unavailable {
                why: "a guest without a kernel hands back nothing of what it answers".into(),
                mend: "take a rung with a Linux guest".into(),
            });
        };
        let (mut clock, limit) = (PhaseClock::start(), Limit::after(self.launcher.timeout()));
        let mut guest = self.launcher.start(&mut clock, 0, false, &limit)?;
        let (stdout, code) = guest.vmm.hear_answer(&limit)?;
        drop(guest.api);
        guest.vmm.finish(&limit)?;
        answer_of_run(check_exit_code(&name, code), stdout, None)
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let (mut outcome, limit) = (Ok(()), Limit::after(RELEASE_TIMEOUT));
        let mut parked = std::mem::take(&mut ready.parked);
        // All are let go before any is waited for.
        for guest in &mut parked {
            let woken = self.launcher.wake(guest, &limit);
            outcome = outcome.and(woken).and(guest.vmm.send(guest::RELEASE));
        }
        for guest in parked {
            outcome = outcome.and(self.end(guest, &mut PhaseClock::start(), &limit));
        }
        outcome
    }
}
