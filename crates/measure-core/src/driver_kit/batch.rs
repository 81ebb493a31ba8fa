//! A batch of starts: closed loop, a fixed number of workers, each beginning its next start when its
//! last one is torn down.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::{DriverError, Rung, placement};
use crate::base::clock::{Phases, now_ns};
use crate::base::interrupt;
use crate::contract::protocol::{BatchEnd, StartSample};

/// How often finished samples are written out while a batch runs: rare enough to leave short starts
/// alone, often enough that a killed run loses little.
const DRAIN_INTERVAL: Duration = Duration::from_millis(200);

/// Starts that a worker takes at once, at most.
const MOST_TAKEN: u64 = 64;

/// Size of one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub number: u32,
    pub starts: u64,
    pub workers: usize,
    pub warmup: u64,
    /// Keep no sample of a start that goes well.
    pub quiet: bool,
    /// Not starts but requests to one instance.
    pub requests: bool,
}

struct Shared<'a> {
    rung: &'a dyn Rung,
    batch: Batch,
    /// Measured starts not yet begun.
    left: AtomicU64,
    stop: AtomicBool,
    warm: Barrier,
    /// Workers that have made their last start.
    done: AtomicUsize,
    main: Thread,
    finished: Mutex<Vec<Finished>>,
}

impl Shared<'_> {
    /// After a start that failed: one that a signal cut short is the last, as each further one would be cut short at once, thousands of
    /// them until the main thread looks.
    fn stop_if_interrupted(&self) {
        if interrupt::received().is_some() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// One start as the worker leaves it; made into a line by the main thread, outside the workers' time.
struct Finished {
    worker: usize,
    order: u64,
    warmup: bool,
    /// Its phases, or what its record says of why it failed, and the exit code of a function that ran to its end.
    result: Result<Phases, (String, Option<i32>)>,
}

/// Runs one batch and hands every sample to `emit`, in the order in which they ended per worker.
///
/// # Errors
/// The engine is lost, or `emit` failed; the samples until then are emitted.
pub(super) fn run_batch(
    rung: &dyn Rung,
    batch: Batch,
    emit: &mut dyn FnMut(StartSample) -> Result<(), DriverError>,
) -> Result<BatchEnd, DriverError> {
    let shared = Shared {
        rung,
        batch,
        left: AtomicU64::new(batch.starts),
        stop: AtomicBool::new(false),
        warm: Barrier::new(batch.workers),
        done: AtomicUsize::new(0),
        main: thread::current(),
        finished: Mutex::new(Vec::with_capacity(4096)),
    };
    let (mut start_ns, mut end_ns, mut starts, mut failed) = (u64::MAX, 0, 0, 0);
    let mut lost = None;
    let mut emitted = Ok(());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..batch.workers)
            .map(|worker| {
                let shared = &shared;
                scope.spawn(move || work(shared, worker))
            })
            .collect();
        while shared.done.load(Ordering::Acquire) < batch.workers {
            thread::park_timeout(DRAIN_INTERVAL);
            if interrupt::received().is_some() {
                shared.stop.store(true, Ordering::Relaxed);
            }
            drain(&shared, &mut emitted, emit);
            rung.tidy();
        }
        for worker in workers {
            match worker.join() {
                Ok(Ok(span)) => {
                    start_ns = start_ns.min(span.start_ns);
                    end_ns = end_ns.max(span.end_ns);
                    starts += span.starts;
                    failed += span.failed;
                }
                Ok(Err(error)) => lost = Some(error),
                Err(_) => lost = Some(DriverError::Failed("a worker panicked".into())),
            }
        }
    });
    drain(&shared, &mut emitted, emit);
    emitted?;
    if let Some(error) = lost {
        return Err(error);
    }
    Ok(BatchEnd {
        batch: batch.number,
        starts,
        failed,
        workers: batch.workers,
        start_ns,
        elapsed_ns: end_ns.saturating_sub(start_ns),
        interrupted: starts < batch.starts,
    })
}

struct Span {
    start_ns: u64,
    end_ns: u64,
    starts: u64,
    failed: u64,
}

fn work(shared: &Shared<'_>, worker: usize) -> Result<Span, DriverError> {
    if shared.batch.requests {
        return requests(shared, worker);
    }
    let warmed = placement::keep_worker(worker).and_then(|()| {
        (0..shared.batch.warmup)
            .take_while(|_| !shared.stop.load(Ordering::Relaxed))
            .try_for_each(|order| one(shared, worker, order, true).map(drop))
    });
    shared.warm.wait();
    let mut span = Span {
        start_ns: now_ns(),
        end_ns: 0,
        starts: 0,
        failed: 0,
    };
    let mut outcome = warmed;
    let mut taken = 0;
    while outcome.is_ok() && !shared.stop.load(Ordering::Relaxed) {
        if taken == 0 {
            taken = take_some(&shared.left, shared.batch.workers);
        }
        if taken == 0 {
            break;
        }
        taken -= 1;
        outcome = one(shared, worker, span.starts, false).map(|ok| span.failed += u64::from(!ok));
        span.starts += 1;
    }
    span.end_ns = now_ns();
    if outcome.is_err() {
        shared.stop.store(true, Ordering::Relaxed);
    }
    shared.done.fetch_add(1, Ordering::Release);
    shared.main.unpark();
    outcome.map(|()| span)
}

