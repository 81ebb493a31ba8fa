//! Threads that wait in their seats to be handed a start: the pooled Faaslet.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, JoinHandle, Thread};

use measure_core::base::clock::PhaseClock;

use crate::error::StartError;
use crate::function::{Function, Untimed};
use crate::seat::Seats;
use crate::thread::{STACK_BYTES, no_thread};

/// Phases of handing over.
pub mod phase {
    /// From asked for to running on the waiting thread.
    pub const HANDOFF: &str = "handoff";
    /// From done there to known here.
    pub const HANDBACK: &str = "handback";
}

const IDLE: u32 = 0;
const GO: u32 = 1;
const DONE: u32 = 2;
const STOP: u32 = 3;

/// Waiting threads, one per seat. Ended when dropped.
pub struct WaitingThreads {
    threads: Vec<Waiting>,
}

struct Waiting {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where a start is handed over and back. Whoever may touch `job` follows from `state`; the lock is
/// never contended.
struct Desk {
    state: AtomicU32,
    job: Mutex<Job>,
}

struct Job {
    clock: PhaseClock,
    caller: Option<Thread>,
    result: Result<(), StartError>,
}

impl Desk {
    fn job(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, done: impl Fn(u32) -> bool) -> u32 {
        loop {
            let state = self.state.load(Ordering::Acquire);
            if done(state) {
                return state;
            }
            thread::park();
        }
    }
}

impl WaitingThreads {
    /// A thread in every seat of `seats`, ready to start one of `functions`, of which there is at least one:
    /// the snapshots of a function are dealt out in turn.
    ///
    /// # Errors
    /// No thread, or a seat that cannot be taken.
    pub fn start(functions: &[Function], seats: &Arc<Seats>) -> Result<Self, StartError> {
        let threads = functions
            .iter()
            .cycle()
            .zip(0..seats.len())
            .map(|(function, i)| Waiting::start(function, seats, i))
            .collect::<Result<_, _>>()?;
        Ok(Self { threads })
    }

    /// Hands a start to thread `i`, which is idle, and waits for its end. `clock` has just been started.
    ///
    /// # Errors
    /// The start failed.
    pub fn hand_over(&self, i: usize, clock: PhaseClock) -> (PhaseClock, Result<(), StartError>) {
        let Waiting { desk, thread } = &self.threads[i % self.threads.len()];
        {
            let mut job = desk.job();
            job.clock = clock;
            job.caller = Some(thread::current());
        }
        desk.state.store(GO, Ordering::Release);
        if let Some(thread) = thread {
            thread.thread().unpark();
        }
        desk.wait_for(|state| state == DONE);
        let mut job = desk.job();
        let mut clock = job.clock;
        clock.lap(phase::HANDBACK);
        let result = std::mem::replace(&mut job.result, Ok(()));
        desk.state.store(IDLE, Ordering::Release);
        (clock, result)
    }
}

impl Waiting {
    fn start(function: &Function, seats: &Arc<Seats>, i: usize) -> Result<Self, StartError> {
        let desk = Arc::new(Desk {
            state: AtomicU32::new(GO),
            job: Mutex::new(Job {
                clock: PhaseClock::start(),
                caller: Some(thread::current()),
                result: Ok(()),
            }),
        });
        let (theirs, function, seats) = (desk.clone(), function.clone(), seats.clone());
        let thread = Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // The first job is to sit down.
                let seated = seats.take(i, &mut Untimed);
                theirs.job().result = seated;
                loop {
                    let caller = theirs.job().caller.take();
                    theirs.state.store(DONE, Ordering::Release);
                    if let Some(caller) = caller {
                        caller.unpark();
                    }
                    if theirs.wait_for(|state| state == GO || state == STOP) == STOP {
                        return;
                    }
                    let mut clock = theirs.job().clock;
                    clock.lap(phase::HANDOFF);
                    let result = function.start(&mut clock);
                    let mut job = theirs.job();
                    job.clock = clock;
                    job.result = result;
                }
            })
            .map_err(|e| no_thread(&e))?;
        let waiting = Self {
            desk,
            thread: Some(thread),
        };
        waiting.desk.wait_for(|state| state == DONE);
        std::mem::replace(&mut waiting.desk.job().result, Ok(()))?;
        waiting.desk.state.store(IDLE, Ordering::Release);
        Ok(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.desk.state.store(STOP, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
