use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::unistd::{pipe, write};

use super::*;
use crate::base::clock::{PhaseClock, Phases};
use crate::contract::release_page::ReleasePage;
use crate::contract::{Description, Probe, Scope};
use crate::driver_kit::Plan;

/// Takes `start` of time for each start, and answers the nth with what `answer` says of n.
struct Scripted<F> {
    calls: AtomicUsize,
    start: Duration,
    answer: F,
}

fn scripted<F>(start: Duration, answer: F) -> Scripted<F> {
    Scripted {
        calls: AtomicUsize::new(0),
        start,
        answer,
    }
}

impl<F: Fn(usize) -> Result<(), DriverError> + Send + Sync> Rung for Scripted<F> {
    fn describe(&self) -> Description {
        Description::default()
    }

    fn probe(&self) -> Probe {
        Probe::Ready
    }

    fn prepare(&mut self, _plan: &Plan) -> Result<Scope, DriverError> {
        Ok(Scope::default())
    }

    fn cold_start(&self, _worker: usize) -> Result<Phases, DriverError> {
        let mut clock = PhaseClock::start();
        thread::sleep(self.start);
        (self.answer)(self.calls.fetch_add(1, Ordering::Relaxed))?;
        clock.lap("run");
        Ok(clock.finish())
    }

    fn park(&mut self, _count: usize) -> Result<(), DriverError> {
        Ok(())
    }

    fn release(&mut self) -> Result<(), DriverError> {
        Ok(())
    }
}

/// Wakes whoever waits when an arrival is due, and everybody at the end.
struct PlainGenerator {
    output: Option<OwnedFd>,
    page: Arc<ReleasePage>,
    offsets_ns: Vec<u64>,
    workers: usize,
    begins: bool,
    thread: Option<JoinHandle<()>>,
    told: Vec<Arrivals>,
}

impl Caller for PlainGenerator {
    fn armed(&mut self) -> Result<Option<u64>, DriverError> {
        if !self.begins {
            return Ok(None);
        }
        let begin_ns = now_ns();
        self.page.begin(begin_ns);
        let (page, offsets_ns) = (self.page.clone(), self.offsets_ns.clone());
        let (output, workers) = (self.output.take().expect("begun once"), self.workers);
        self.thread = Some(thread::spawn(move || {
            for offset_ns in offsets_ns {
                let early_ns = (begin_ns + offset_ns).saturating_sub(now_ns());
                thread::sleep(Duration::from_nanos(early_ns));
                if page.claim_waiting(1) == 1 {
                    write(&output, &[0]).expect("room");
                }
            }
            write(&output, &vec![0; workers]).expect("room");
        }));
        Ok(Some(begin_ns))
    }

    fn arrivals(&mut self, arrivals: Arrivals) -> Result<(), DriverError> {
        self.told.push(arrivals);
        Ok(())
    }
}

fn run(
    rung: &dyn Rung,
    workers: usize,
    open: &OpenLoop,
    begins: bool,
) -> (Result<Option<BatchEnd>, DriverError>, Vec<Arrivals>) {
    let (input, output) = pipe().expect("a pipe");
    let (page, memory) = ReleasePage::make().expect("a page");
    let releases = Releases::take(input.into_raw_fd(), memory.into_raw_fd()).expect("both");
    let mut caller = PlainGenerator {
        output: Some(output),
        page: Arc::new(page),
        offsets_ns: open.offsets_ns(),
        workers,
        begins,
        thread: None,
        told: Vec::new(),
    };
    let what = Loop {
        rung,
        batch: 7,
        workers,
        open,
        releases: &releases,
    };
    let end = run_open_loop(&what, &mut caller);
    if let Some(thread) = caller.thread {
        thread.join().expect("it lets all go");
    }
    (end, caller.told)
}

const MS: u64 = 1_000_000;

#[test]
fn every_arrival_is_served_once_and_none_before_it_is_due() {
    let offsets: Vec<u64> = (0..200).map(|i| i * MS / 10).collect();
    let rung = scripted(Duration::ZERO, |_| Ok(()));
    let (end, told) = run(&rung, 3, &OpenLoop::at(&offsets, 60_000 * MS), true);
    let end = end.expect("a loop").expect("begun");
    assert_eq!((end.batch, end.starts, end.failed), (7, 200, 0));
    assert!(
        !end.interrupted && end.elapsed_ns >= 199 * MS / 10,
        "{end:?}"
    );
    assert_eq!(rung.calls.load(Ordering::Relaxed), 200);
    assert_eq!(told.len(), 1);
    assert!(told[0].waited_ns.iter().all(Option::is_some), "{told:?}");
}

