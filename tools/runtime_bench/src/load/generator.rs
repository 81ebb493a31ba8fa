//! The generator: a thread of this process, and so of none that is measured, that wakes workers when arrivals are due.
//!
//! It sleeps until the next arrival is due, then sends a byte through the driver's pipe for each that is, as far as workers wait for one; it waits
//! for nobody, and spins only where falling asleep would take longer. As root it has a priority before all that is measured, so that it is on time on a busy host; where there are
//! more than two CPUs it has one of its own. Where it has none it rests while no worker waits: those at work take what is due by the clock, and
//! the CPU is theirs. It is told of one that waits by the page that it shares with the driver ([`measure_core::contract::release_page`]).

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use measure_core::base::clock::now_ns;
use measure_core::base::interrupt;
use measure_core::contract::release_page::ReleasePage;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_timerslack;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use nix::unistd::{Pid, write};
use report::load::hdr::{HdrError, Latencies};

use crate::error::{BenchError, SessionError, StepError};

/// How long it sleeps before it looks whether it is to stop.
const SLICE_NS: u64 = 100_000_000;
/// For so long it spins instead of sleeping: a timer and two switches cost a virtual CPU more.
const SPIN_NS: u64 = 10_000;
/// The share of the limit that the generator may be late, for a point to tell something of a rung ...
const LATE_SHARE: f64 = 0.1;
/// ... with all but this share of the arrivals: that is what p99 leaves out.
const LATE_ARRIVALS: f64 = 0.01;
/// The share of a CPU from which the generator had no time to spare.
const BUSY_SHARE: f64 = 0.9;
/// Arrivals of one look at the clock, and bytes of one call: as many as come due at once where it is very late.
const AT_ONCE: usize = 4096;

/// The way to a driver's workers.
#[derive(Debug)]
pub struct Door {
    /// A byte wakes one.
    pub pipe: OwnedFd,
    /// Who waits, and what was taken.
    pub page: Arc<ReleasePage>,
}

/// What to let go, and when.
#[derive(Debug)]
pub struct Arrivals {
    /// When each arrival is due, from the loop's beginning, and through which door it goes; in rising order.
    pub due: Vec<(u64, usize)>,
    /// How many workers there are at each door: each gets a byte more at the end, by which it ends.
    pub workers: usize,
    /// The CPU that is the generator's alone, where there is one.
    pub own_cpu: Option<usize>,
}