/// A batch of requests under way.
struct Requests<'a> {
    shared: &'a Shared<'a>,
    worker: usize,
    asked: u64,
    failed: u64,
    /// When the first measured one was asked.
    start_ns: Option<u64>,
}

impl Requests<'_> {
    fn left(&self) -> u64 {
        let Batch { starts, warmup, .. } = self.shared.batch;
        (warmup + starts).saturating_sub(self.asked)
    }

    fn goes_on(&self) -> bool {
        self.left() > 0 && !self.shared.stop.load(Ordering::Relaxed)
    }

    /// Keeps what came of one.
    fn keep(&mut self, result: Result<Phases, (String, Option<i32>)>) {
        let batch = self.shared.batch;
        let warmup = self.asked < batch.warmup;
        let order = match warmup {
            true => self.asked,
            false => self.asked - batch.warmup,
        };
        if !warmup {
            let start_ns = result.as_ref().map_or_else(|_| now_ns(), |p| p.start_ns);
            self.start_ns.get_or_insert(start_ns);
            self.failed += u64::from(result.is_err());
        }
        self.asked += 1;
        if result.is_err() {
            self.shared.stop_if_interrupted();
        }
        if result.is_err() || !batch.quiet {
            lock(&self.shared.finished).push(Finished {
                worker: self.worker,
                order,
                warmup,
                result,
            });
        }
    }

    /// Asks all of them. An instance that fails at one is followed by another, which answers the rest.
    fn ask(&mut self) -> Result<(), DriverError> {
        while self.goes_on() {
            let (rung, worker, left) = (self.shared.rung, self.worker, self.left());
            let before = self.asked;
            let answered = rung.answer_requests(worker, left, &mut |phases| {
                self.keep(Ok(phases));
                self.goes_on()
            });
            match answered {
                Ok(()) if self.asked == before => {
                    let words = "it was asked nothing".to_owned();
                    return Err(DriverError::Failed(words));
                }
                Ok(()) => {}
                Err(DriverError::StartFailed(words)) => self.keep(Err((words, None))),
                Err(DriverError::Exited { code, words }) => self.keep(Err((words, Some(code)))),
                Err(lost) => return Err(lost),
            }
        }
        Ok(())
    }
}

fn requests(shared: &Shared<'_>, worker: usize) -> Result<Span, DriverError> {
    let mut requests = Requests {
        shared,
        worker,
        asked: 0,
        failed: 0,
        start_ns: None,
    };
    let outcome = placement::keep_worker(worker).and_then(|()| requests.ask());
    if outcome.is_err() {
        shared.stop.store(true, Ordering::Relaxed);
    }
    let (end_ns, asked) = (now_ns(), requests.asked);
    let span = Span {
        start_ns: requests.start_ns.unwrap_or(end_ns),
        end_ns,
        starts: asked.saturating_sub(shared.batch.warmup),
        failed: requests.failed,
    };
    shared.done.fetch_add(1, Ordering::Release);
    shared.main.unpark();
    outcome.map(|()| span)
}

/// Takes a worker's next starts off those that are `left`: fewer and fewer, so that none works on alone at the end, and not each by
/// itself, which would be a part of the shortest ones.
fn take_some(left: &AtomicU64, workers: usize) -> u64 {
    let some = |left: u64| (left / (8 * workers as u64)).clamp(1, MOST_TAKEN).min(left);
    let relaxed = Ordering::Relaxed;
    left.fetch_update(relaxed, relaxed, |left| Some(left - some(left)))
        .map_or(0, some)
}

/// One start; `Ok(false)` if the function failed, an error if no further start makes sense.
fn one(shared: &Shared<'_>, worker: usize, order: u64, warmup: bool) -> Result<bool, DriverError> {
    let (result, outcome) = match shared.rung.cold_start(worker) {
        Ok(phases) => (Ok(phases), Ok(true)),
        Err(DriverError::StartFailed(words)) => (Err((words, None)), Ok(false)),
        Err(DriverError::Exited { code, words }) => (Err((words, Some(code))), Ok(false)),
        Err(lost) => (Err((lost.to_string(), None)), Err(lost)),
    };
    if result.is_err() {
        shared.stop_if_interrupted();
    } else if shared.batch.quiet {
        return outcome;
    }
    lock(&shared.finished).push(Finished {
        worker,
        order,
        warmup,
        result,
    });
    outcome
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn to_sample(finished: Finished, batch: u32) -> StartSample {
    let (phases, error, exit_code) = match finished.result {
        Ok(phases) => (phases, None, None),
        Err((words, exit_code)) => {
            let start_ns = now_ns();
            let none = Phases {
                start_ns,
                ..Phases::default()
            };
            (none, Some(words), exit_code)
        }
    };
    let named = phases.phases.into_iter();
    StartSample {
        batch,
        worker: finished.worker,
        order: finished.order,
        warmup: finished.warmup,
        start_ns: phases.start_ns,
        total_ns: phases.total_ns,
        phases: named.map(|(name, ns)| (name.to_owned(), ns)).collect(),
        error,
        exit_code,
    }
}

fn drain(
    shared: &Shared<'_>,
    emitted: &mut Result<(), DriverError>,
    emit: &mut dyn FnMut(StartSample) -> Result<(), DriverError>,
) {
    let ready = std::mem::take(&mut *lock(&shared.finished));
    for finished in ready {
        if emitted.is_ok() {
            *emitted = emit(to_sample(finished, shared.batch.number));
        }
    }
    if emitted.is_err() {
        shared.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
