//! A batch of starts: closed loop, a fixed number of workers, each beginning its next start when its
//! last one is torn down.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::{DriverError, Rung};
use crate::base::clock::{Phases, now_ns};
use crate::base::interrupt;
use crate::contract::protocol::{BatchEnd, StartSample};

/// How often finished samples are written out while a batch runs: rare enough to leave short starts
/// alone, often enough that a killed run loses little.
const DRAIN_INTERVAL: Duration = Duration::from_millis(200);

/// Size of one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    pub number: u32,
    pub starts: u64,
    pub workers: usize,
    pub warmup: u64,
    /// Keep no sample of a start that goes well.
    pub quiet: bool,
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
    let warmed = (0..shared.batch.warmup)
        .take_while(|_| !shared.stop.load(Ordering::Relaxed))
        .try_for_each(|order| one(shared, worker, order, true).map(drop));
    shared.warm.wait();
    let mut span = Span {
        start_ns: now_ns(),
        end_ns: 0,
        starts: 0,
        failed: 0,
    };
    let mut outcome = warmed;
    while outcome.is_ok() && !shared.stop.load(Ordering::Relaxed) && take(&shared.left) {
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

fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
}

/// One start; `Ok(false)` if the function failed, an error if no further start makes sense.
fn one(shared: &Shared<'_>, worker: usize, order: u64, warmup: bool) -> Result<bool, DriverError> {
    let (result, outcome) = match shared.rung.cold_start(worker) {
        Ok(phases) => (Ok(phases), Ok(true)),
        Err(DriverError::StartFailed(words)) => (Err((words, None)), Ok(false)),
        Err(DriverError::Exited { code, words }) => (Err((words, Some(code))), Ok(false)),
        Err(lost) => (Err((lost.to_string(), None)), Err(lost)),
    };
    if shared.batch.quiet && result.is_ok() {
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
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread::ThreadId;

    use super::super::Plan;
    use super::*;
    use crate::base::clock::PhaseClock;
    use crate::contract::{Description, Probe, Scope};

    /// Answers the nth start with what `answer` says of n; no runtime, so that the loop alone is tested.
    struct Scripted<F> {
        calls: AtomicUsize,
        answer: F,
        tidied_by: Mutex<Vec<ThreadId>>,
    }

    impl<F> Scripted<F> {
        fn new(answer: F) -> Self {
            Self {
                calls: AtomicUsize::new(0),
                answer,
                tidied_by: Mutex::new(Vec::new()),
            }
        }
    }

    impl<F: Fn(usize) -> Result<(), DriverError> + Send + Sync> Rung for Scripted<F> {
        fn describe(&self) -> Description {
            Description {
                rung: "scripted".into(),
                max_workers: 8,
                ..Description::default()
            }
        }

        fn probe(&self) -> Probe {
            Probe::Ready
        }

        fn prepare(&mut self, _plan: &Plan) -> Result<Scope, DriverError> {
            Ok(Scope::default())
        }

        fn cold_start(&self, _worker: usize) -> Result<Phases, DriverError> {
            let mut clock = PhaseClock::start();
            (self.answer)(self.calls.fetch_add(1, Ordering::Relaxed))?;
            clock.lap("run");
            Ok(clock.finish())
        }

        fn tidy(&self) {
            lock(&self.tidied_by).push(thread::current().id());
        }

        fn park(&mut self, _count: usize) -> Result<(), DriverError> {
            Ok(())
        }

        fn release(&mut self) -> Result<(), DriverError> {
            Ok(())
        }
    }

    fn collect(rung: &dyn Rung, batch: Batch) -> (Result<BatchEnd, DriverError>, Vec<StartSample>) {
        let mut samples = Vec::new();
        let end = run_batch(rung, batch, &mut |sample| {
            samples.push(sample);
            Ok(())
        });
        (end, samples)
    }

    const BATCH: Batch = Batch {
        number: 3,
        starts: 101,
        workers: 4,
        warmup: 2,
        quiet: false,
    };

    #[test]
    fn every_start_is_made_once_whatever_the_number_of_workers() {
        let (end, samples) = collect(&Scripted::new(|_| Ok(())), BATCH);
        let end = end.expect("a batch");
        assert_eq!(
            (end.batch, end.starts, end.failed, end.interrupted),
            (3, 101, 0, false)
        );
        assert_eq!(samples.iter().filter(|s| s.warmup).count(), 8);
        let measured: Vec<_> = samples.iter().filter(|s| !s.warmup).collect();
        assert_eq!(measured.len(), 101);
        for sample in measured {
            assert!(sample.start_ns >= end.start_ns);
            assert!(sample.start_ns + sample.total_ns <= end.start_ns + end.elapsed_ns);
            assert_eq!(
                sample.phases.iter().map(|p| p.1).sum::<u64>(),
                sample.total_ns
            );
        }
    }

    #[test]
    fn the_thread_that_runs_a_batch_tidies_up() {
        let rung = Scripted::new(|_| Ok(()));
        collect(&rung, BATCH).0.expect("a batch");
        let by = lock(&rung.tidied_by);
        assert!(!by.is_empty() && by.iter().all(|&id| id == thread::current().id()));
    }

    #[test]
    fn a_failed_start_is_counted_and_the_batch_goes_on() {
        let rung = Scripted::new(|n| match n % 10 {
            7 if n < 50 => Err(DriverError::StartFailed("killed".into())),
            7 => Err(DriverError::Exited {
                code: 3,
                words: "exit code 3".into(),
            }),
            _ => Ok(()),
        });
        let (end, samples) = collect(
            &rung,
            Batch {
                warmup: 0,
                starts: 100,
                ..BATCH
            },
        );
        let end = end.expect("a batch");
        assert_eq!((end.starts, end.failed), (100, 10));
        let with = |error: &str, code: Option<i32>| {
            let same = |s: &&StartSample| s.error.as_deref() == Some(error) && s.exit_code == code;
            samples.iter().filter(same).count()
        };
        assert_eq!(with("killed", None), 5);
        assert_eq!(with("exit code 3", Some(3)), 5);
    }

    #[test]
    fn a_lost_engine_ends_the_batch_and_keeps_what_was_made() {
        let rung = Scripted::new(|n| match n {
            0..20 => Ok(()),
            _ => Err(DriverError::EngineLost("gone".into())),
        });
        let (end, samples) = collect(&rung, Batch { warmup: 0, ..BATCH });
        assert!(matches!(end, Err(DriverError::EngineLost(why)) if why == "gone"));
        assert_eq!(samples.iter().filter(|s| s.error.is_none()).count(), 20);
        assert!(samples.len() <= 20 + BATCH.workers);
    }

    #[test]
    fn an_output_that_fails_ends_the_batch() {
        let mut lines = 0;
        let rung = Scripted::new(|_| {
            thread::sleep(Duration::from_millis(5));
            Ok(())
        });
        let end = run_batch(
            &rung,
            Batch {
                starts: 100_000,
                ..BATCH
            },
            &mut |_| {
                lines += 1;
                Err(DriverError::Failed("disk full".into()))
            },
        );
        assert!(matches!(end, Err(DriverError::Failed(why)) if why == "disk full"));
        assert_eq!(lines, 1);
    }
}
