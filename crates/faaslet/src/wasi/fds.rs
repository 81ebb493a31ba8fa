//! The other functions that are told a descriptor.

use std::num::NonZeroU64;
use std::os::fd::AsFd;

use rustix::fs::{
    Advice, FileType, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fadvise, fdatasync, fstat,
    fsync, ftruncate, futimens,
};
use wasmtime::Linker;

use super::calls;
use super::memory::{Answer, Call, Errno, Guest, code, descriptors_of, functions, known};
use crate::files::descriptors::{Descriptor, Descriptors};
use crate::files::stat;
use crate::host::Host;

functions! {
    fd_close(c, fd: u32) => table(c)?.close(fd);
    fd_renumber(c, from: u32, to: u32) => table(c)?.renumber(from, to);
    fd_prestat_get(c, fd: u32, at: u32) => prestat(c, fd, at);
    fd_prestat_dir_name(c, fd: u32, at: u32, len: u32) => prestat_dir_name(c, fd, at, len);

    fd_fdstat_get(c, fd: u32, at: u32) => fdstat(c, fd, at);
    fd_fdstat_set_flags(c, fd: u32, flags: u32) => set_flags(table(c)?, fd, flags);
    fd_fdstat_set_rights(c, fd: u32, _: u64, _: u64) => match table(c)?.descriptor(fd)? {
        Descriptor::Stream(_) => Err(Errno::Badf),
        _ => Err(Errno::Notsup),
    };
    fd_filestat_get(c, fd: u32, at: u32) => filestat(c, fd, at);
    fd_filestat_set_times(c, fd: u32, atim: u64, mtim: u64, which: u32) =>
        set_times(table(c)?, fd, &times(atim, mtim, which)?);

    fd_advise(c, fd: u32, offset: u64, len: u64, advice: u32) =>
        advise(table(c)?, fd, (offset, len), advice);
    // Linux can; preview 1's other hosts cannot, so programs do without.
    fd_allocate(c, fd: u32, _: u64, _: u64) => table(c)?.file(fd).and(Err(Errno::Notsup));
    fd_datasync(c, fd: u32) => Ok(fdatasync(&table(c)?.file(fd)?.fd)?);
    fd_sync(c, fd: u32) => Ok(fsync(&table(c)?.file(fd)?.fd)?);
    fd_filestat_set_size(c, fd: u32, size: u64) => match table(c)?.file(fd)? {
        file if file.writable => Ok(ftruncate(&file.fd, size)?),
        _ => Err(Errno::Perm),
    };
    fd_readdir(c, fd: u32, at: u32, len: u32, cookie: u64, used: u32) =>
        readdir(c, fd, (at, len), cookie, used);

    // There are no sockets, and no signals.
    sock_accept(c, fd: u32, _: u32, _: u32) => no_socket(c, fd);
    sock_recv(c, fd: u32, _: u32, _: u32, _: u32, _: u32, _: u32) => no_socket(c, fd);
    sock_send(c, fd: u32, _: u32, _: u32, _: u32, _: u32) => no_socket(c, fd);
    sock_shutdown(c, fd: u32, _: u32) => no_socket(c, fd);
    proc_raise(_c, _: u32) => Err(Errno::Notsup);
}

fn table<'a>(c: &'a mut Call<'_>) -> Answer<&'a mut Descriptors> {
    descriptors_of(c.data_mut())
}

fn no_socket(c: &mut Call<'_>, fd: u32) -> Answer {
    table(c)?.descriptor(fd).and(Err(Errno::Notsock))
}

/// What a granted directory is called.
fn granted_name<'a>(guest: &'a mut Guest<'_>, fd: u32, otherwise: Errno) -> Answer<&'a str> {
    let grant = match guest.descriptors()?.descriptor(fd)? {
        Descriptor::Dir(dir) => dir.grant,
        _ => None,
    };
    grant
        .and_then(|grant| guest.host.grants.dirs.get(grant))
        .map(|grant| grant.guest.as_str())
        .ok_or(otherwise)
}

