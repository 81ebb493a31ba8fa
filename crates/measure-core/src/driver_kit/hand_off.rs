//! A thread that waits to be handed its work: what the pooled rungs have in common, so that they differ in
//! the work alone.
//!
//! The primitive is `std::thread::park`/`unpark`, a futex per thread on Linux: one wake each way and no
//! spinning, as a pool that spun would keep its CPUs busy while it waits.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, JoinHandle, Thread};

use super::placement;
use crate::base::clock::PhaseClock;

/// Phases of handing over; those of the work lie between them.
pub mod phase {
    /// From asked for to running on the waiting thread.
    pub const HAND_OFF: &str = "hand-off";
    /// From done there to known here.
    pub const HAND_BACK: &str = "hand-back";
}

const IDLE: u32 = 0;
const GO: u32 = 1;
const DONE: u32 = 2;
const STOP: u32 = 3;

/// A waiting thread that does jobs `J` and answers `A`, one at a time. Dropping it waits for the end of the job
/// that was handed over last, and ends the thread.
#[derive(Debug)]
pub struct WaitingThread<J, A> {
    desk: Arc<Desk<J, A>>,
    thread: Option<JoinHandle<()>>,
}

/// Where work is handed over and back. Whoever may touch the slip follows from `state`, so its lock is
/// never contended.
#[derive(Debug)]
struct Desk<J, A> {
    state: AtomicU32,
    slip: Mutex<Slip<J, A>>,
}

#[derive(Debug)]
struct Slip<J, A> {
    clock: PhaseClock,
    /// From handed over to taken up.
    job: Option<(J, Thread)>,
    /// From done to taken back.
    answer: Option<A>,
}

impl<J, A> WaitingThread<J, A>
where
    J: Send + 'static,
    A: Send + 'static,
{
    /// A thread with `stack_bytes` of stack, beside worker `worker` ([`placement`]), that does each job by `work`, which laps
    /// the phases of its own on the clock it is given. A panic in `work` ends the process: nobody would hand back.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(
        stack_bytes: usize,
        worker: usize,
        work: impl FnMut(J, &mut PhaseClock) -> A + Send + 'static,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk {
            state: AtomicU32::new(IDLE),
            slip: Mutex::new(Slip {
                clock: PhaseClock::start(),
                job: None,
                answer: None,
            }),
        });
        let theirs = desk.clone();
        let thread = Builder::new().stack_size(stack_bytes).spawn(move || {
            // Where the kernel refuses, it refuses the worker too, who says so.
            let _ = placement::keep_to_processor(worker);
            theirs.serve(work);
        })?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    /// Hands it `job`, while it is idle, and waits for the answer. `clock` has just been started.
    pub fn run(&self, job: J, clock: PhaseClock) -> (PhaseClock, A) {
        self.hand_over(job, clock);
        self.take_back()
    }

    /// Hands it `job`, while it is idle, to be taken back by this thread.
    pub fn hand_over(&self, job: J, clock: PhaseClock) {
        {
            let mut slip = self.desk.slip();
            slip.clock = clock;
            slip.job = Some((job, thread::current()));
        }
        self.set(GO);
    }

    /// Waits for the end of the job that was handed over; its clock and the answer.
    pub fn take_back(&self) -> (PhaseClock, A) {
        self.desk.wait_for(|state| state == DONE);
        let (mut clock, answer) = {
            let mut slip = self.desk.slip();
            (slip.clock, slip.answer.take())
        };
        clock.lap(phase::HAND_BACK);
        self.desk.state.store(IDLE, Ordering::Release);
        let Some(answer) = answer else {
            unreachable!("the state says that there is an answer");
        };
        (clock, answer)
    }
}

