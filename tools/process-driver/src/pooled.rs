//! Rung `thread-pooled`: the function is handed to a waiting thread and its result back.

use std::ffi::c_int;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::contract::{Description, Isolation, Probe, Reach, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::hand_off::WaitingThread;
use measure_core::driver_kit::{DriverError, Plan, Rung};
use nix::unistd::gettid;

use crate::native::{self, Native};
use crate::parking::Parking;
use crate::thread::{STACK_BYTES, no_thread, null_stdin, unprepared};
use crate::{blocked, scope};

/// Ladder id.
pub const ID: &str = "thread-pooled";

/// Phases of a start.
pub mod phase {
    pub use measure_core::driver_kit::hand_off::phase::{HAND_BACK, HAND_OFF};
    /// The function.
    pub const RUN: &str = "run";
}

/// Rung `thread-pooled`.
#[derive(Debug, Default)]
pub struct PooledRung {
    ready: Option<Ready>,
}

/// Dropped in this order: parked threads must be released before they can be stopped.
#[derive(Debug)]
struct Ready {
    parking: Option<Parking>,
    waiting: Vec<Waiting>,
    native: Native,
    parked: usize,
    _scope: OwnScope,
}

/// A thread that runs the function with the standard input that it is handed, or else the null device, and
/// answers its exit code.
#[derive(Debug)]
struct Waiting {
    thread: WaitingThread<Option<Arc<OwnedFd>>, c_int>,
    /// Its id, once it has a job to be parked with.
    parked_tid: Arc<AtomicI32>,
}

impl Waiting {
    fn start(native: Native, null: &Arc<OwnedFd>, worker: usize) -> Result<Self, DriverError> {
        let parked_tid = Arc::new(AtomicI32::new(0));
        let (tid, null) = (parked_tid.clone(), null.clone());
        let work = move |stdin: Option<Arc<OwnedFd>>, clock: &mut PhaseClock| {
            let code = match stdin {
                None => native.run(null.as_fd()),
                Some(stdin) => {
                    tid.store(gettid().as_raw(), Ordering::Release);
                    native.run(stdin.as_fd())
                }
            };
            clock.lap(phase::RUN);
            code
        };
        let thread = WaitingThread::start(STACK_BYTES, worker, work).map_err(|e| no_thread(&e))?;
        Ok(Self { thread, parked_tid })
    }
}

impl Rung for PooledRung {
    fn describe(&self) -> Description {
        Description {
            rung: ID.into(),
            summary: "native function handed to a waiting thread".into(),
            engine: "pthread, futex (thread park/unpark), no spinning".into(),
            cold: "not cold: one thread per worker waits beforehand; the pooled twin of `thread`"
                .into(),
            warm: "thread".into(),
            isolation: Isolation {
                reach: Some(Reach::Host),
                ..Isolation::default()
            },
            settings: vec![format!("stack {} KiB", STACK_BYTES >> 10)],
            max_workers: measure_core::driver_kit::cli::MAX_WORKERS,
            default_function: Native::Noop.id().into(),
        }
    }

    fn probe(&self) -> Probe {
        Probe::Ready
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let native = Native::linked(&plan.function, ID)?;
        let null = Arc::new(OwnedFd::from(null_stdin()?));
        let scope = scope::enter();
        let said = scope.scope("this process: its threads run the function");
        let waiting = (0..plan.workers)
            .map(|worker| Waiting::start(native, &null, worker))
            .collect::<Result<_, _>>()?;
        self.ready = Some(Ready {
            parking: None,
            waiting,
            native,
            parked: 0,
            _scope: scope,
        });
        Ok(said)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        let waiting = ready.waiting.get(worker).ok_or_else(unprepared)?;
        let (clock, code) = waiting.thread.run(None, PhaseClock::start());
        native::check_exit_code(ready.native.id(), code)?;
        Ok(clock.finish())
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let waiting = ready.waiting.get(..count).ok_or_else(unprepared)?;
        let parking = ready.parking.insert(Parking::open()?);
        for waiting in waiting {
            let stdin = Some(parking.shared_stdin());
            waiting.thread.hand_over(stdin, PhaseClock::start());
        }
        ready.parked = count;
        blocked::wait_until_blocked(
            count,
            &|worker| blocked::thread_stat(&waiting[worker].parked_tid),
            &mut |worker| waiting[worker].thread.is_done().then(|| "ended".to_owned()),
        )
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        ready.parking = None;
        let parked = std::mem::take(&mut ready.parked);
        let mut outcome = Ok(());
        for waiting in &ready.waiting[..parked] {
            let (_, code) = waiting.thread.take_back();
            outcome = outcome.and(native::check_exit_code(ready.native.id(), code));
        }
        outcome
    }
}
