//! One start's deadline: what the watcher, the handler of its pokes and the start itself know of it.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use measure_core::base::clock::now_ns;

use super::code::Code;
use crate::error::Stop;
use crate::escape::Escape;
use crate::trace::Trace;

/// Deadline of a start that was found late, whatever it was before.
pub(super) const LATE: u64 = 0;

/// Counts the starts of this process that went on where their limit was, for watchers to look.
static RESUMED: AtomicU64 = AtomicU64::new(0);

pub(super) fn resumed() -> u64 {
    // What it counts is seen with it.
    RESUMED.load(Ordering::Acquire)
}

/// One start and its deadline.
pub(crate) struct Watch {
    pub(crate) code: Arc<Code>,
    limit_ns: u64,
    /// By `CLOCK_MONOTONIC`; [`LATE`] once the watcher has found it passed.
    pub(super) deadline_ns: AtomicU64,
    pub(super) missed: AtomicBool,
    /// Where a library that runs can be left.
    escape: AtomicPtr<Escape>,
    /// The frames of the program lie below this address.
    pub(super) stack_top: AtomicUsize,
    /// Where it trapped.
    pub(crate) trace: Trace,
    /// Of a component: what it waits by.
    pub(super) waker: Option<Box<AtomicWaker>>,
}

impl Watch {
    pub(super) fn of_code(
        code: &Arc<Code>,
        limit: Duration,
        waker: Option<Box<AtomicWaker>>,
    ) -> Self {
        Self {
            code: code.clone(),
            limit_ns: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
            deadline_ns: AtomicU64::new(u64::MAX),
            missed: AtomicBool::new(false),
            escape: AtomicPtr::default(),
            stack_top: AtomicUsize::new(0),
            trace: Trace::default(),
            waker,
        }
    }

    /// `run` runs a library that can be left by `escape`.
    pub(crate) fn escapable<T>(&self, escape: &Escape, run: impl FnOnce() -> T) -> T {
        self.escape
            .store(ptr::from_ref(escape).cast_mut(), Ordering::Relaxed);
        let result = run();
        self.escape.store(ptr::null_mut(), Ordering::Relaxed);
        result
    }

    pub(super) fn escape(&self) -> Option<&Escape> {
        // SAFETY: it is there as long as `escapable` runs, on the one thread that asks.
        unsafe { self.escape.load(Ordering::Relaxed).as_ref() }
    }

    /// Time spent in `blocked` does not count, and after it the limit begins anew.
    ///
    /// # Errors
    /// It is late before.
    pub(crate) fn pause<T>(&self, blocked: impl FnOnce() -> T) -> Result<T, Stop> {
        let now = now_ns();
        let relaxed = Ordering::Relaxed;
        self.deadline_ns
            .fetch_update(relaxed, relaxed, |ns| (ns > now).then_some(u64::MAX))
            .map_err(|_| Stop::Deadline)?;
        let result = blocked();
        self.begin();
        Ok(result)
    }

    /// As long as what is returned is kept, time does not count; after it the limit goes on where it was. What is late stays so.
    pub(crate) fn paused(&self) -> Paused<'_> {
        let remaining_ns = self.remaining().as_nanos();
        let relaxed = Ordering::Relaxed;
        // Unless it is late; and one of two at once ends for both.
        let pause = |ns| (ns != LATE && ns != u64::MAX).then_some(u64::MAX);
        let paused = self.deadline_ns.fetch_update(relaxed, relaxed, pause);
        Paused {
            watch: self,
            remaining_ns: paused.ok().and_then(|_| u64::try_from(remaining_ns).ok()),
        }
    }

    /// Has whoever waits in a component be woken by `waker` when it is late.
    pub(crate) fn wake_by(&self, waker: &Waker) {
        if let Some(own) = &self.waker {
            own.register(waker);
        }
    }

    /// Whether its program was ended because of it.
    pub(crate) fn missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether its program is to be ended at the next chance.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline_ns.load(Ordering::Relaxed) == LATE
    }

    /// What a call to the host asks before it returns to its program.
    ///
    /// # Errors
    /// It must not return there.
    pub(crate) fn in_time(&self) -> Result<(), Stop> {
        if self.is_late() {
            Err(Stop::Deadline)
        } else {
            Ok(())
        }
    }

    /// How long it may go on.
    pub(crate) fn remaining(&self) -> Duration {
        let deadline_ns = self.deadline_ns.load(Ordering::Relaxed);
        Duration::from_nanos(deadline_ns.saturating_sub(now_ns()))
    }

    pub(super) fn begin(&self) {
        let deadline_ns = now_ns().saturating_add(self.limit_ns);
        self.deadline_ns.store(deadline_ns, Ordering::Relaxed);
    }
}

/// Until this is dropped, time does not count.
pub(crate) struct Paused<'a> {
    watch: &'a Watch,
    /// What was left, if it was not late.
    remaining_ns: Option<u64>,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let Some(remaining_ns) = self.remaining_ns else {
            return;
        };
        let relaxed = Ordering::Relaxed;
        let go_on = |ns| (ns != LATE).then(|| now_ns().saturating_add(remaining_ns));
        // Late meanwhile: only a signal to the process can be why.
        let _ = self.watch.deadline_ns.fetch_update(relaxed, relaxed, go_on);
        RESUMED.fetch_add(1, Ordering::Release);
    }
}
