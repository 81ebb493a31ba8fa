//! Parked Faaslets: threads blocked in a read of standard input inside the program's `main`.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use measure_core::base::interrupt;

use crate::budget::HeldThread;
use crate::error::{SetupError, StartError};
use crate::function::{Function, Untimed};
use crate::seat::Seats;
use crate::settings::STACK_BYTES;
use crate::stdin::Stdin;
use crate::thread::panicked;

/// How often it is looked at whether all are blocked.
const LOOK: Duration = Duration::from_millis(2);

/// Parked workers. Dropping them releases them and waits for their end.
pub struct Parked {
    release: Option<File>,
    workers: Vec<JoinHandle<Result<(), StartError>>>,
}

impl Parked {
    /// Starts `count` workers of `functions` in turn, whose standard input is `stdin` and whose end of it is
    /// `release`, in `seats` if there are any, and returns when every one is blocked.
    ///
    /// # Errors
    /// A worker cannot be started, or ends instead of blocking. [`StartError::Interrupted`] if a signal
    /// comes first.
    pub fn park(
        functions: &[Function],
        stdin: &Stdin,
        release: File,
        seats: Option<&Arc<Seats>>,
        count: usize,
    ) -> Result<Self, StartError> {
        let mut parked = Self {
            release: Some(release),
            workers: Vec::with_capacity(count),
        };
        let ended = Arc::new(AtomicUsize::new(0));
        for (function, i) in functions.iter().cycle().zip(0..count) {
            if interrupt::received().is_some() {
                return Err(StartError::Interrupted);
            }
            let worker = spawn(function, seats, &ended, i)?;
            parked.workers.push(worker);
            // In step with them, so that a host with few cores is not flooded.
            while stdin.waited() + 64 < i && ended.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        while stdin.waited() < count {
            if ended.load(Ordering::Acquire) > 0 {
                // Those that did block are released, so that the one that did not can be told from them.
                parked.release()?;
                return Err(SetupError::NotBlocked.into());
            }
            if !interrupt::sleep(LOOK) {
                return Err(StartError::Interrupted);
            }
        }
        Ok(parked)
    }

    /// Lets them run to their end.
    ///
    /// # Errors
    /// The first that ended wrongly.
    pub fn release(&mut self) -> Result<(), StartError> {
        self.release = None;
        let mut outcome = Ok(());
        for worker in self.workers.drain(..) {
            let result = worker.join().unwrap_or_else(|panic| Err(panicked(&*panic)));
            outcome = outcome.and(result);
        }
        outcome
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        // Whoever wanted to know how they ended has called `release`.
        let _ = self.release();
    }
}

fn spawn(
    function: &Function,
    seats: Option<&Arc<Seats>>,
    ended: &Arc<AtomicUsize>,
    i: usize,
) -> Result<JoinHandle<Result<(), StartError>>, StartError> {
    let (function, seats, ended) = (function.clone(), seats.cloned(), ended.clone());
    let counted = HeldThread::take(function.budget()).map_err(SetupError::Budget)?;
    Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let _counted = counted;
            let result = seats
                .map_or(Ok(()), |seats| seats.take(i, &mut Untimed))
                .and_then(|()| function.start(&mut Untimed));
            ended.fetch_add(1, Ordering::Release);
            result
        })
        .map_err(|e| SetupError::Thread(e).into())
}
