//! The functions of preview 1 that need no files.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno as Os;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_getres, clock_gettime};
use nix::unistd::read;
use wasmtime::Linker;

use super::memory::{Answer, Call, Errno, Guest, PIECE_BYTES, code, functions};
use super::output::write_all;
use crate::grants::Grants;
use crate::host::Host;
use crate::stack;

const STDIN: u32 = 0;
const STDERR: u32 = 2;
/// A program may not have more buffers than this in one call (Linux's own `IOV_MAX`).
pub(super) const IOVECS_MAX: u32 = 1024;

functions! {
    args_sizes_get(c, count: u32, size: u32) => sizes(c, args, count, size);
    args_get(c, list: u32, buffer: u32) => strings(c, args, list, buffer);
    environ_sizes_get(c, count: u32, size: u32) => sizes(c, env, count, size);
    environ_get(c, list: u32, buffer: u32) => strings(c, env, list, buffer);
    // No directory was given: descriptor 3 and above do not exist.
    fd_prestat_get(_c, _: u32, _: u32) => Err(Errno::Badf);
    fd_prestat_dir_name(_c, _: u32, _: u32, _: u32) => Err(Errno::Badf);
    fd_read(c, fd: u32, list: u32, n: u32, done: u32) => fd_read(c, fd, list, n, done);
    fd_write(c, fd: u32, list: u32, n: u32, done: u32) => fd_write(c, fd, list, n, done);
    fd_close(c, fd: u32) => open(c.data(), fd).map(|()| c.data_mut().closed |= 1 << fd);
    fd_fdstat_get(c, fd: u32, at: u32) => fdstat(c, fd, at);
    fd_fdstat_set_flags(c, fd: u32, flags: u32) => open(c.data(), fd).and(no_flags(flags));
    fd_seek(c, fd: u32, _: i64, _: u32, _: u32) => open(c.data(), fd).and(Err(Errno::Spipe));
    fd_tell(c, fd: u32, _: u32) => open(c.data(), fd).and(Err(Errno::Spipe));
    clock_time_get(c, id: u32, _: u64, at: u32) =>
        clock_ns(id, clock_gettime).and_then(|ns| put_u64(c, at, ns));
    clock_res_get(c, id: u32, at: u32) =>
        clock_ns(id, clock_getres).and_then(|ns| put_u64(c, at, ns));
    random_get(c, at: u32, len: u32) => random(c, at, len);
    sched_yield(_c) => {
        std::thread::yield_now();
        Ok(())
    };
}

/// A standard stream cannot be made non-blocking; asking for no flags is no change.
pub(super) fn no_flags(flags: u32) -> Answer {
    if flags == 0 {
        Ok(())
    } else {
        Err(Errno::Notsup)
    }
}

fn args(grants: &Grants, each: &mut dyn FnMut(&[&str])) {
    for arg in &grants.args {
        each(&[arg]);
    }
}

fn env(grants: &Grants, each: &mut dyn FnMut(&[&str])) {
    for (name, value) in &grants.env {
        each(&[name, "=", value]);
    }
}

type Strings = fn(&Grants, &mut dyn FnMut(&[&str]));

fn sizes(c: &mut Call<'_>, list: Strings, count_at: u32, size_at: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let (mut count, mut size) = (0_u32, 0_u32);
    list(&guest.host.grants, &mut |parts| {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        count = count.saturating_add(1);
        size = size.saturating_add(u32::try_from(bytes + 1).unwrap_or(u32::MAX));
    });
    guest.write_u32(count_at, count)?;
    guest.write_u32(size_at, size)
}

fn strings(c: &mut Call<'_>, list: Strings, mut list_at: u32, mut at: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let grants = Arc::clone(&guest.host.grants);
    let mut answer = Ok(());
    let mut put = |parts: &[&str]| -> Answer {
        guest.write_u32(list_at, at)?;
        list_at = list_at.checked_add(4).ok_or(Errno::Fault)?;
        for bytes in parts.iter().map(|part| part.as_bytes()).chain([&b"\0"[..]]) {
            guest.write(at, bytes)?;
            let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
            at = at.checked_add(len).ok_or(Errno::Fault)?;
        }
        Ok(())
    };
    list(&grants, &mut |parts| {
        if answer.is_ok() {
            answer = put(parts);
        }
    });
    answer
}

/// Whether descriptor `fd` is there: a program has its three streams and nothing else.
fn open(host: &Host, fd: u32) -> Answer {
    if fd <= STDERR && host.closed & (1 << fd) == 0 {
        Ok(())
    } else {
        Err(Errno::Badf)
    }
}

