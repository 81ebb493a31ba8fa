//! Rung `thread-pooled`: the function is handed to a waiting thread and its result back.
//!
//! The primitive is `std::thread::park`/`unpark`, a futex per thread on Linux: one wake each way and no
//! spinning, as a pool that spun would keep its CPUs busy while it waits.

use std::ffi::c_int;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, JoinHandle, Thread};

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::contract::{Description, Isolation, Probe, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::{DriverError, Plan, Rung};
use nix::unistd::gettid;

use crate::native::{self, Native};
use crate::parking::Parking;
use crate::thread::{STACK_BYTES, no_thread, null_stdin, unprepared};
use crate::{SCOPE, blocked};

/// Ladder id.
pub const ID: &str = "thread-pooled";

/// Phases of a start.
pub mod phase {
    /// From asked for to running on the waiting thread.
    pub const HAND_OFF: &str = "hand-off";
    /// The function.
    pub const RUN: &str = "run";
    /// From its end there to known here.
    pub const HAND_BACK: &str = "hand-back";
}

const IDLE: u32 = 0;
const GO: u32 = 1;
const DONE: u32 = 2;
const STOP: u32 = 3;

/// See the module.
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

/// A waiting thread.
#[derive(Debug)]
struct Waiting {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where a start is handed over and back. Whoever may touch `job` follows from `state`, so its lock is
/// never contended.
#[derive(Debug)]
struct Desk {
    state: AtomicU32,
    job: Mutex<Job>,
    /// The waiting thread, once it has a job to be parked with.
    parked_tid: AtomicI32,
}

#[derive(Debug)]
struct Job {
    clock: PhaseClock,
    caller: Option<Thread>,
    /// Instead of the null device.
    stdin: Option<Arc<OwnedFd>>,
    code: c_int,
}

impl Desk {
    fn new() -> Self {
        Self {
            state: AtomicU32::new(IDLE),
            job: Mutex::new(Job {
                clock: PhaseClock::start(),
                caller: None,
                stdin: None,
                code: 0,
            }),
            parked_tid: AtomicI32::new(0),
        }
    }

    fn job(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one of `states` and returns it. A wake-up may be spurious.
    fn wait_for(&self, states: &[u32]) -> u32 {
        loop {
            let state = self.state.load(Ordering::Acquire);
            if states.contains(&state) {
                return state;
            }
            thread::park();
        }
    }

    /// The life of the waiting thread.
    fn serve(&self, native: Native, null: &File) {
        while self.wait_for(&[GO, STOP]) == GO {
            let (mut clock, caller, stdin) = {
                let mut job = self.job();
                (job.clock, job.caller.take(), job.stdin.take())
            };
            clock.lap(phase::HAND_OFF);
            let code = match stdin {
                None => native.run(null.as_fd()),
                Some(stdin) => {
                    self.parked_tid.store(gettid().as_raw(), Ordering::Release);
                    native.run(stdin.as_fd())
                }
            };
            clock.lap(phase::RUN);
            {
                let mut job = self.job();
                job.clock = clock;
                job.code = code;
            }
            self.state.store(DONE, Ordering::Release);
            if let Some(caller) = caller {
                caller.unpark();
            }
        }
    }
}

impl Waiting {
    fn start(native: Native, null: &Arc<File>) -> Result<Self, DriverError> {
        let desk = Arc::new(Desk::new());
        let (theirs, null) = (desk.clone(), null.clone());
        let thread = Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || theirs.serve(native, &null))
            .map_err(|e| no_thread(&e))?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    fn hand_over(&self, clock: PhaseClock, stdin: Option<Arc<OwnedFd>>) {
        {
            let mut job = self.desk.job();
            job.clock = clock;
            job.caller = Some(thread::current());
            job.stdin = stdin;
        }
        self.set(GO);
    }

    fn set(&self, state: u32) {
        self.desk.state.store(state, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Waits for the job's end; its clock and exit code.
    fn take_back(&self) -> (PhaseClock, c_int) {
        self.desk.wait_for(&[DONE]);
        let (mut clock, code) = {
            let job = self.desk.job();
            (job.clock, job.code)
        };
        clock.lap(phase::HAND_BACK);
        self.desk.state.store(IDLE, Ordering::Release);
        (clock, code)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A job under way ends first, or its `DONE` would undo the `STOP`.
        if self.desk.state.load(Ordering::Acquire) == GO {
            self.desk.wait_for(&[DONE]);
        }
        self.set(STOP);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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
            isolation: Isolation::default(),
            settings: vec![format!("stack {} KiB", STACK_BYTES >> 10)],
            max_workers: measure_core::driver_kit::cli::MAX_WORKERS,
            default_function: Native::Noop.id().into(),
        }
    }

    fn probe(&self) -> Probe {
        Probe::Ready
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let native = Native::of(&plan.function, ID)?;
        let null = Arc::new(null_stdin()?);
        let scope = OwnScope::enter(SCOPE);
        let said = scope.scope("this process: its threads run the function");
        let waiting = (0..plan.workers)
            .map(|_| Waiting::start(native, &null))
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
        waiting.hand_over(PhaseClock::start(), None);
        let (clock, code) = waiting.take_back();
        native::check(ready.native.id(), code)?;
        Ok(clock.finish())
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let waiting = ready.waiting.get(..count).ok_or_else(unprepared)?;
        let parking = ready.parking.insert(Parking::open()?);
        for waiting in waiting {
            waiting.hand_over(PhaseClock::start(), Some(parking.shared_stdin()));
        }
        ready.parked = count;
        blocked::wait(
            count,
            &|worker| blocked::thread_stat(&waiting[worker].desk.parked_tid),
            &mut |worker| {
                let ended = waiting[worker].desk.state.load(Ordering::Acquire) == DONE;
                ended.then(|| "ended".to_owned())
            },
        )
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        ready.parking = None;
        let parked = std::mem::take(&mut ready.parked);
        let mut outcome = Ok(());
        for waiting in &ready.waiting[..parked] {
            let (_, code) = waiting.take_back();
            outcome = outcome.and(native::check(ready.native.id(), code));
        }
        outcome
    }
}
