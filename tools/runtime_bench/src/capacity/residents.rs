//! The processes that hold the parked workers of a rung.

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::contract::Scope;
use measure_core::contract::protocol::Go;
use probes::kernel_limits::{self, Bounded, KernelLimit};

use super::plan::PerProcess;
use crate::drivers::Offer;
use crate::error::SessionError;
use crate::link::Start;
use crate::recorder::Recorder;
use crate::session::{Job, Session};

/// More workers are not asked of one process: what a killed one leaves is so much the smaller, and that a limit was met is known sooner.
const MOST_OF_A_PROCESS: u64 = 5000;
/// Workers of an engine that one go-ahead asks for: if one fails, all that the engine holds are gone.
const ENGINE_STEP: u64 = 20;
/// What parking a worker may take at most, on the safe side.
const PARKING: Duration = Duration::from_millis(150);
/// How long everything may take to be gone after a signal, and how much longer for each parked worker with a network of its own.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const GONE_EACH: Duration = Duration::from_millis(1);
/// The same where nobody waits at a terminal: containers end one by one.
const RELEASE_WITHIN: Duration = Duration::from_secs(120);
const RELEASE_EACH: Duration = Duration::from_millis(100);

/// How often it is looked how many namespaces are left, and how many may be other people's.
const LOOK_AT_NAMESPACES: Duration = Duration::from_millis(200);
const NAMESPACES_OF_OTHERS: u64 = 100;

/// A process with the workers that it holds.
#[derive(Debug)]
struct Holder {
    session: Session,
    workers: u64,
    is_let_go: bool,
}

impl Holder {
    /// Lets its workers run to their end; of an engine that is to `end` itself, as it ends hundreds of containers one by one.
    fn let_go(&mut self, end: bool) {
        self.is_let_go = true;
        match end {
            true => self.session.terminate(),
            false => self.session.let_go(),
        }
    }
}

/// All parked workers of a rung.
#[derive(Debug)]
pub(super) struct Residents<'a> {
    offer: &'a Offer,
    function: Option<&'a FunctionId>,
    patience: Duration,
    /// One process holds all, of an engine of its own, and is asked for a few at a time.
    in_engine: bool,
    holders: Vec<Holder>,
    per_process: PerProcess,
    /// Processes that were started.
    started: u32,
    /// Network namespaces that the host had before.
    namespaces_before: Option<u64>,
}

impl<'a> Residents<'a> {
    pub(super) fn new(offer: &'a Offer, job: &Job<'a>, in_engine: bool) -> Self {
        Self {
            offer,
            function: job.function,
            patience: job.patience,
            in_engine,
            holders: Vec::new(),
            per_process: PerProcess::default(),
            started: 0,
            namespaces_before: network_namespaces(),
        }
    }

    /// How many are parked.
    pub(super) fn count(&self) -> u64 {
        self.holders.iter().map(|holder| holder.workers).sum()
    }

