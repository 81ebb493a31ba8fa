//! The driver's side of an open loop ([`crate::contract::open_loop`]): workers that take up what is due.
//!
//! A worker takes the next arrival as soon as it is due by the clock, makes its start and notes when it began and how long it took; nothing is
//! allocated, written or said meanwhile. Arrivals wait in the order in which they are due for the first worker that is free; workers that find none
//! wait for the generator to wake them. Being woken says only "look again", so a byte too many does no harm.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use nix::errno::Errno;

use super::releases::Releases;
use super::{DriverError, Rung, placement};
use crate::base::clock::now_ns;
use crate::base::interrupt;
use crate::contract::open_loop::{Arrivals, CHUNK, MAX_ARRIVALS, OpenLoop};
use crate::contract::protocol::BatchEnd;

/// How often the first thread looks after things while the loop runs.
const LOOK: Duration = Duration::from_millis(200);

/// What a loop is made with.
pub(super) struct Loop<'a> {
    pub rung: &'a dyn Rung,
    pub batch: u32,
    pub workers: usize,
    pub open: &'a OpenLoop,
    pub releases: &'a Releases,
}

/// What passes between the loop and whoever asked for it.
pub(super) trait Caller {
    /// Says that the workers wait, and returns when the loop begins; `None` if it is not to.
    fn armed(&mut self) -> Result<Option<u64>, DriverError>;
    /// Takes what became of arrivals.
    fn arrivals(&mut self, arrivals: Arrivals) -> Result<(), DriverError>;
}

struct Shared<'a> {
    rung: &'a dyn Rung,
    releases: &'a Releases,
    /// When each arrival is due, from the beginning.
    due_ns: Vec<u64>,
    /// Nothing more begins.
    closed: AtomicBool,
    done: AtomicUsize,
    first_error: Mutex<Option<String>>,
    main: Thread,
}

/// A start that was begun.
struct Made {
    index: usize,
    waited_ns: u64,
    took_ns: u64,
    failed: bool,
}

/// Runs one open loop; `None` if it was called off before it began.
///
/// # Errors
/// The engine is lost, or the caller failed; what was made until then has been handed over.
pub(super) fn run_open_loop(
    what: &Loop<'_>,
    caller: &mut dyn Caller,
) -> Result<Option<BatchEnd>, DriverError> {
    if what.open.gaps_ns.is_empty() || what.open.gaps_ns.len() > MAX_ARRIVALS {
        return Err(DriverError::Usage(format!(
            "an open loop has 1 to {MAX_ARRIVALS} arrivals, not {}",
            what.open.gaps_ns.len()
        )));
    }
    // Bytes that ended the loop before, or were to.
    what.releases.drain();
    let shared = Shared {
        rung: what.rung,
        releases: what.releases,
        due_ns: what.open.offsets_ns(),
        closed: AtomicBool::new(false),
        done: AtomicUsize::new(0),
        first_error: Mutex::new(None),
        main: thread::current(),
    };
    let (begun, made, lost) = all_served(&shared, what, caller);
    let Some(begin_ns) = begun? else {
        return Ok(None);
    };
    let end = ended(what, &shared, begin_ns, &made);
    for arrivals in told(what.batch, &shared, made) {
        caller.arrivals(arrivals)?;
    }
    match lost {
        Some(error) => Err(error),
        None => Ok(Some(end)),
    }
}

/// The whole loop: when it began, what was made, and what ended it early.
fn all_served(
    shared: &Shared<'_>,
    what: &Loop<'_>,
    caller: &mut dyn Caller,
) -> (
    Result<Option<u64>, DriverError>,
    Vec<Made>,
    Option<DriverError>,
) {
    let last_due_ns = shared.due_ns.last().copied().unwrap_or(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..what.workers)
            .map(|worker| scope.spawn(move || serve(shared, worker)))
            .collect();
        let begun = caller.armed();
        match begun {
            Ok(Some(begin_ns)) => {
                let close_ns = begin_ns
                    .saturating_add(last_due_ns)
                    .saturating_add(what.open.drain_ns);
                look_after(shared, what.workers, close_ns);
            }
            // Nothing is due any more.
            Ok(None) | Err(_) => look_after(shared, what.workers, 0),
        }
        let (mut made, mut lost) = (Vec::new(), None);
        for worker in workers {
            let outcome = match worker.join() {
                Ok((theirs, outcome)) => {
                    made.extend(theirs);
                    outcome.err()
                }
                Err(_) => Some(DriverError::Failed("a worker panicked".into())),
            };
            lost = lost.or(outcome);
        }
        (begun, made, lost)
    })
}

/// While the workers work: lets the rung tidy up, and closes the loop when its time is over or a signal comes.
fn look_after(shared: &Shared<'_>, workers: usize, close_ns: u64) {
    while shared.done.load(Ordering::Acquire) < workers {
        let left = Duration::from_nanos(close_ns.saturating_sub(now_ns()));
        thread::park_timeout(if left.is_zero() { LOOK } else { left.min(LOOK) });
        if interrupt::received().is_some() || now_ns() >= close_ns {
            shared.closed.store(true, Ordering::Release);
        }
        if shared.closed.load(Ordering::Acquire) {
            shared.releases.wake(workers);
        }
        shared.rung.tidy();
    }
}

