//! The generator: a thread of this process, and so of none that is measured, that lets arrivals go when they are due.
//!
//! It sleeps until the next arrival is due, then lets go all that are, by a byte each into the driver's pipe, in one system call; it neither
//! spins nor waits for anybody. As root it has a priority before all that is measured, so that it is on time on a busy host; where there are
//! more than two CPUs it has one of its own.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use measure_core::base::clock::now_ns;
use measure_core::base::interrupt;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_timerslack;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use nix::unistd::{Pid, write};
use report::load::hdr::{HdrError, Latencies};

use crate::error::{BenchError, SessionError, StepError};

/// How long it sleeps before it looks whether it is to stop.
const SLICE_NS: u64 = 100_000_000;
/// The share of the limit that the generator may be late, at p99, for a point to tell something of a rung.
const LATE_SHARE: f64 = 0.1;
/// The share of a CPU from which the generator had no time to spare.
const BUSY_SHARE: f64 = 0.9;
/// Bytes of one call: as many as arrive at once where it is very late.
const CALL_BYTES: usize = 4096;

/// What to let go, and when.
#[derive(Debug)]
pub struct Arrivals {
    /// When each arrival is due, from the loop's beginning, and through which pipe it goes; in rising order.
    pub due: Vec<(u64, usize)>,
    /// How many workers wait at each pipe: each gets a byte more at the end, by which it ends.
    pub workers: usize,
    /// The CPU that is the generator's alone, where there is one.
    pub own_cpu: Option<usize>,
}

/// How it went.
#[derive(Debug)]
pub struct Generated {
    /// From due to let go.
    pub late: Latencies,
    /// CPU time without handing over.
    pub cpu_ns: u64,
    /// What handing over took.
    pub hand_off_ns: u64,
    /// Whether it had a priority before all that is measured.
    pub is_real_time: bool,
    /// Arrivals let go a second, from the first due to the last let go.
    let_go_per_s: f64,
    /// The pipe was full, or its reader gone.
    broken: Option<Errno>,
}

/// A generator at work. Dropping it ends it.
#[derive(Debug)]
pub struct Generator {
    /// Until it has begun.
    begin: Option<mpsc::Sender<u64>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Generated, HdrError>>>,
}

impl Generator {
    /// A generator that is about to let `arrivals` go through `pipes`: it has what precedence it can have, and waits for
    /// [`Generator::begin`].
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(pipes: Vec<OwnedFd>, arrivals: Arrivals) -> Result<Self, BenchError> {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = stop.clone();
        let (begin, beginning) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("generator".into())
            .spawn(move || {
                let is_real_time = take_precedence(arrivals.own_cpu);
                let _ = ready.send(());
                // Without a beginning there is nothing to let go.
                let begin_ns = beginning.recv().ok();
                generate(&pipes, &arrivals, begin_ns, is_real_time, &theirs)
            })
            .map_err(|e| BenchError::Failed(format!("no thread for the generator: {e}")))?;
        // One that broke says so at its end.
        let _ = is_ready.recv();
        Ok(Self {
            begin: Some(begin),
            stop,
            thread: Some(thread),
        })
    }

    /// Begins the loop at `begin_ns`, `CLOCK_MONOTONIC`.
    pub fn begin(&mut self, begin_ns: u64) {
        if let Some(begin) = self.begin.take() {
            let _ = begin.send(begin_ns);
        }
    }

