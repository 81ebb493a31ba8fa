//! What a program writes to its standard streams, so that neither much of it nor a reader that does not read outlasts a deadline.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno as Os, ReadWriteFlags, pwritev2, write};

use super::memory::{Answer, Errno, PIECE_BYTES};
use crate::deadline::Watch;

/// How often a program whose output is not taken is asked whether it may go on.
const SLICE: Duration = Duration::from_millis(20);
/// What a pipe or terminal that is ready takes without waiting.
const ATOMIC_BYTES: usize = libc::PIPE_BUF;
/// The descriptor's own position.
const HERE: u64 = u64::MAX;

/// Writes all of `bytes` unless the program is late before.
pub(super) fn write_all(fd: BorrowedFd<'_>, bytes: &[u8], watch: &Watch) -> Answer {
    let mut rest = bytes;
    while !rest.is_empty() {
        if watch.is_late() {
            return Err(Errno::Intr);
        }
        match write_some(fd, &rest[..rest.len().min(PIECE_BYTES)]) {
            Ok(n) => rest = &rest[n..],
            Err(Os::INTR) => {}
            Err(Os::AGAIN) => wait(fd, watch),
            Err(_) => return Err(Errno::Io),
        }
    }
    Ok(())
}

/// Writes what can be written without waiting for a reader; `AGAIN` if that is nothing.
pub(crate) fn write_some(fd: BorrowedFd<'_>, piece: &[u8]) -> rustix::io::Result<usize> {
    match pwritev2(fd, &[IoSlice::new(piece)], HERE, ReadWriteFlags::NOWAIT) {
        // Files of many kinds, which wait for no reader; terminals; Linux before 4.14.
        Err(Os::OPNOTSUPP | Os::NOSYS | Os::INVAL) => {}
        outcome => return outcome,
    }
    if FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::RegularFile {
        return write(fd, piece);
    }
    if !is_ready(fd, Duration::ZERO) {
        return Err(Os::AGAIN);
    }
    write(fd, &piece[..piece.len().min(ATOMIC_BYTES)])
}

fn wait(fd: BorrowedFd<'_>, watch: &Watch) {
    is_ready(fd, SLICE.min(watch.remaining()));
}

/// Whether `fd` takes bytes, or has failed, within a time.
fn is_ready(fd: BorrowedFd<'_>, within: Duration) -> bool {
    let timeout = PollTimeout::try_from(within.saturating_add(Duration::from_micros(999)));
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    poll(&mut fds, timeout.unwrap_or(PollTimeout::ZERO)).is_ok_and(|ready| ready > 0)
}