impl<J, A> WaitingThread<J, A> {
    /// Whether the job that was handed over is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.desk.state.load(Ordering::Acquire) == DONE
    }

    fn set(&self, state: u32) {
        self.desk.state.store(state, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl<J, A> Desk<J, A> {
    fn slip(&self) -> MutexGuard<'_, Slip<J, A>> {
        self.slip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one of the states that are `wanted`. A wake-up may be spurious.
    fn wait_for(&self, wanted: impl Fn(u32) -> bool) {
        while !wanted(self.state.load(Ordering::Acquire)) {
            thread::park();
        }
    }

    /// The life of the waiting thread.
    fn serve(&self, mut work: impl FnMut(J, &mut PhaseClock) -> A) {
        let bomb = AbortOnUnwind;
        loop {
            self.wait_for(|state| state == GO || state == STOP);
            let (mut clock, job) = {
                let mut slip = self.slip();
                (slip.clock, slip.job.take())
            };
            // A stop finds none, unless it came before the last one was taken up.
            let Some((job, caller)) = job else { break };
            clock.lap(phase::HAND_OFF);
            let answer = work(job, &mut clock);
            {
                let mut slip = self.slip();
                slip.clock = clock;
                slip.answer = Some(answer);
            }
            // A stop that came meanwhile stays.
            let done = self
                .state
                .compare_exchange(GO, DONE, Ordering::Release, Ordering::Relaxed);
            if done.is_ok() {
                caller.unpark();
            }
        }
        std::mem::forget(bomb);
    }
}

impl<J, A> Drop for WaitingThread<J, A> {
    fn drop(&mut self) {
        self.set(STOP);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ends the process if it is dropped, which only unwinding does.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    const STACK_BYTES: usize = 1 << 16;

    fn doubling() -> WaitingThread<u64, u64> {
        let work = |job, clock: &mut PhaseClock| {
            clock.lap("run");
            2 * job
        };
        WaitingThread::start(STACK_BYTES, 0, work).expect("a thread")
    }

    #[test]
    fn each_job_gets_its_answer_and_phases_that_sum() {
        let thread = doubling();
        for job in 0..1000 {
            let (clock, answer) = thread.run(job, PhaseClock::start());
            assert_eq!(answer, 2 * job);
            let done = clock.finish();
            let names: Vec<_> = done.phases.iter().map(|p| p.0).collect();
            assert_eq!(names, [phase::HAND_OFF, "run", phase::HAND_BACK]);
            assert_eq!(done.phases.iter().map(|p| p.1).sum::<u64>(), done.total_ns);
        }
    }

    #[test]
    fn jobs_run_on_one_thread_that_is_not_the_callers() {
        let thread = WaitingThread::start(STACK_BYTES, 0, |(), _: &mut PhaseClock| {
            thread::current().id()
        });
        let thread = thread.expect("a thread");
        let first = thread.run((), PhaseClock::start()).1;
        let second = thread.run((), PhaseClock::start()).1;
        assert_eq!(first, second);
        assert_ne!(first, thread::current().id());
    }

    #[test]
    fn dropping_it_waits_for_the_job_under_way() {
        let ended = Arc::new(AtomicU32::new(0));
        let theirs = ended.clone();
        let work = move |(), _: &mut PhaseClock| {
            thread::sleep(Duration::from_millis(50));
            theirs.store(1, Ordering::Relaxed);
        };
        let thread = WaitingThread::start(STACK_BYTES, 0, work).expect("a thread");
        thread.hand_over((), PhaseClock::start());
        assert!(!thread.is_done());
        drop(thread);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        // One that has nothing to do ends too.
        drop(doubling());
    }

    #[test]
    fn a_job_that_is_done_can_be_told_without_waiting() {
        let thread = doubling();
        assert!(!thread.is_done());
        thread.hand_over(4, PhaseClock::start());
        while !thread.is_done() {
            thread::yield_now();
        }
        assert_eq!(thread.take_back().1, 8);
        assert!(!thread.is_done());
    }

    #[test]
    fn a_job_that_panics_ends_the_process_instead_of_leaving_its_caller_waiting() {
        const VARIABLE: &str = "HAND_OFF_TEST_PANICS";
        if std::env::var_os(VARIABLE).is_some() {
            let work = |(), _: &mut PhaseClock| panic!("as it should");
            let thread: WaitingThread<(), ()> =
                WaitingThread::start(STACK_BYTES, 0, work).expect("a thread");
            thread.run((), PhaseClock::start());
            return;
        }
        let name = thread::current().name().map(str::to_owned);
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                &name.expect("named after the test"),
                "--nocapture",
            ])
            .env(VARIABLE, "1")
            .output()
            .expect("run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("as it should"), "{said}");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(libc::SIGABRT));
    }
}
