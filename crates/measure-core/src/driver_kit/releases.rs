//! How a driver's workers come by arrivals of an open loop: by the clock, or woken by the generator ([`crate::contract::release_page`]).

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::read;

use super::DriverError;
use crate::contract::release_page::ReleasePage;

/// The pipe through which the generator wakes workers, and the page.
#[derive(Debug)]
pub(super) struct Releases {
    pipe: OwnedFd,
    /// Who waits, and what was taken.
    pub page: ReleasePage,
}

impl Releases {
    /// Takes the descriptors `pipe` and `page`, which whoever started us left open for us; before anything else is opened.
    ///
    /// # Errors
    /// They are not what they are to be.
    pub fn take(pipe: RawFd, page: RawFd) -> Result<Self, DriverError> {
        let pipe = taken("--releases", pipe, SFlag::S_IFIFO, "is no pipe")?;
        let memory = taken("--release-page", page, SFlag::S_IFREG, "is no memory")?;
        let page = ReleasePage::map(&memory)
            .map_err(|e| refused("--release-page", page, &format!("is no page ({e})")))?;
        Ok(Self { pipe, page })
    }

    /// Waits for a byte; `false` if the other side is gone.
    pub fn wait(&self) -> Result<bool, Errno> {
        loop {
            match read(&self.pipe, &mut [0]) {
                Ok(n) => return Ok(n == 1),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts in `count` bytes ourselves, so that workers who wait for one see that the loop is over, whatever the other side does.
    /// The writing end is open only meanwhile: else nobody would see that the other side is gone.
    pub fn wake(&self, count: usize) {
        let ours = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(format!("/proc/self/fd/{}", self.pipe.as_raw_fd()));
        // Without, or where it is full, they are woken by what is in it, or by the other side.
        if let Ok(mut ours) = ours {
            let _ = ours.write(&vec![0; count]);
        }
    }

    /// Takes out what nobody waits for any more.
    pub fn drain(&self) {
        let mut waiting: libc::c_int = 0;
        // SAFETY: FIONREAD writes an int, which `waiting` is.
        let told = unsafe {
            libc::ioctl(
                self.pipe.as_fd().as_raw_fd(),
                libc::FIONREAD,
                &raw mut waiting,
            )
        };
        let mut left = if told == 0 {
            waiting.unsigned_abs() as usize
        } else {
            0
        };
        let mut bytes = [0; 4096];
        while left > 0 {
            let most = left.min(bytes.len());
            match read(&self.pipe, &mut bytes[..most]) {
                Ok(n) if n > 0 => left -= n,
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

fn refused(option: &str, fd: RawFd, why: &str) -> DriverError {
    DriverError::Usage(format!(
        "{option} {fd}: {why}; it is for `runtime_bench load`, which passes a pipe and a page of memory"
    ))
}

/// Descriptor `fd`, which is to be of `kind`: ours from here on, and not of what we start.
fn taken(option: &str, fd: RawFd, kind: SFlag, if_not: &str) -> Result<OwnedFd, DriverError> {
    if fd <= 2 {
        return Err(refused(option, fd, "is a standard stream"));
    }
    // SAFETY: used for calls that refuse a descriptor that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let stat = fstat(borrowed).map_err(|_| refused(option, fd, "is not open"))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != kind {
        return Err(refused(option, fd, if_not));
    }
    // SAFETY: it is open, and nobody else's: nothing in this process opens one of its kind before this.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
        .map_err(|e| DriverError::failed(option, e))?;
    Ok(owned)
}
