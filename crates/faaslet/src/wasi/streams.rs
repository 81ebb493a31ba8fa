//! Reading and writing, at a position or at a descriptor's own.

use std::io::IoSlice;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::{Errno as Os, ReadWriteFlags, pread, pwrite, pwritev2, write};
use wasmtime::Linker;

use super::calls;
use super::memory::{Answer, Call, Errno, Guest, PIECE_BYTES, code, descriptors_of, functions};
use crate::deadline::Watch;
use crate::files::descriptors::{Descriptor, File, Stream};
use crate::host::Host;

functions! {
    fd_read(c, fd: u32, list: u32, n: u32, done: u32) => match stream(c, fd) {
        Some(stream) => calls::fd_read(c, stream as u32, list, n, done),
        None => transfer(c, fd, (list, n), None, Move::Read, done),
    };
    fd_write(c, fd: u32, list: u32, n: u32, done: u32) => match stream(c, fd) {
        Some(stream) => calls::fd_write(c, stream as u32, list, n, done),
        None => transfer(c, fd, (list, n), None, Move::Write, done),
    };
    fd_pread(c, fd: u32, list: u32, n: u32, at: u64, done: u32) => match stream(c, fd) {
        Some(Stream::Stdin) => Err(Errno::Spipe),
        _ => transfer(c, fd, (list, n), Some(at), Move::Read, done),
    };
    fd_pwrite(c, fd: u32, list: u32, n: u32, at: u64, done: u32) => match stream(c, fd) {
        Some(Stream::Stdout | Stream::Stderr) => Err(Errno::Spipe),
        _ => transfer(c, fd, (list, n), Some(at), Move::Write, done),
    };
    fd_seek(c, fd: u32, offset: i64, whence: u32, at: u32) => fd_seek(c, fd, offset, whence, at);
    fd_tell(c, fd: u32, at: u32) => fd_seek(c, fd, 0, WHENCE_CURRENT, at);
}

fn stream(c: &mut Call<'_>, fd: u32) -> Option<Stream> {
    descriptors_of(c.data_mut()).ok()?.stream(fd)
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Read,
    Write,
}

impl Move {
    fn one(self, file: &File, buffer: &mut [u8], at: u64) -> rustix::io::Result<usize> {
        match self {
            Self::Read => pread(&file.fd, buffer, at),
            Self::Write if file.append => append(file, buffer),
            Self::Write => pwrite(&file.fd, buffer, at),
        }
    }
}

fn append(file: &File, buffer: &[u8]) -> rustix::io::Result<usize> {
    match pwritev2(&file.fd, &[IoSlice::new(buffer)], 0, ReadWriteFlags::APPEND) {
        // Before Linux 4.16.
        Err(Os::NOSYS | Os::NOTSUP) => {}
        outcome => return outcome,
    }
    // The description is this program's alone, which does one thing at a time.
    let flags = fcntl_getfl(&file.fd)?;
    fcntl_setfl(&file.fd, flags | OFlags::APPEND)?;
    let written = write(&file.fd, buffer);
    fcntl_setfl(&file.fd, flags)?;
    written
}

/// Moves each of the `buffers`, a list and its length, until one is not moved as a whole. At the file's own position,
/// which moves on, unless one is given.
fn transfer(
    c: &mut Call<'_>,
    fd: u32,
    buffers: (u32, u32),
    given: Option<u64>,
    which: Move,
    done_at: u32,
) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    guest.descriptors()?.file(fd)?;
    let (list, n) = buffers;
    check(&mut guest, list, n)?;
    let mut total = 0_u32;
    let mut is_asked_for_none = true;
    for i in 0..n {
        let buffer = guest.iovec(list, i)?;
        is_asked_for_none &= buffer.len == 0;
        if which == Move::Write
            && let Err(error) =
                count_written(guest.host, fd, given.map(|at| (at, total)), buffer.len)
        {
            // What was moved before is what it did.
            if total > 0 {
                break;
            }
            return Err(error);
        }
        let Guest { memory, host } = &mut guest;
        let watch = host.watch.clone();
        let file = descriptors_of(host)?.file(fd)?;
        let bytes = memory
            .get_mut(buffer.at as usize..)
            .and_then(|rest| rest.get_mut(..buffer.len as usize))
            .ok_or(Errno::Fault)?;
        let at = match given {
            Some(at) => Some(at.checked_add(u64::from(total)).ok_or(Errno::Inval)?),
            None => None,
        };
        let moved = match move_buffer(file, bytes, at, which, &watch) {
            Ok(moved) => moved,
            // What was moved before is what it did.
            Err(_) if total > 0 => break,
            Err(error) => return Err(error),
        };
        total = total.saturating_add(moved);
        if moved < buffer.len {
            break;
        }
    }
    if is_asked_for_none {
        // The kernel still says whether the file may be read or written, and who appends is at its end.
        let watch = guest.host.watch.clone();
        let file = guest.descriptors()?.file(fd)?;
        move_buffer(file, &mut [], given.map(|_| 0), which, &watch)?;
    }
    guest.write_u32(done_at, total)
}

