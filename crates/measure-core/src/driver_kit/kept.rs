//! A child that a thread of its own starts and collects: whoever holds it knows whether it has ended and how, and may signal it at any time.
//!
//! That thread stays until the child is dead: a child may be one that dies with the thread that started it, and what the thread changes of
//! itself before (`unshare`) is for good.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// How often a wait looks whether it is called off.
const TICK: Duration = Duration::from_millis(20);

/// A child and its thread; `H` is how it ended. Dropping it leaves a child that runs alone.
#[derive(Debug)]
pub struct Kept<H> {
    pid: Pid,
    ended: Arc<Ended<H>>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Ended<H> {
    how: Mutex<Option<H>>,
    changed: Condvar,
}

impl<H> Ended<H> {
    fn lock(&self) -> MutexGuard<'_, Option<H>> {
        self.how.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A child that has just been started.
#[derive(Debug)]
pub struct Born<C, T> {
    /// Its process id.
    pub pid: Pid,
    /// Collects it once it has ended, and says how it did.
    pub collect: C,
    /// What else of it is for whoever asked.
    pub with: T,
}

impl<H: Clone + Send + 'static> Kept<H> {
    /// Has `start` called by a thread with this `name`.
    ///
    /// # Errors
    /// Those of `start`, and what `no_thread` makes of a thread that is not to be had.
    pub fn start<C, T, E>(
        name: &str,
        no_thread: impl Fn(io::Error) -> E,
        start: impl FnOnce() -> Result<Born<C, T>, E> + Send + 'static,
    ) -> Result<(Self, T), E>
    where
        C: FnOnce() -> H,
        T: Send + 'static,
        E: Send + 'static,
    {
        let ended = Arc::new(Ended {
            how: Mutex::new(None),
            changed: Condvar::new(),
        });
        let shared = Arc::clone(&ended);
        let (send, receive) = mpsc::channel();
        let keeper = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let born = match start() {
                    Ok(born) => born,
                    Err(error) => {
                        let _ = send.send(Err(error));
                        return;
                    }
                };
                let _ = send.send(Ok((born.pid, born.with)));
                let _ = wait_for_pid(born.pid, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
                let mut how = shared.lock();
                *how = Some((born.collect)());
                shared.changed.notify_all();
            })
            .map_err(&no_thread)?;
        let born = receive.recv().map_err(io::Error::other);
        let (pid, with) = born.map_err(no_thread)??;
        let keeper = Some(keeper);
        Ok((Self { pid, ended, keeper }, with))
    }

    /// Its process id, as the thread that started it sees it.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<H> {
        self.ended.lock().clone()
    }

    /// Sends it `signal`, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let how = self.ended.lock();
        if how.is_none() {
            // Not collected while the lock is held, so the id is still its own.
            let _ = kill(self.pid, signal);
        }
    }

    /// Waits for its end, at most `limit`, and only until `is_off`; whether it has ended.
    pub fn wait(&self, limit: Duration, is_off: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut how = self.ended.lock();
        while how.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || is_off() {
                return false;
            }
            let waited = self.ended.changed.wait_timeout(how, left.min(TICK));
            how = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits for its end, however long that takes.
    pub fn join(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// How `pid`, a child of this process, has ended, waited for as `flags` say.
///
/// # Errors
/// It is none, or collected already.
#[inline]
pub fn wait_for_pid(pid: Pid, flags: WaitPidFlag) -> nix::Result<WaitStatus> {
    loop {
        match waitid(Id::Pid(pid), flags) {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn sleeper() -> Kept<Option<i32>> {
        let started = Kept::start(
            "sleeper",
            |e| e,
            || {
                let mut child = Command::new("sleep").arg("1000").spawn()?;
                Ok(Born {
                    pid: Pid::from_raw(child.id().cast_signed()),
                    collect: move || child.wait().ok().and_then(|status| status.code()),
                    with: (),
                })
            },
        );
        started.expect("sleep").0
    }

    #[test]
    fn one_that_runs_is_waited_for_until_the_limit_or_until_called_off() {
        let mut sleeper = sleeper();
        assert_eq!(sleeper.ended(), None);
        assert!(!sleeper.wait(Duration::from_millis(1), || false));
        assert!(!sleeper.wait(Duration::from_secs(1000), || true));
        sleeper.signal(Signal::SIGKILL);
        assert!(sleeper.wait(Duration::from_secs(1000), || false));
        assert_eq!(sleeper.ended(), Some(None));
        // Whoever has its id by now is not signalled.
        sleeper.signal(Signal::SIGKILL);
        sleeper.join();
    }

    #[test]
    fn one_that_cannot_be_started_is_an_error() {
        type Never = Born<fn() -> (), ()>;
        let started = Kept::start(
            "none",
            |e| e,
            || -> io::Result<Never> { Err(io::ErrorKind::NotFound.into()) },
        );
        let error = started.expect_err("not there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