    /// Waits until all have been let go.
    ///
    /// # Errors
    /// It broke.
    pub fn finish(mut self) -> Result<Generated, StepError> {
        self.begin = None;
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(Ok(generated))) => Ok(generated),
            Some(Ok(Err(error))) => Err(BenchError::Failed(error.to_string()).into()),
            Some(Err(_)) | None => {
                Err(SessionError::Unexpected("the generator broke".to_owned()).into())
            }
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.begin = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Generated {
    /// Why the point tells nothing of a rung that is to hold `limit_ns`, if it does not: arrivals of `offered_per_s` over `duration_ns`.
    #[must_use]
    pub fn unfit(&self, limit_ns: u64, offered_per_s: f64, duration_ns: u64) -> Option<String> {
        let got_to = format!(
            "it got to {} of {} arrivals a second",
            report::count(self.let_go_per_s),
            report::count(offered_per_s)
        );
        if let Some(errno) = self.broken {
            return Some(format!(
                "the generator could not let arrivals go ({errno}); {got_to}"
            ));
        }
        let (late_ns, most_ns) = (self.late.quantile_ns(0.99), limit_ns as f64 * LATE_SHARE);
        if late_ns as f64 > most_ns {
            return Some(format!(
                "the generator was late: p99 {}, at most {} is a tenth of the limit; {got_to}",
                report::duration_ns(late_ns as f64),
                report::duration_ns(most_ns)
            ));
        }
        let busy = (self.cpu_ns + self.hand_off_ns) as f64 / duration_ns.max(1) as f64;
        (busy > BUSY_SHARE).then(|| {
            format!(
                "the generator was short of CPU time, it used {} of a CPU; {got_to}",
                report::ratio(busy)
            )
        })
    }
}

fn generate(
    pipes: &[OwnedFd],
    arrivals: &Arrivals,
    begin_ns: Option<u64>,
    is_real_time: bool,
    stop: &AtomicBool,
) -> Result<Generated, HdrError> {
    let due = match begin_ns {
        Some(_) => arrivals.due.as_slice(),
        None => &[],
    };
    let begin_ns = begin_ns.unwrap_or(0);
    let mut late = Latencies::new()?;
    let (mut next, mut hand_off_ns, mut broken) = (0, 0, None);
    let mut going = vec![0; pipes.len()];
    let cpu_before_ns = thread_cpu_ns();
    let mut last_ns = begin_ns;
    while next < due.len() && broken.is_none() {
        if !sleep_until(begin_ns.saturating_add(due[next].0), stop) {
            break;
        }
        let now = now_ns();
        let since_ns = now.saturating_sub(begin_ns);
        let first = next;
        while next < due.len() && due[next].0 <= since_ns && next - first < CALL_BYTES {
            let (offset_ns, pipe) = due[next];
            late.record_ns(since_ns - offset_ns);
            going[pipe] += 1;
            next += 1;
        }
        let mut lanes = pipes.iter().zip(&mut going);
        broken = lanes.find_map(|(pipe, count)| let_go(pipe, std::mem::take(count)).err());
        last_ns = now_ns();
        hand_off_ns += last_ns - now;
    }
    let cpu_ns = thread_cpu_ns().saturating_sub(cpu_before_ns);
    // Whoever is still waiting is to end.
    for pipe in pipes {
        let _ = let_go(pipe, arrivals.workers);
    }
    let took_ns = last_ns.saturating_sub(begin_ns).max(1);
    Ok(Generated {
        late,
        cpu_ns: cpu_ns.saturating_sub(hand_off_ns),
        hand_off_ns,
        is_real_time,
        let_go_per_s: next as f64 * 1e9 / took_ns as f64,
        broken,
    })
}

/// Lets `count` arrivals go.
fn let_go(pipe: &OwnedFd, count: usize) -> Result<(), Errno> {
    let bytes = [0; CALL_BYTES];
    let mut left = count;
    while left > 0 {
        match write(pipe, &bytes[..left.min(CALL_BYTES)]) {
            Ok(written) => left -= written,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Sleeps until `at_ns` by the monotonic clock; `false` if it is to stop.
fn sleep_until(at_ns: u64, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) || interrupt::received().is_some() {
            return false;
        }
        let now = now_ns();
        if now >= at_ns {
            return true;
        }
        let until_ns = at_ns.min(now + SLICE_NS);
        let until = std::time::Duration::from_nanos(until_ns).into();
        // A signal ends it early, which the loop sees.
        let _ = clock_nanosleep(
            ClockId::CLOCK_MONOTONIC,
            ClockNanosleepFlags::TIMER_ABSTIME,
            &until,
        );
    }
}

/// CPU time of this thread.
fn thread_cpu_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |t| {
        t.tv_sec().unsigned_abs() * 1_000_000_000 + t.tv_nsec().unsigned_abs()
    })
}