/// Counts the blocks that `len` bytes will be in, at what was moved beyond the place that was given or at the file's own.
fn count_written(host: &mut Host, fd: u32, given: Option<(u64, u32)>, len: u32) -> Answer {
    let file = descriptors_of(host)?.file(fd)?;
    if !file.write {
        return Ok(());
    }
    let at = match given {
        _ if file.append => fstat(&file.fd)?.st_size.unsigned_abs(),
        Some((at, moved)) => at.saturating_add(u64::from(moved)),
        None => file.position,
    };
    let (blocks, more) = file.blocks.with(at, u64::from(len));
    if more > 0 {
        host.count_written(more)?;
        descriptors_of(host)?.file(fd)?.blocks = blocks;
    }
    Ok(())
}

/// Moves one buffer, in pieces, until the end of the file or the deadline; how much of it.
fn move_buffer(
    file: &mut File,
    bytes: &mut [u8],
    given: Option<u64>,
    which: Move,
    watch: &Watch,
) -> Answer<u32> {
    let mut total = 0;
    // One of no bytes is a call too, which may fail.
    loop {
        let piece = &mut bytes[total..];
        let most = piece.len().min(PIECE_BYTES);
        let at = match given {
            Some(at) => at.checked_add(total as u64).ok_or(Errno::Inval)?,
            None => file.position,
        };
        let moved = match retry(|| which.one(file, &mut piece[..most], at)) {
            Ok(moved) => moved,
            Err(_) if total > 0 => break,
            Err(error) => return Err(error.into()),
        };
        if given.is_none() {
            file.position = match which {
                Move::Write if file.append => fstat(&file.fd)?.st_size.unsigned_abs(),
                _ => at.saturating_add(moved as u64),
            };
        }
        total += moved;
        if moved < most || total == bytes.len() || watch.is_late() {
            break;
        }
    }
    u32::try_from(total).map_err(|_| Errno::Io)
}

/// Whether all buffers of the list are the program's own, and what they add up to fits the answer.
fn check(guest: &mut Guest<'_>, list: u32, n: u32) -> Answer {
    if n > calls::IOVECS_MAX {
        return Err(Errno::Inval);
    }
    let mut total = 0_u32;
    for i in 0..n {
        let buffer = guest.iovec(list, i)?;
        guest.bytes(buffer.at, buffer.len)?;
        total = total.checked_add(buffer.len).ok_or(Errno::Inval)?;
    }
    Ok(())
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Os::INTR) => {}
            outcome => return outcome,
        }
    }
}

const WHENCE_SET: u32 = 0;
const WHENCE_CURRENT: u32 = 1;
const WHENCE_END: u32 = 2;

fn fd_seek(c: &mut Call<'_>, fd: u32, offset: i64, whence: u32, at: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let file = match guest.descriptors()?.descriptor(fd)? {
        Descriptor::File(file) => file,
        Descriptor::Stream(_) => return Err(Errno::Spipe),
        Descriptor::Dir(_) => return Err(Errno::Badf),
    };
    let from = match whence {
        WHENCE_SET => 0,
        WHENCE_CURRENT => file.position,
        WHENCE_END => fstat(&file.fd)?.st_size.unsigned_abs(),
        _ => return Err(Errno::Inval),
    };
    let position = from.checked_add_signed(offset).ok_or(Errno::Inval)?;
    file.position = position;
    guest.write(at, &position.to_le_bytes())
}
