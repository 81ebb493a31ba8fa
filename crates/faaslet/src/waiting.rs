//! Threads that wait in their seats to be handed a start: the pooled Faaslet.

use std::sync::Arc;

use measure_core::base::clock::PhaseClock;
use measure_core::driver_kit::hand_off::WaitingThread;

use crate::budget::HeldThread;
use crate::error::{SetupError, StartError};
use crate::function::{Function, Untimed};
use crate::seat::Seats;
use crate::settings::STACK_BYTES;

/// Waiting threads, one per seat. Ended when dropped.
pub struct WaitingThreads {
    threads: Vec<WaitingThread<Task, Result<(), StartError>>>,
    _counted: Vec<HeldThread>,
}

/// What a thread is handed.
enum Task {
    /// To take its seat, once.
    Sit,
    /// To start its function.
    Start,
}

impl WaitingThreads {
    /// A thread in every seat of `seats`, ready to start one of `functions`, of which there is at least one:
    /// the snapshots of a function are dealt out in turn.
    ///
    /// # Errors
    /// No thread, or a seat that cannot be taken.
    pub fn start(functions: &[Function], seats: &Arc<Seats>) -> Result<Self, StartError> {
        let counted = functions
            .iter()
            .cycle()
            .take(seats.len())
            .map(|function| HeldThread::take(function.budget()))
            .collect::<Result<_, _>>()
            .map_err(SetupError::Budget)?;
        let threads = functions
            .iter()
            .cycle()
            .zip(0..seats.len())
            .map(|(function, i)| seated(function.clone(), seats.clone(), i))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            threads,
            _counted: counted,
        })
    }

    /// Hands a start to thread `i`, which is idle, and waits for its end. `clock` has just been started.
    ///
    /// # Errors
    /// The start failed.
    pub fn hand_over(&self, i: usize, clock: PhaseClock) -> (PhaseClock, Result<(), StartError>) {
        self.threads[i % self.threads.len()].run(Task::Start, clock)
    }
}

/// A thread that waits in seat `i` to start `function`.
fn seated(
    function: Function,
    seats: Arc<Seats>,
    i: usize,
) -> Result<WaitingThread<Task, Result<(), StartError>>, StartError> {
    let work = move |task, clock: &mut PhaseClock| match task {
        Task::Sit => seats.take(i, &mut Untimed),
        Task::Start => function.start(clock),
    };
    let thread = WaitingThread::start(STACK_BYTES, i, work).map_err(SetupError::Thread)?;
    thread.run(Task::Sit, PhaseClock::start()).1?;
    Ok(thread)
}
