//! SIGINT and SIGTERM as a flag that loops look at and a descriptor that waits can poll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::base::exit::Exit;

static RECEIVED: AtomicUsize = AtomicUsize::new(0);
static WAKE: OnceLock<UnixStream> = OnceLock::new();

/// Catches SIGINT and SIGTERM from here on. A second one of the same kind ends the process at once,
/// for a user who does not want to wait for the clean-up. For one thread to call, before there are
/// others; what calls it again changes nothing.
///
/// # Errors
/// No descriptor or no handler to be had.
pub fn install() -> io::Result<()> {
    if WAKE.get().is_some() {
        return Ok(());
    }
    let (read, write) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        // Order matters: the shutdown looks at the flag before this delivery sets it.
        let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag.clone())?;
        signal_hook::flag::register(signal, flag)?;
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        // SAFETY: the action only stores to an atomic, which is async-signal-safe.
        unsafe {
            signal_hook::low_level::register(signal, move || {
                RECEIVED.store(signal.unsigned_abs() as usize, Ordering::Relaxed);
            })?;
        }
    }
    let _ = WAKE.set(read);
    Ok(())
}

/// Whether to stop, and with which exit code.
#[must_use]
pub fn received() -> Option<Exit> {
    match i32::try_from(RECEIVED.load(Ordering::Relaxed)) {
        Ok(SIGINT) => Some(Exit::Interrupted),
        Ok(SIGTERM) => Some(Exit::Terminated),
        _ => None,
    }
}

/// What a run's records say of a signal that ended it, if one did.
#[must_use]
pub fn ended_early() -> Option<String> {
    received().map(|exit| {
        let signal = if exit == Exit::Terminated {
            "SIGTERM"
        } else {
            "SIGINT"
        };
        format!("ended early by {signal}")
    })
}

/// Waits until `fd` can be read or has hung up, a signal comes, or `timeout` passes; `true` if `fd`
/// is ready.
///
/// # Errors
/// The kernel refuses to poll `fd`.
pub fn wait_readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    let timeout = timeout.map_or(PollTimeout::NONE, |t| {
        PollTimeout::try_from(t).unwrap_or(PollTimeout::MAX)
    });
    let mut fds = vec![PollFd::new(fd, PollFlags::POLLIN)];
    if let Some(wake) = WAKE.get() {
        fds.push(PollFd::new(wake.as_fd(), PollFlags::POLLIN));
    }
    match poll(&mut fds, timeout) {
        Ok(_) => Ok(fds[0].any().unwrap_or(false)),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Sleeps for `duration` or until a signal comes; `false` if one came.
pub fn sleep(duration: Duration) -> bool {
    if let Some(wake) = WAKE.get() {
        let timeout = PollTimeout::try_from(duration).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], timeout);
    } else {
        std::thread::sleep(duration);
    }
    received().is_none()
}