#[test]
fn an_arrival_waits_from_when_it_was_due_not_from_when_a_worker_came_to_it() {
    let rung = scripted(Duration::from_millis(5), |_| Ok(()));
    let (_, told) = run(&rung, 1, &OpenLoop::at(&[0; 10], 60_000 * MS), true);
    let waited: Vec<u64> = told[0]
        .waited_ns
        .iter()
        .map(|w| w.expect("served"))
        .collect();
    for (behind, waited) in (0..).zip(waited) {
        assert!(waited >= behind * 5 * MS, "{told:?}");
    }
}

#[test]
fn what_has_not_begun_in_time_is_refused() {
    let rung = scripted(Duration::from_millis(300), |_| Ok(()));
    let (end, told) = run(&rung, 1, &OpenLoop::at(&[0; 20], 0), true);
    let end = end.expect("a loop").expect("begun");
    assert!(end.starts < 20, "{end:?}");
    let begun = told[0].waited_ns.iter().flatten().count() as u64;
    assert_eq!(begun, end.starts);
}

#[test]
fn failed_starts_are_told_by_number_with_the_first_reason() {
    let rung = scripted(Duration::ZERO, |n| match n {
        4 => Err(DriverError::StartFailed("killed".into())),
        _ => Ok(()),
    });
    let (end, told) = run(&rung, 1, &OpenLoop::at(&[0; 9], 60_000 * MS), true);
    assert_eq!(end.expect("a loop").expect("begun").failed, 1);
    assert_eq!(told[0].failed, [4]);
    assert_eq!(told[0].error.as_deref(), Some("killed"));
}

#[test]
fn a_lost_engine_ends_the_loop_and_what_was_made_is_told() {
    let rung = scripted(Duration::ZERO, |n| match n {
        0..5 => Ok(()),
        _ => Err(DriverError::EngineLost("gone".into())),
    });
    let (end, told) = run(&rung, 1, &OpenLoop::at(&[0; 50], 60_000 * MS), true);
    assert!(matches!(end, Err(DriverError::EngineLost(why)) if why == "gone"));
    assert_eq!(told[0].waited_ns.iter().flatten().count(), 6);
}

#[test]
fn long_loops_are_told_in_parts() {
    let rung = scripted(Duration::ZERO, |_| Ok(()));
    let arrivals = 2 * CHUNK + 1;
    let (end, told) = run(
        &rung,
        2,
        &OpenLoop::at(&vec![0; arrivals], 60_000 * MS),
        true,
    );
    assert_eq!(end.expect("a loop").expect("begun").starts, arrivals as u64);
    let parts: Vec<_> = told.iter().map(|a| (a.first, a.took_ns.len())).collect();
    assert_eq!(parts, [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 1)]);
}

#[test]
fn a_loop_that_is_called_off_begins_nothing() {
    let rung = scripted(Duration::ZERO, |_| Ok(()));
    let (end, told) = run(&rung, 4, &OpenLoop::at(&[0; 3], 0), false);
    assert_eq!(end.expect("no failure"), None);
    assert!(told.is_empty() && rung.calls.load(Ordering::Relaxed) == 0);
    let (end, _) = run(&rung, 1, &OpenLoop::default(), true);
    assert!(matches!(end, Err(DriverError::Usage(why)) if why.contains("not 0")));
}

#[test]
fn workers_that_were_waiting_serve_what_comes_due_long_after() {
    // Each arrival finds all four waiting, and one of them is woken for it.
    let offsets: Vec<u64> = (1..=20).map(|i| i * 5 * MS).collect();
    let rung = scripted(Duration::ZERO, |_| Ok(()));
    let (end, told) = run(&rung, 4, &OpenLoop::at(&offsets, 60_000 * MS), true);
    assert_eq!(end.expect("a loop").expect("begun").starts, 20);
    assert!(told[0].waited_ns.iter().all(Option::is_some), "{told:?}");
}

#[test]
fn only_a_pipe_and_a_page_are_taken_for_such() {
    let page = || ReleasePage::make().expect("a page").1;
    let refused = |pipe, page| {
        let refused = Releases::take(pipe, page);
        refused.expect_err("neither").to_string()
    };
    assert!(refused(1, 9).contains("standard stream"));
    assert!(refused(100_000, 9).contains("not open"));
    let file = std::fs::File::open("/dev/null").expect("a device");
    assert!(refused(file.as_raw_fd(), page().into_raw_fd()).contains("no pipe"));
    let (input, _output) = pipe().expect("a pipe");
    assert!(refused(input.into_raw_fd(), file.as_raw_fd()).contains("no memory"));
    let (input, _output) = pipe().expect("a pipe");
    let short = tempfile::tempfile().expect("a file");
    assert!(refused(input.into_raw_fd(), short.into_raw_fd()).contains("no page"));
}