pub(super) fn fd_read(c: &mut Call<'_>, fd: u32, list: u32, n: u32, done_at: u32) -> Answer {
    open(c.data(), fd)?;
    if fd != STDIN {
        return Err(Errno::Badf);
    }
    let stdin = c.data().stdin.clone();
    let waited = stdin.as_ref().is_some_and(|stdin| must_wait(stdin.fd()));
    let mut guest = Guest::from_caller(c)?;
    let mut got = 0;
    if let Some(stdin) = stdin {
        // The first buffer that holds anything; a short read is a read.
        for i in 0..n.min(IOVECS_MAX) {
            let buffer = guest.iovec(list, i)?;
            if buffer.len > 0 {
                if waited {
                    stack::release_dead_pages();
                    stdin.will_wait();
                }
                let watch = guest.host.watch.clone();
                let into = guest.bytes(buffer.at, buffer.len)?;
                let most = into.len().min(PIECE_BYTES);
                let mut read = || read_once(stdin.fd(), &mut into[..most]);
                got = if waited {
                    watch.pause(read).map_err(|_| Errno::Intr)?
                } else {
                    read()
                }?;
                break;
            }
        }
    }
    guest.write_u32(done_at, got)
}

#[inline(never)]
fn must_wait(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0)
}

fn read_once(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Answer<u32> {
    let n = read_some(fd, buffer).map_err(|_| Errno::Io)?;
    u32::try_from(n).map_err(|_| Errno::Io)
}

fn read_some(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<usize> {
    loop {
        match read(fd, buffer) {
            Err(Os::EINTR) => {}
            outcome => return outcome,
        }
    }
}

pub(super) fn fd_write(c: &mut Call<'_>, fd: u32, list: u32, n: u32, done_at: u32) -> Answer {
    open(c.data(), fd)?;
    if fd == STDIN {
        return Err(Errno::Badf);
    }
    if n > IOVECS_MAX {
        return Err(Errno::Inval);
    }
    let mut guest = Guest::from_caller(c)?;
    let grants = &guest.host.grants;
    let to = if fd == STDERR {
        grants.stderr.clone()
    } else {
        grants.stdout.clone()
    };
    let watch = guest.host.watch.clone();
    let mut total = 0_u32;
    for i in 0..n {
        let buffer = guest.iovec(list, i)?;
        guest.bytes(buffer.at, buffer.len)?;
        if let Some(to) = &to {
            guest.host.count_output(u64::from(buffer.len))?;
            let bytes = &guest.memory[buffer.at as usize..][..buffer.len as usize];
            write_all(to.as_fd(), bytes, &watch)?;
        } else if fd == STDERR {
            let bytes = &guest.memory[buffer.at as usize..][..buffer.len as usize];
            guest.host.keep_stderr(bytes);
        }
        total = total.checked_add(buffer.len).ok_or(Errno::Inval)?;
    }
    guest.write_u32(done_at, total)
}

/// `struct fdstat`: file type, flags, rights, inheriting rights.
pub(super) fn fdstat(c: &mut Call<'_>, fd: u32, at: u32) -> Answer {
    const FD_READ: u64 = 1 << 1;
    const FD_WRITE: u64 = 1 << 6;
    const POLL: u64 = 1 << 27;
    open(c.data(), fd)?;
    let rights = POLL | if fd == STDIN { FD_READ } else { FD_WRITE };
    let mut stat = [0_u8; 24];
    stat[8..16].copy_from_slice(&rights.to_le_bytes());
    Guest::from_caller(c)?.write(at, &stat)
}

fn clock_ns(id: u32, ask: fn(ClockId) -> nix::Result<nix::sys::time::TimeSpec>) -> Answer<u64> {
    let id = match id {
        0 => ClockId::CLOCK_REALTIME,
        1 => ClockId::CLOCK_MONOTONIC,
        // The process's and the thread's CPU clocks would tell of other Faaslets.
        _ => return Err(Errno::Notsup),
    };
    let time = ask(id).map_err(|_| Errno::Io)?;
    Ok(time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_nsec().unsigned_abs())
}

fn put_u64(c: &mut Call<'_>, at: u32, value: u64) -> Answer {
    Guest::from_caller(c)?.write(at, &value.to_le_bytes())
}

fn random(c: &mut Call<'_>, at: u32, len: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let watch = guest.host.watch.clone();
    let mut rest = guest.bytes(at, len)?;
    while !rest.is_empty() && !watch.is_late() {
        let most = rest.len().min(PIECE_BYTES);
        // SAFETY: pointer and length lie within a live, exclusively borrowed slice.
        let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), most, 0) };
        match usize::try_from(n) {
            Ok(n) => rest = &mut rest[n..],
            Err(_) if Os::last() == Os::EINTR => {}
            Err(_) => return Err(Errno::Io),
        }
    }
    Ok(())
}
