//! A limit to all waits of one start: its timeout, and after SIGINT or SIGTERM a short grace.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a start under way may go on after SIGINT or SIGTERM.
pub const GRACE: Duration = Duration::from_secs(1);
/// How often a wait looks for a signal.
const SLICE: Duration = Duration::from_millis(100);

/// Until when a start may wait.
#[derive(Debug)]
pub struct Limit {
    timeout: Duration,
    until: Cell<Instant>,
    interrupted: Cell<bool>,
}

/// The limit has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Expired {
    /// The timeout of the start.
    #[error("not within {} s (--timeout sets the limit)", .0.as_secs_f64())]
    Timeout(Duration),
    /// The grace after a signal.
    #[error("interrupted")]
    Signal,
}

impl Limit {
    /// `timeout` from now.
    #[must_use]
    pub fn after(timeout: Duration) -> Self {
        Self {
            timeout,
            until: Cell::new(Instant::now() + timeout),
            interrupted: Cell::new(false),
        }
    }

    /// How long a wait from now on may take.
    ///
    /// # Errors
    /// The timeout has passed, or the grace after a signal.
    pub fn left(&self) -> Result<Duration, Expired> {
        let now = Instant::now();
        if !self.interrupted.get() && interrupt::received().is_some() {
            self.interrupted.set(true);
            self.until.set(self.until.get().min(now + GRACE));
        }
        match self.until.get().saturating_duration_since(now) {
            Duration::ZERO if self.interrupted.get() => Err(Expired::Signal),
            Duration::ZERO => Err(Expired::Timeout(self.timeout)),
            left => Ok(left),
        }
    }

    /// Waits until `fd` can be read or has hung up.
    ///
    /// # Errors
    /// Not within the limit.
    pub fn readable(&self, fd: BorrowedFd<'_>) -> Result<(), Expired> {
        loop {
            let slice = self.left()?.min(SLICE);
            // Rounded up, so that what is left does not become a wait of no time at all.
            let slice = PollTimeout::try_from(slice + Duration::from_millis(1));
            let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
            match poll(&mut fds, slice.unwrap_or(PollTimeout::MAX)) {
                Ok(0) | Err(Errno::EINTR) => {}
                // What the kernel refuses to poll shows in the read that follows.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_never_comes_is_given_up_on() {
        let (read, write) = nix::unistd::pipe().expect("a pipe");
        let limit = Limit::after(Duration::from_millis(20));
        let expired = limit.readable(read.as_fd()).expect_err("expired");
        assert_eq!(expired, Expired::Timeout(Duration::from_millis(20)));
        assert!(expired.to_string().contains("0.02 s"), "{expired}");
        drop(write);
        // What has hung up is ready at once, but not beyond the limit.
        assert!(
            Limit::after(Duration::from_secs(60))
                .readable(read.as_fd())
                .is_ok()
        );
        assert!(limit.readable(read.as_fd()).is_err());
    }
}
