use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::super::Plan;
use super::*;
use crate::base::clock::PhaseClock;
use crate::contract::{Description, Probe, Scope};

/// Answers the nth start with what `answer` says of n; no runtime, so that the loop alone is tested.
struct Scripted<F> {
    calls: AtomicUsize,
    answer: F,
    tidied_by: Arc<Mutex<Vec<ThreadId>>>,
}

impl<F> Scripted<F> {
    fn new(answer: F) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            answer,
            tidied_by: Arc::default(),
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

    /// An instance fails where the script says so.
    fn answer_requests(
        &self,
        worker: usize,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        for _ in 0..count {
            if !each(self.cold_start(worker)?) {
                break;
            }
        }
        Ok(())
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
    requests: false,
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
    let tidied_by = Arc::<Mutex<Vec<ThreadId>>>::default();
    let seen = Arc::clone(&tidied_by);
    // A batch may be over before that thread has looked at it once; this one is not.
    let rung = Scripted {
        tidied_by,
        ..Scripted::new(move |_| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while lock(&seen).is_empty() && Instant::now() < deadline {
                thread::yield_now();
            }
            Ok(())
        })
    };
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
fn requests_that_fail_are_counted_and_another_instance_answers_the_rest() {
    let rung = Scripted::new(|n| match n % 10 {
        3 => Err(DriverError::StartFailed("it closed the connection".into())),
        _ => Ok(()),
    });
    let batch = Batch {
        starts: 40,
        workers: 1,
        warmup: 5,
        requests: true,
        ..BATCH
    };
    let (end, samples) = collect(&rung, batch);
    let end = end.expect("a batch");
    assert_eq!((end.starts, end.failed, end.interrupted), (40, 4, false));
    let measured: Vec<u64> = samples
        .iter()
        .filter(|s| !s.warmup)
        .map(|s| s.order)
        .collect();
    assert_eq!(measured, (0..40).collect::<Vec<_>>());
    assert_eq!(samples.len(), 45);
    let none = Scripted::new(|_| Err(DriverError::EngineLost("gone".into())));
    assert!(collect(&none, batch).0.is_err());
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

#[test]
fn starts_are_taken_in_smaller_and_smaller_numbers_until_none_are_left() {
    for (starts, workers) in [
        (0, 1),
        (1, 4),
        (7, 2),
        (100, 3),
        (10_000, 2),
        (1_000_000, 64),
    ] {
        let left = AtomicU64::new(starts);
        let mut taken = vec![take_some(&left, workers)];
        while taken[taken.len() - 1] > 0 {
            taken.push(take_some(&left, workers));
        }
        assert_eq!(taken.iter().sum::<u64>(), starts);
        assert!(taken.is_sorted_by(|a, b| a >= b), "{taken:?}");
        assert!(taken[0] <= MOST_TAKEN);
        // What the last worker has before it at most, when the others find nothing.
        let last = &taken[taken.len().saturating_sub(workers + 1)..];
        assert!(last.iter().all(|some| *some <= 1), "{last:?}");
    }
}