fn prestat(c: &mut Call<'_>, fd: u32, at: u32) -> Answer {
    const DIRECTORY: u32 = 0;
    let mut guest = Guest::from_caller(c)?;
    let len = granted_name(&mut guest, fd, Errno::Badf)?.len();
    let len = u32::try_from(len).map_err(|_| Errno::Overflow)?;
    let mut prestat = [0_u8; 8];
    prestat[..4].copy_from_slice(&DIRECTORY.to_le_bytes());
    prestat[4..].copy_from_slice(&len.to_le_bytes());
    guest.write(at, &prestat)
}

fn prestat_dir_name(c: &mut Call<'_>, fd: u32, at: u32, len: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let name = granted_name(&mut guest, fd, Errno::Notdir)?.to_owned();
    if name.len() > len as usize {
        return Err(Errno::Nametoolong);
    }
    guest.write(at, name.as_bytes())
}

/// Rights of preview 1. They are told, as its libraries ask for them, and bind nobody: what a program may do
/// follows from its grants and from how it opened a file.
mod rights {
    pub(super) const FD_READ: u64 = 1 << 1;
    pub(super) const FD_SEEK: u64 = 1 << 2;
    pub(super) const FD_WRITE: u64 = 1 << 6;
    pub(super) const FD_READDIR: u64 = 1 << 14;
    const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    const SOCK: u64 = 3 << 28;
    pub(super) const ALL: u64 = (1 << 30) - 1;
    /// What can be done with any directory.
    pub(super) const DIRECTORY: u64 =
        ALL & !(FD_SEEK | FD_WRITE | FD_FILESTAT_SET_SIZE | PATH_FILESTAT_SET_SIZE);
    /// What can be done with a granted one, itself: its paths (bits 9 to 26) and no more, for libraries that
    /// expect exactly this.
    pub(super) const GRANTED: u64 = 0x7ff_fe00 & !(FD_FILESTAT_SET_SIZE | PATH_FILESTAT_SET_SIZE);
    /// And with what is opened below it.
    pub(super) const BELOW_GRANTED: u64 = ALL & !(SOCK | PATH_FILESTAT_SET_SIZE);
}

const FDFLAG_APPEND: u32 = 1;
const FDFLAG_NONBLOCK: u32 = 1 << 2;
pub(super) const FDFLAGS_SYNC: u32 = 1 << 1 | 1 << 3 | 1 << 4;
pub(super) const FDFLAGS: u32 = FDFLAG_APPEND | FDFLAG_NONBLOCK | FDFLAGS_SYNC;

/// Whether to append and not to wait.
pub(super) fn append_and_nonblock(flags: u32) -> (bool, bool) {
    (flags & FDFLAG_APPEND != 0, flags & FDFLAG_NONBLOCK != 0)
}

/// `struct fdstat`: kind, flags, rights, rights of what is opened with it.
fn fdstat(c: &mut Call<'_>, fd: u32, at: u32) -> Answer {
    let (kind, flags, rights, inheriting) = match table(c)?.descriptor(fd)? {
        Descriptor::Stream(stream) => {
            let stream = *stream;
            return calls::fdstat(c, stream as u32, at);
        }
        Descriptor::Dir(dir) => {
            let kind = stat::kind(FileType::Directory);
            match dir.grant {
                Some(_) => (kind, 0, rights::GRANTED, rights::BELOW_GRANTED),
                None => (kind, 0, rights::DIRECTORY, rights::DIRECTORY),
            }
        }
        Descriptor::File(file) => {
            let mut rights = rights::ALL;
            if !file.read {
                rights &= !(rights::FD_READ | rights::FD_READDIR);
            }
            if !file.write {
                rights &= !rights::FD_WRITE;
            }
            let append = if file.append { FDFLAG_APPEND } else { 0 };
            let nonblock = if file.nonblock { FDFLAG_NONBLOCK } else { 0 };
            let mode = fstat(&file.fd)?.st_mode;
            let kind = stat::kind(FileType::from_raw_mode(mode));
            (kind, append | nonblock, rights, rights)
        }
    };
    let mut out = [0_u8; 24];
    out[0] = kind;
    out[2..4].copy_from_slice(&flags.to_le_bytes()[..2]);
    out[8..16].copy_from_slice(&rights.to_le_bytes());
    out[16..].copy_from_slice(&inheriting.to_le_bytes());
    Guest::from_caller(c)?.write(at, &out)
}