/// How it went.
#[derive(Debug)]
pub struct Generated {
    /// From due to let go, of those that came due while a worker waited for one.
    pub late: Latencies,
    /// CPU time without handing over.
    pub cpu_ns: u64,
    /// What handing over took.
    pub hand_off_ns: u64,
    /// Whether it had a priority before all that is measured.
    pub is_real_time: bool,
    /// Arrivals let go a second, from the first due to the last let go.
    let_go_per_s: f64,
    /// How many came due.
    arrivals: u64,
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
    /// A generator that is about to let `arrivals` go through `doors`: it has what precedence it can have, and waits for
    /// [`Generator::begin`].
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(doors: Vec<Door>, arrivals: Arrivals) -> Result<Self, BenchError> {
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
                generate(&doors, &arrivals, begin_ns, is_real_time, &theirs)
            })
            .map_err(BenchError::Generator)?;
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
            Some(Ok(Err(error))) => Err(BenchError::from(error).into()),
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
        // Those that a worker took by the clock were not late.
        let most_ns = limit_ns as f64 * LATE_SHARE;
        let late = self.late.count_from_ns(most_ns.ceil() as u64);
        if late as f64 > LATE_ARRIVALS * self.arrivals as f64 {
            return Some(format!(
                "the generator was late by more than {}, a tenth of the limit, with {late} of {} arrivals; {got_to}",
                report::duration_ns(most_ns),
                self.arrivals
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
    doors: &[Door],
    arrivals: &Arrivals,
    begin_ns: Option<u64>,
    is_real_time: bool,
    stop: &AtomicBool,
) -> Result<Generated, HdrError> {
    let mut letting = Letting {
        doors,
        due: match begin_ns {
            Some(_) => arrivals.due.as_slice(),
            None => &[],
        },
        begin_ns: begin_ns.unwrap_or(0),
        rests: arrivals.own_cpu.is_none() && doors.len() == 1,
        stop,
        next: 0,
        came: vec![0; doors.len()],
        late: Latencies::new()?,
        hand_off_ns: 0,
        last_ns: begin_ns.unwrap_or(0),
    };
    let cpu_before_ns = thread_cpu_ns();
    let broken = letting.all_go().err();
    let cpu_ns = thread_cpu_ns().saturating_sub(cpu_before_ns);
    // Whoever is still waiting is to end.
    for door in doors {
        let _ = wake(&door.pipe, arrivals.workers);
    }
    let took_ns = letting.last_ns.saturating_sub(letting.begin_ns).max(1);
    Ok(Generated {
        cpu_ns: cpu_ns.saturating_sub(letting.hand_off_ns),
        hand_off_ns: letting.hand_off_ns,
        is_real_time,
        let_go_per_s: letting.next as f64 * 1e9 / took_ns as f64,
        arrivals: letting.next as u64,
        broken,
        late: letting.late,
    })
}

/// Arrivals on their way.
struct Letting<'a> {
    doors: &'a [Door],
    due: &'a [(u64, usize)],
    begin_ns: u64,
    /// Whether it sees to nothing while no worker waits: of several drivers one would have to ask all, and with a CPU of its own it takes
    /// nobody's.
    rests: bool,
    stop: &'a AtomicBool,
    /// The first that had not come due when it last looked.
    next: usize,
    /// How many had, by door.
    came: Vec<u64>,
    late: Latencies,
    hand_off_ns: u64,
    /// When it last looked.
    last_ns: u64,
}

impl Letting<'_> {
    /// Until all have come due, or it is to stop.
    fn all_go(&mut self) -> Result<(), Errno> {
        while let Some(&(offset_ns, _)) = self.due.get(self.next) {
            if is_to_stop(self.stop) {
                return Ok(());
            }
            if self.rests && self.doors[0].page.waiting() == 0 {
                self.rest();
            } else if sleep_until(self.begin_ns.saturating_add(offset_ns), self.stop) {
                self.let_go()?;
            }
        }
        Ok(())
    }

    /// Until a worker waits, or the last arrival is due. What was taken meanwhile was taken by the clock, by workers that had not waited; what came due
    /// and was not is late.
    fn rest(&mut self) {
        let page = &self.doors[0].page;
        let last = self.due.last().map_or(0, |&(offset_ns, _)| offset_ns);
        let last_ns = self.begin_ns.saturating_add(last);
        let left_ns = last_ns.saturating_sub(now_ns());
        page.rest(Duration::from_nanos(left_ns.min(SLICE_NS)));
        self.last_ns = now_ns();
        let all = self.due.len();
        let seen_to = if page.waiting() == 0 && self.last_ns >= last_ns {
            all
        } else {
            usize::try_from(page.taken()).unwrap_or(all).min(all)
        };
        self.next = self.next.max(seen_to);
        self.came[0] = self.next as u64;
    }

    /// Wakes workers for what has come due since it last looked.
    fn let_go(&mut self) -> Result<(), Errno> {
        let now = now_ns();
        let since_ns = now.saturating_sub(self.begin_ns);
        let first = self.next;
        let coming = self.due[first..].iter().take(AT_ONCE);
        for &(offset_ns, door) in coming.take_while(|(offset_ns, _)| *offset_ns <= since_ns) {
            self.late.record_ns(since_ns - offset_ns);
            self.came[door] += 1;
            self.next += 1;
        }
        for (index, door) in self.doors.iter().enumerate() {
            let came = self.due[first..self.next].iter();
            let came = came.filter(|(_, through)| *through == index).count() as u64;
            // Some of them a worker that had ended a start may have taken.
            let untaken = self.came[index].saturating_sub(door.page.taken());
            let most = u32::try_from(untaken.min(came)).unwrap_or(u32::MAX);
            let woken = door.page.claim_waiting(most);
            wake(&door.pipe, woken as usize)?;
        }
        self.last_ns = now_ns();
        self.hand_off_ns += self.last_ns - now;
        Ok(())
    }
}

/// Wakes `count` workers.
fn wake(pipe: &OwnedFd, count: usize) -> Result<(), Errno> {
    let bytes = [0; AT_ONCE];
    let mut left = count;
    while left > 0 {
        match write(pipe, &bytes[..left.min(AT_ONCE)]) {
            Ok(written) => left -= written,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn is_to_stop(stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed) || interrupt::received().is_some()
}

/// Sleeps until `at_ns` by the monotonic clock; `false` if it is to stop.
fn sleep_until(at_ns: u64, stop: &AtomicBool) -> bool {
    loop {
        if is_to_stop(stop) {
            return false;
        }
        let now = now_ns();
        if now >= at_ns {
            return true;
        }
        if at_ns - now <= SPIN_NS {
            std::hint::spin_loop();
            continue;
        }
        let until_ns = at_ns.min(now + SLICE_NS);
        let until = Duration::from_nanos(until_ns).into();
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
mod tests;