/// One worker's life: what it made, and why it ended early.
fn serve(shared: &Shared<'_>, worker: usize) -> (Vec<Made>, Result<(), DriverError>) {
    // As many as any worker may make: pages that are never touched cost nothing.
    let mut made = Vec::with_capacity(shared.due_ns.len());
    let outcome =
        placement::keep_worker(worker).and_then(|()| serve_all(shared, worker, &mut made));
    if outcome.is_err() {
        shared.closed.store(true, Ordering::Release);
    }
    shared.done.fetch_add(1, Ordering::Release);
    shared.main.unpark();
    (made, outcome)
}

fn serve_all(shared: &Shared<'_>, worker: usize, made: &mut Vec<Made>) -> Result<(), DriverError> {
    loop {
        match shared.next_arrival() {
            Ok(Some((index, due_ns))) => one(shared, worker, index, due_ns, made)?,
            Ok(None) => return Ok(()),
            Err(error) => return Err(DriverError::failed("the pipe of --releases", error)),
        }
    }
}

impl Shared<'_> {
    /// The next arrival and when it was due, once it is; `None` if there is none, nothing more is to begin, or the other side is gone.
    fn next_arrival(&self) -> Result<Option<(usize, u64)>, Errno> {
        let page = &self.releases.page;
        loop {
            if self.is_over() {
                return Ok(None);
            }
            if let Some(index) = page.take_if(|number| self.is_due(number)) {
                return Ok(self.due_at(index));
            }
            page.begin_waiting();
            // What came due before the generator could see that somebody waits, it wakes nobody for.
            if self.is_over() || self.is_due(page.taken()) {
                if page.cancel_waiting() {
                    continue;
                }
            } else {
                page.call_generator();
            }
            if !self.releases.wait()? {
                return Ok(None);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.closed.load(Ordering::Acquire)
            || self.releases.page.taken() >= self.due_ns.len() as u64
    }

    fn is_due(&self, number: u64) -> bool {
        self.due_at(number).is_some_and(|(_, at)| at <= now_ns())
    }

    /// Arrival `number` and when it is due, if there is one and the loop's beginning has been said.
    fn due_at(&self, number: u64) -> Option<(usize, u64)> {
        let begin_ns = self.releases.page.begin_ns()?;
        let index = usize::try_from(number).ok()?;
        let offset_ns = self.due_ns.get(index)?;
        Some((index, begin_ns.saturating_add(*offset_ns)))
    }
}

/// One start; an error if no further start makes sense.
fn one(
    shared: &Shared<'_>,
    worker: usize,
    index: usize,
    due_ns: u64,
    made: &mut Vec<Made>,
) -> Result<(), DriverError> {
    let begun_ns = now_ns();
    let (took_ns, words, outcome) = match shared.rung.cold_start(worker) {
        Ok(phases) => {
            made.push(Made {
                index,
                waited_ns: phases.start_ns.saturating_sub(due_ns),
                took_ns: phases.total_ns,
                failed: false,
            });
            return Ok(());
        }
        Err(error @ (DriverError::StartFailed(_) | DriverError::Exited { .. })) => {
            (now_ns() - begun_ns, error.to_string(), Ok(()))
        }
        Err(lost) => (now_ns() - begun_ns, lost.to_string(), Err(lost)),
    };
    if let Ok(mut first) = shared.first_error.lock() {
        first.get_or_insert(words);
    }
    made.push(Made {
        index,
        waited_ns: begun_ns.saturating_sub(due_ns),
        took_ns,
        failed: true,
    });
    outcome
}

fn ended(what: &Loop<'_>, shared: &Shared<'_>, begin_ns: u64, made: &[Made]) -> BatchEnd {
    let ends = made
        .iter()
        .map(|m| shared.due_ns[m.index] + m.waited_ns + m.took_ns);
    BatchEnd {
        batch: what.batch,
        starts: made.len() as u64,
        failed: made.iter().filter(|m| m.failed).count() as u64,
        workers: what.workers,
        start_ns: begin_ns,
        elapsed_ns: ends.max().unwrap_or(0),
        interrupted: interrupt::received().is_some() && made.len() < shared.due_ns.len(),
    }
}

/// What became of every arrival, in messages of a size that can be read.
fn told(batch: u32, shared: &Shared<'_>, made: Vec<Made>) -> Vec<Arrivals> {
    let chunks = shared.due_ns.chunks(CHUNK);
    let mut told: Vec<Arrivals> = (0..)
        .step_by(CHUNK)
        .zip(chunks)
        .map(|(first, chunk)| Arrivals {
            batch,
            first,
            waited_ns: vec![None; chunk.len()],
            took_ns: vec![0; chunk.len()],
            ..Arrivals::default()
        })
        .collect();
    for made in made {
        let arrivals = &mut told[made.index / CHUNK];
        let at = made.index % CHUNK;
        arrivals.waited_ns[at] = Some(made.waited_ns);
        arrivals.took_ns[at] = made.took_ns;
        if made.failed {
            arrivals.failed.push(made.index);
        }
    }
    if let Some(first) = told.iter_mut().find(|a| !a.failed.is_empty()) {
        let mut said = shared.first_error.lock();
        first.error = said.as_mut().map_or(None, |words| words.take());
    }
    for arrivals in &mut told {
        arrivals.failed.sort_unstable();
    }
    told
}

#[cfg(test)]
mod tests;
