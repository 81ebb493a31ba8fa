//! Guests that stay blocked: each waits for a byte on its serial port, which its monitor thread answers once the
//! parking pipe has closed.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::bare_thread::no_thread;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read};

use super::machine::{Event, Machine};
use super::watchdog::Watchdog;
use crate::shared::ended_while_held;

/// Enough for a monitor thread and its messages.
const STACK_BYTES: usize = 128 << 10;
const SLICE: Duration = Duration::from_millis(50);

/// Parked guests; released, all at once, when `open` closes, which the kernel does too if this process is killed.
#[derive(Debug)]
pub(super) struct Parked {
    open: Option<OwnedFd>,
    gate: Arc<OwnedFd>,
    threads: Vec<JoinHandle<Result<(), DriverError>>>,
}

impl Parked {
    pub(super) fn new() -> Result<Self, DriverError> {
        let (gate, open) = pipe2(OFlag::O_CLOEXEC)
            .map_err(|e| DriverError::failed("no pipe for parked guests", e))?;
        Ok(Self {
            open: Some(open),
            gate: Arc::new(gate),
            threads: Vec::new(),
        })
    }

    /// Starts `machines` with `code`; returns when all are blocked.
    ///
    /// # Errors
    /// One fails, ends by itself, or is not blocked within `timeout` of its start; or a signal came.
    pub(super) fn start(
        &mut self,
        machines: Vec<Machine>,
        code: &[u8],
        function: &str,
        watchdog: &Arc<Watchdog>,
        timeout: Duration,
    ) -> Result<(), DriverError> {
        let (tell, told) = mpsc::channel();
        let count = machines.len();
        for (worker, machine) in machines.into_iter().enumerate() {
            let guest = Guest {
                machine,
                worker,
                timeout,
                code: code.to_vec(),
                watchdog: watchdog.clone(),
                gate: self.gate.clone(),
                tell: tell.clone(),
            };
            let thread = Builder::new()
                .stack_size(STACK_BYTES)
                .spawn(|| guest.live());
            self.threads
                .push(thread.map_err(|e| DriverError::Failed(no_thread(&e)))?);
        }
        // A guest's own limit ends it; this one is for what keeps its thread from even starting.
        let until = Instant::now() + timeout * 2;
        (0..count).try_for_each(|_| wait(&told, function, until))
    }

    /// Lets them run to their end.
    ///
    /// # Errors
    /// One ended wrongly.
    pub(super) fn release(mut self) -> Result<(), DriverError> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<(), DriverError> {
        self.open = None;
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            outcome =
                outcome.and(ended.unwrap_or_else(|_| {
                    Err(DriverError::Failed("a monitor thread panicked".into()))
                }));
        }
        outcome
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        let _ = self.let_go();
    }
}

/// Waits for one more guest to be blocked.
fn wait(told: &Receiver<State>, function: &str, until: Instant) -> Result<(), DriverError> {
    loop {
        match told.recv_timeout(SLICE) {
            Ok(State::Blocked) => return Ok(()),
            Ok(State::Ended(Err(error))) => return Err(error),
            Ok(State::Ended(Ok(()))) => {
                return Err(ended_while_held(function));
            }
            Err(RecvTimeoutError::Timeout) if interrupt::received().is_some() => {
                return Err(DriverError::Failed("interrupted while parking".into()));
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
            Err(_) => {
                return Err(DriverError::StartFailed(
                    "a guest did not come to rest".into(),
                ));
            }
        }
    }
}

enum State {
    Blocked,
    Ended(Result<(), DriverError>),
}

struct Guest {
    machine: Machine,
    worker: usize,
    timeout: Duration,
    code: Vec<u8>,
    watchdog: Arc<Watchdog>,
    gate: Arc<OwnedFd>,
    tell: Sender<State>,
}

impl Guest {
    fn live(mut self) -> Result<(), DriverError> {
        let mut blocked = false;
        let outcome = self.machine.load(&self.code).and_then(|()| {
            let mut armed = Some(self.watchdog.arm(self.worker, self.timeout));
            self.machine.run(&mut |event| {
                if event == Event::Listens && !blocked {
                    blocked = true;
                    // While it waits for us it may take any time.
                    armed = None;
                    let _ = self.tell.send(State::Blocked);
                    wait_for_end(&self.gate);
                    armed = Some(self.watchdog.arm(self.worker, self.timeout));
                }
                Ok(())
            })?;
            drop(armed);
            Ok(())
        });
        if blocked {
            return outcome;
        }
        // Somebody waits for it to block, who has the outcome in place of who joins this thread.
        let _ = self.tell.send(State::Ended(outcome));
        Ok(())
    }
}

fn wait_for_end(gate: &OwnedFd) {
    let mut byte = [0];
    // Nothing is ever written: it returns at the end.
    while let Err(Errno::EINTR) = read(gate, &mut byte) {}
}