    /// Whose memory is theirs.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.holders.iter().map(|holder| &holder.session.scope)
    }

    /// `user/function` that they are blocked in.
    pub(super) fn function(&self) -> Option<&str> {
        Some(&self.holders.first()?.session.function)
    }

    /// How many of `wanted` are to be parked in one go.
    pub(super) fn in_one_go(&self, wanted: u64) -> u64 {
        let most = self.offer.description.max_workers.max(1) as u64;
        let most = most.min(MOST_OF_A_PROCESS);
        if self.in_engine {
            let left = most.saturating_sub(self.count());
            return wanted.min(ENGINE_STEP).min(left);
        }
        wanted.min(self.per_process.most(most).0)
    }

    /// Parks `workers` more, unless `stop` says why not to wait for it; returns how long these took, their driver's start apart. After a
    /// signal all others are let go before those are waited for.
    ///
    /// # Errors
    /// One could not be parked. Those are gone then that the same process holds.
    pub(super) fn park(
        &mut self,
        recorder: &Recorder,
        workers: u64,
        stop: &mut dyn FnMut() -> Option<SessionError>,
    ) -> Result<Duration, SessionError> {
        let in_engine = self.in_engine;
        let mut held = mem::take(&mut self.holders);
        let growing = held.pop_if(|_| in_engine);
        let mut stop_all = || {
            let why = stop()?;
            if matches!(why, SessionError::Interrupted(_)) {
                let_go(&mut held, in_engine);
            }
            Some(why)
        };
        let parked = self.park_in(growing, recorder, workers, &mut stop_all);
        self.holders = held;
        let (holder, took) = parked?;
        self.holders.push(holder);
        Ok(took)
    }

    /// Parks `workers` more in the process that holds those of an engine, or in a further one.
    fn park_in(
        &mut self,
        growing: Option<Holder>,
        recorder: &Recorder,
        workers: u64,
        stop: &mut dyn FnMut() -> Option<SessionError>,
    ) -> Result<(Holder, Duration), SessionError> {
        let mut holder = match growing {
            Some(holder) => holder,
            None => self.open(recorder, workers, stop)?,
        };
        let go = Go {
            // Of a process of their own all of them.
            workers: self
                .in_engine
                .then_some(usize::try_from(workers).unwrap_or(usize::MAX)),
            ..Go::default()
        };
        let expected = PARKING * u32::try_from(workers).unwrap_or(u32::MAX);
        let begun = Instant::now();
        holder.session.park_unless(&go, expected, stop)?;
        let took = begun.elapsed();
        holder.workers += workers;
        if let [root, ..] = holder.session.scope.roots[..] {
            let limits = kernel_limits::of_process(root);
            self.per_process.note(holder.workers, &limits);
        }
        Ok((holder, took))
    }

    /// Notes that a process of so many workers could not be had.
    pub(super) fn refused(&mut self, workers: u64) {
        self.per_process.refused(workers);
    }

    fn open(
        &mut self,
        recorder: &Recorder,
        workers: u64,
        stop: &mut dyn FnMut() -> Option<SessionError>,
    ) -> Result<Holder, SessionError> {
        self.started += 1;
        let count = match self.in_engine {
            true => self.offer.description.max_workers.max(1) as u64,
            false => workers,
        };
        let start = Start {
            driver: &self.offer.driver,
            command: "hold",
            count,
            rung: self.offer.rung(),
            function: self.function,
            workers: None,
            log: recorder.log("capacity", self.offer.rung(), self.started),
            environment_padding_bytes: 0,
            home: None,
            takes_releases: false,
            patience: self.patience,
        };
        let session = Session::start_unless(start, stop)?;
        Ok(Holder {
            session,
            workers: 0,
            is_let_go: false,
        })
    }

    /// Lets all of them run to their end, looks how each process ended, and waits until the kernel has removed their namespaces.
    ///
    /// # Errors
    /// The first that ended wrongly, or did not end in time; all are gone in any case.
    pub(super) fn release(mut self, line: &mut Line) -> Result<(), SessionError> {
        let (all, processes) = (self.count(), self.holders.len());
        let is_hurried = interrupt::received().is_some();
        // Workers that run to their end touch what they gave back while they were parked; of all processes at once that may be more than
        // the ramp has left. More than there are processors gain nothing.
        let few = thread::available_parallelism().map_or(1, usize::from);
        // As they are prepared: what was granted the network has a namespace where others of the rung have none.
        let has_network = self.holders.iter().any(|holder| {
            let isolation = &holder.session.description.isolation;
            isolation.has_network_namespace()
        });
        let until = Instant::now() + time_to_go(all, has_network, is_hurried);
        let mut outcome = Ok(());
        let mut gone = 0;
        for number in 1..=processes {
            let at_once = interrupt::received().map_or(few, |_| processes);
            let next = at_once.min(self.holders.len());
            let_go(&mut self.holders[..next], is_hurried && self.in_engine);
            let holder = self.holders.remove(0);
            line.show(format!(
                "capacity {}: {gone} of {all} gone, waiting for process {number} of {processes}",
                self.offer.rung()
            ));
            let ended = holder.session.close_by(until);
            gone += holder.workers;
            outcome = outcome.and(ended);
        }
        if has_network {
            self.await_namespaces(line, until);
        }
        outcome
    }

    /// Waits until the kernel, which does it after their processes have ended, has removed the namespaces.
    fn await_namespaces(&self, line: &mut Line, until: Instant) {
        let rung = self.offer.rung();
        let Some(before) = self.namespaces_before else {
            return;
        };
        while let Some(left) = namespaces_above(before) {
            if Instant::now() >= until {
                line.clear();
                eprintln!(
                    "warning: {rung}: the kernel still has to remove {left} network namespaces"
                );
                return;
            }
            line.show_seldom(|| {
                format!("capacity {rung}: {left} network namespaces left for the kernel to remove")
            });
            thread::sleep(LOOK_AT_NAMESPACES);
        }
    }
}

/// Network namespaces of the host; `None` where the kernel does not tell.
fn network_namespaces() -> Option<u64> {
    let limits = kernel_limits::of_host();
    let namespaces = |limit: &KernelLimit| limit.bounded == Bounded::NetNamespaces;
    limits.into_iter().find(namespaces).map(|limit| limit.used)
}

/// How many there are more than `before`, if that is not within what others may make and the kernel miscounts meanwhile.
fn namespaces_above(before: u64) -> Option<u64> {
    let more = network_namespaces()?.saturating_sub(before);
    (more > NAMESPACES_OF_OTHERS).then_some(more)
}

/// Lets those go that have not been told yet; see [`Holder::let_go`].
fn let_go(holders: &mut [Holder], end: bool) {
    for holder in holders.iter_mut().filter(|holder| !holder.is_let_go) {
        holder.let_go(end);
    }
}

fn time_to_go(workers: u64, has_network: bool, is_hurried: bool) -> Duration {
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    let (within, each) = match (is_hurried, has_network) {
        (true, true) => (GONE_WITHIN, GONE_EACH),
        (true, false) => (GONE_WITHIN, Duration::ZERO),
        (false, _) => (RELEASE_WITHIN, RELEASE_EACH),
    };
    within + each.saturating_mul(workers)
}

impl Drop for Residents<'_> {
    fn drop(&mut self) {
        // All at once: each is waited for when it is dropped.
        for holder in &mut self.holders {
            holder.session.let_go();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_signal_all_have_ten_seconds_and_one_millisecond_for_each_network() {
        assert_eq!(time_to_go(200_000, false, true), Duration::from_secs(10));
        assert_eq!(time_to_go(50_000, true, true), Duration::from_secs(60));
        assert_eq!(time_to_go(300, true, false), Duration::from_secs(150));
    }
}