fn set_flags(table: &mut Descriptors, fd: u32, flags: u32) -> Answer {
    match table.descriptor(fd)? {
        Descriptor::File(file) => {
            if known(flags, FDFLAGS)? & FDFLAGS_SYNC != 0 {
                return Err(Errno::Inval);
            }
            (file.append, file.nonblock) = append_and_nonblock(flags);
            Ok(())
        }
        Descriptor::Stream(_) => calls::no_flags(flags),
        Descriptor::Dir(_) => Err(Errno::Badf),
    }
}

fn filestat(c: &mut Call<'_>, fd: u32, at: u32) -> Answer {
    let stat = match table(c)?.descriptor(fd)? {
        // Nothing of what the host has in their place.
        Descriptor::Stream(_) => [0; stat::FILESTAT_BYTES],
        Descriptor::File(file) => stat::encode(&fstat(&file.fd)?),
        Descriptor::Dir(dir) => stat::encode(&fstat(&dir.fd)?),
    };
    Guest::from_caller(c)?.write(at, &stat)
}

/// The times to set, in ns since 1970, as far as `which` says so.
pub(super) fn times(atim: u64, mtim: u64, which: u32) -> Answer<Timestamps> {
    let which = known(which, 0b1111)?;
    let time = |ns: u64, set: u32, now: u32| {
        let nsec = match (which & set != 0, which & now != 0) {
            (true, true) => return Err(Errno::Inval),
            (true, false) => i64::try_from(ns % 1_000_000_000).unwrap_or(0),
            (false, true) => UTIME_NOW,
            (false, false) => UTIME_OMIT,
        };
        Ok(Timespec {
            tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: nsec,
        })
    };
    Ok(Timestamps {
        last_access: time(atim, 1, 2)?,
        last_modification: time(mtim, 4, 8)?,
    })
}

fn set_times(table: &mut Descriptors, fd: u32, times: &Timestamps) -> Answer {
    let (fd, writable) = match table.descriptor(fd)? {
        Descriptor::Stream(_) => return Err(Errno::Badf),
        Descriptor::File(file) => (file.fd.as_fd(), file.writable),
        Descriptor::Dir(dir) => (dir.fd.as_fd(), dir.writable),
    };
    // The kernel would allow it to whoever owns the file, also through a descriptor that only reads.
    if !writable {
        return Err(Errno::Perm);
    }
    Ok(futimens(fd, times)?)
}

fn advise(table: &mut Descriptors, fd: u32, range: (u64, u64), advice: u32) -> Answer {
    let file = table.file(fd)?;
    let advice = match advice {
        // 4 is to forget what is cached of it, for others too who read it, however much that is.
        0 | 4 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Inval),
    };
    if i64::try_from(range.0).is_err() || i64::try_from(range.1).is_err() {
        return Err(Errno::Inval);
    }
    Ok(fadvise(
        &file.fd,
        range.0,
        NonZeroU64::new(range.1),
        advice,
    )?)
}

fn readdir(c: &mut Call<'_>, fd: u32, buffer: (u32, u32), cookie: u64, used_at: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let (at, len) = buffer;
    guest.bytes(at, len)?;
    let Guest { memory, host } = &mut guest;
    let watch = host.watch.clone();
    let dir = descriptors_of(host)?.dir(fd)?;
    let out = memory
        .get_mut(at as usize..)
        .and_then(|rest| rest.get_mut(..len as usize))
        .ok_or(Errno::Fault)?;
    let late = || watch.is_late();
    let used = dir.listing.read(dir.fd.as_fd(), cookie, out, &late)?;
    guest.write_u32(used_at, u32::try_from(used).map_err(|_| Errno::Overflow)?)
}
