//! A guest that never leaves its processor keeps the calling thread in KVM_RUN; a signal to that thread ends the
//! call. One thread looks after the starts of all workers, ten times a second, and sends it to those whose time
//! is over, again and again until they have noticed: one that comes just before the call would be lost.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use measure_core::base::clock::now_ns;
use measure_core::base::interrupt;
use measure_core::driver_kit::DriverError;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{getpid, gettid, pipe2};

use crate::limit::GRACE;

/// What ends a KVM_RUN. Its handler does nothing.
const KICK: Signal = Signal::SIGUSR1;
const TICK_MS: u16 = 100;

/// The start of one worker.
#[derive(Debug, Default)]
struct Slot {
    tid: AtomicI32,
    /// On `CLOCK_MONOTONIC`; 0 while no start is under way.
    until_ns: AtomicU64,
}

/// The thread that ends starts whose time is over.
#[derive(Debug)]
pub(super) struct Watchdog {
    slots: Arc<[Slot]>,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// A start that is looked after until this is dropped.
#[derive(Debug)]
pub(super) struct Armed<'a>(Option<&'a Slot>);

impl Watchdog {
    /// For `workers` at once.
    ///
    /// # Errors
    /// No handler, descriptor or thread to be had.
    pub(super) fn start(workers: usize) -> Result<Self, DriverError> {
        let cannot = |e: io::Error| DriverError::failed("cannot watch over guests", e);
        let action = SigAction::new(
            SigHandler::Handler(nothing),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        // SAFETY: the handler does nothing, which is async-signal-safe, and no one else here uses this signal.
        unsafe { sigaction(KICK, &action) }.map_err(|e| cannot(e.into()))?;
        let (stopped, stop) = pipe2(OFlag::O_CLOEXEC).map_err(|e| cannot(e.into()))?;
        let slots: Arc<[Slot]> = (0..workers).map(|_| Slot::default()).collect();
        let theirs = slots.clone();
        let thread = thread::Builder::new()
            .spawn(move || watch(&stopped, &theirs))
            .map_err(cannot)?;
        Ok(Self {
            slots,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Looks after the calling thread as worker `worker`, for `timeout`.
    pub(super) fn arm(&self, worker: usize, timeout: Duration) -> Armed<'_> {
        self.slots.get(worker).map_or(Armed(None), |slot| {
            let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
            slot.tid.store(gettid().as_raw(), Ordering::Relaxed);
            slot.until_ns
                .store(now_ns().saturating_add(timeout), Ordering::Release);
            Armed(Some(slot))
        })
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.until_ns.store(0, Ordering::Release);
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

extern "C" fn nothing(_: libc::c_int) {}

fn watch(stopped: &OwnedFd, slots: &[Slot]) {
    let mut signal_ns = None;
    loop {
        let mut fds = [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(TICK_MS)) {
            Ok(0) => {}
            Err(Errno::EINTR) => continue,
            Ok(_) | Err(_) => return,
        }
        let now = now_ns();
        if interrupt::received().is_some() {
            signal_ns.get_or_insert(now);
        }
        let over = signal_ns.is_some_and(|at| Duration::from_nanos(now - at) >= GRACE);
        for slot in slots {
            let until = slot.until_ns.load(Ordering::Acquire);
            if until != 0 && (over || now >= until) {
                kick(slot.tid.load(Ordering::Relaxed));
            }
        }
    }
}

fn kick(tid: i32) {
    // SAFETY: sends a signal whose handler does nothing. If the thread has ended meanwhile, the call fails.
    unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            getpid().as_raw(),
            tid,
            KICK as libc::c_int,
        )
    };
}