/// Gives this thread a CPU of its own, if there is one, and a priority before all that have none; `false` without the right to that.
fn take_precedence(own_cpu: Option<usize>) -> bool {
    if let Some(cpu) = own_cpu {
        let mut set = CpuSet::new();
        if set.set(cpu).is_ok() {
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
    }
    // Without a priority the kernel may wake it up to 50 us late.
    let _ = set_timerslack(1);
    let parameter = libc::sched_param { sched_priority: 1 };
    // SAFETY: of this thread; the parameter lives for the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) == 0 }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;

    use super::*;

    const MS: u64 = 1_000_000;

    fn arrivals(offsets_ns: Vec<u64>) -> Arrivals {
        Arrivals {
            due: offsets_ns.into_iter().map(|at| (at, 0)).collect(),
            workers: 3,
            own_cpu: None,
        }
    }

    #[test]
    fn every_arrival_is_let_go_once_and_none_before_it_is_due() {
        let (input, output) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let due = arrivals((0..50).map(|i| i * MS).collect());
        let mut generator = Generator::start(vec![output], due).expect("a thread");
        let begin_ns = now_ns();
        generator.begin(begin_ns);
        let mut input = File::from(input);
        for i in 0..50 {
            input.read_exact(&mut [0]).expect("a byte");
            assert!(now_ns() >= begin_ns + i * MS, "arrival {i} came early");
        }
        let generated = generator.finish().expect("an end");
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).expect("the end");
        assert_eq!(rest.len(), 3, "one for each worker");
        assert_eq!(generated.late.count(), 50);
        assert!(generated.broken.is_none() && generated.hand_off_ns > 0);
    }

    #[test]
    fn each_pipe_gets_its_own() {
        let (first, second) = (pipe2(OFlag::O_CLOEXEC), pipe2(OFlag::O_CLOEXEC));
        let (first, second) = (first.expect("a pipe"), second.expect("a pipe"));
        let due = Arrivals {
            due: vec![(0, 1), (0, 0), (MS, 1), (2 * MS, 1)],
            ..arrivals(Vec::new())
        };
        let mut generator = Generator::start(vec![first.1, second.1], due).expect("a thread");
        generator.begin(now_ns());
        assert_eq!(generator.finish().expect("an end").late.count(), 4);
        let held = [first.0, second.0].map(|input| {
            let mut bytes = Vec::new();
            File::from(input).read_to_end(&mut bytes).expect("the end");
            bytes.len()
        });
        assert_eq!(held, [1 + 3, 3 + 3]);
    }

    #[test]
    fn dropping_it_lets_the_workers_end_and_nothing_else() {
        let (input, output) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let generator = Generator::start(vec![output], arrivals(vec![3600 * 1000 * MS]));
        let mut generator = generator.expect("a thread");
        generator.begin(now_ns());
        drop(generator);
        let mut rest = Vec::new();
        File::from(input).read_to_end(&mut rest).expect("the end");
        assert_eq!(rest.len(), 3);
    }

    fn generated(late_ns: u64, cpu_ns: u64) -> Generated {
        let mut late = Latencies::new().expect("bounds");
        late.record_ns(late_ns);
        Generated {
            late,
            cpu_ns,
            hand_off_ns: 0,
            is_real_time: true,
            let_go_per_s: 400.0,
            broken: None,
        }
    }

    #[test]
    fn a_generator_that_is_late_or_busy_says_how_far_it_got() {
        let unfit = |g: Generated| g.unfit(MS, 500.0, 1000 * MS);
        assert_eq!(unfit(generated(50_000, MS)), None);
        let late = unfit(generated(200_000, MS)).expect("late");
        assert!(
            late.contains("was late") && late.contains("400 of 500"),
            "{late}"
        );
        let busy = unfit(generated(0, 950 * MS)).expect("busy");
        assert!(busy.contains("short of CPU time"), "{busy}");
        let broken = unfit(Generated {
            broken: Some(Errno::EAGAIN),
            ..generated(0, 0)
        });
        assert!(broken.expect("broken").contains("EAGAIN"));
    }
}
