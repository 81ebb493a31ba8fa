//! The functions that are told a path.

use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fstat, linkat, mkdirat, readlinkat, renameat, symlinkat,
    unlinkat, utimensat,
};
use rustix::io::Errno as Os;
use wasmtime::Linker;

use super::fds::{self, FDFLAGS, FDFLAGS_SYNC};
use super::memory::{Answer, Call, Errno, Guest, code, functions, known};
use crate::budget::{BLOCK_BYTES, CountedBlocks};
use crate::files::descriptors::{Descriptor, Dir, File};
use crate::files::{resolve, stat};
use crate::host::Host;

/// Address and length of a path.
type Text = (u32, u32);

functions! {
    path_create_directory(c, fd: u32, path: u32, len: u32) => create_directory(c, fd, (path, len));
    path_filestat_get(c, fd: u32, lookup: u32, path: u32, len: u32, at: u32) =>
        filestat(c, fd, lookup, (path, len), at);
    path_filestat_set_times(c, fd: u32, lookup: u32, path: u32, len: u32, atim: u64, mtim: u64, which: u32) =>
        set_times(c, fd, lookup, (path, len), (atim, mtim, which));
    path_link(c, fd: u32, lookup: u32, path: u32, len: u32, to: u32, new: u32, new_len: u32) =>
        hard_link(c, (fd, to), lookup, (path, len), (new, new_len));
    path_open(
        c, fd: u32, lookup: u32, path: u32, len: u32, oflags: u32, rights: u64, inheriting: u64, fdflags: u32, at: u32
    ) => {
        let rights = rights | (inheriting & !RIGHTS);
        path_open(c, fd, (path, len), &How { lookup, oflags, rights, fdflags }, at)
    };
    path_readlink(c, fd: u32, path: u32, len: u32, at: u32, room: u32, used: u32) =>
        readlink(c, fd, (path, len), (at, room), used);
    path_remove_directory(c, fd: u32, path: u32, len: u32) =>
        unlink(c, fd, (path, len), AtFlags::REMOVEDIR);
    path_rename(c, fd: u32, path: u32, len: u32, to: u32, new: u32, new_len: u32) =>
        rename(c, (fd, to), (path, len), (new, new_len));
    path_symlink(c, text: u32, text_len: u32, fd: u32, path: u32, len: u32) =>
        symlink(c, (text, text_len), fd, (path, len));
    path_unlink_file(c, fd: u32, path: u32, len: u32) =>
        unlink(c, fd, (path, len), AtFlags::empty());
}

/// Whether a link in the last place is followed.
fn follows(lookup: u32) -> Answer<bool> {
    Ok(known(lookup, 1)? != 0)
}

struct How {
    lookup: u32,
    oflags: u32,
    rights: u64,
    fdflags: u32,
}

const CREATE: u32 = 1;
const DIRECTORY: u32 = 1 << 1;
const EXCLUSIVE: u32 = 1 << 2;
const TRUNCATE: u32 = 1 << 3;
const FD_READ: u64 = 1 << 1;
const FD_WRITE: u64 = 1 << 6;
const RIGHTS: u64 = (1 << 30) - 1;

impl How {
    /// Flags for the kernel, and whether it is opened to be read and to be written to.
    fn flags(&self) -> Answer<(OFlags, bool, bool)> {
        let oflags = known(self.oflags, CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE)?;
        if self.rights & !RIGHTS != 0 {
            return Err(Errno::Inval);
        }
        if known(self.fdflags, FDFLAGS)? & FDFLAGS_SYNC != 0 {
            return Err(Errno::Notsup);
        }
        let changes = oflags & (CREATE | TRUNCATE) != 0;
        if oflags & DIRECTORY != 0 && (changes || oflags & EXCLUSIVE != 0) {
            return Err(Errno::Inval);
        }
        let asked = self.rights & FD_WRITE != 0;
        let (read, write) = (self.rights & FD_READ != 0 || !asked, asked || changes);
        let mut flags = match (read, write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        flags.set(OFlags::NOFOLLOW, !follows(self.lookup)?);
        flags.set(OFlags::DIRECTORY, oflags & DIRECTORY != 0);
        if oflags & CREATE != 0 {
            flags |= OFlags::CREATE;
            flags.set(OFlags::EXCL, oflags & EXCLUSIVE != 0);
        }
        // A file that is new is empty.
        flags.set(
            OFlags::TRUNC,
            oflags & TRUNCATE != 0 && !flags.contains(OFlags::EXCL),
        );
        Ok((flags, read, write))
    }
}

fn path_open(c: &mut Call<'_>, fd: u32, path: Text, how: &How, at: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let path = guest.path(path.0, path.1)?;
    guest.bytes(at, 4)?;
    if how.oflags & CREATE != 0 {
        guest.host.may_write(BLOCK_BYTES)?;
    }
    let table = guest.descriptors()?;
    // Nothing is created for which there is no number then.
    table.make_room()?;
    let dir = match table.descriptor(fd)? {
        Descriptor::Dir(dir) => &*dir,
        Descriptor::File(_) => return Err(Errno::Notdir),
        Descriptor::Stream(_) => return Err(Errno::Badf),
    };
    let (flags, read, write) = how.flags()?;
    let writable = dir.writable;
    if write && !writable {
        return Err(Errno::Perm);
    }
    let mode = if flags.contains(OFlags::CREATE) {
        Mode::from_raw_mode(0o666)
    } else {
        Mode::empty()
    };
    let creates = flags.contains(OFlags::CREATE);
    let fd = dir.fd.as_fd();
    let opened = resolve::open(fd, &path, flags, mode)?;
    let stat = fstat(&opened)?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let (append, nonblock) = fds::append_and_nonblock(how.fdflags);
    let descriptor = if is_dir {
        Descriptor::Dir(Box::new(Dir::opened(opened, writable)))
    } else {
        Descriptor::File(File {
            fd: opened,
            writable,
            read,
            write,
            append,
            nonblock,
            position: 0,
            blocks: CountedBlocks::default(),
        })
    };
    let number = table.insert(descriptor)?;
    // It may have been there, but then it is no larger than what is new.
    if creates && stat.st_size == 0 {
        guest.host.count_written(BLOCK_BYTES)?;
    }
    guest.write_u32(at, number)
}

fn create_directory(c: &mut Call<'_>, fd: u32, path: Text) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let path = guest.path(path.0, path.1)?;
    guest.host.count_written(BLOCK_BYTES)?;
    let dir = guest.descriptors()?.dir(fd)?.for_changes()?;
    // "a/" is no other name than "a" here, though there is no "a" yet.
    let (parent, name) = resolve::parent(dir, resolve::without_slashes(&path))?;
    Ok(mkdirat(parent, name, Mode::from_raw_mode(0o777))?)
}

fn filestat(c: &mut Call<'_>, fd: u32, lookup: u32, path: Text, at: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let path = guest.path(path.0, path.1)?;
    let dir = guest.descriptors()?.dir(fd)?;
    let stat = resolve::stat(dir.fd.as_fd(), &path, follows(lookup)?)?;
    guest.write(at, &stat::encode(&stat))
}

fn set_times(
    c: &mut Call<'_>,
    fd: u32,
    lookup: u32,
    path: Text,
    (atim, mtim, which): (u64, u64, u32),
) -> Answer {
    let times = fds::times(atim, mtim, which)?;
    let mut guest = Guest::from_caller(c)?;
    let path = guest.path(path.0, path.1)?;
    let dir = guest.descriptors()?.dir(fd)?.for_changes()?;
    if !follows(lookup)? {
        let (parent, name) = resolve::parent(dir, &path)?;
        return Ok(utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?);
    }
    let opened = resolve::open_path(dir, &path, true)?;
    match utimensat(&opened, "", &times, AtFlags::EMPTY_PATH) {
        // Before Linux 5.8: the same file by the kernel's name for our descriptor.
        Err(Os::INVAL | Os::NOENT) => {
            let name = format!("/proc/self/fd/{}", opened.as_raw_fd());
            Ok(utimensat(CWD, name, &times, AtFlags::empty())?)
        }
        outcome => Ok(outcome?),
    }
}

fn readlink(c: &mut Call<'_>, fd: u32, path: Text, room: (u32, u32), used_at: u32) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let path = guest.path(path.0, path.1)?;
    let dir = guest.descriptors()?.dir(fd)?.fd.as_fd();
    let (parent, name) = resolve::parent(dir, &path)?;
    let text = readlinkat(parent, name, Vec::new())?;
    let text = text.to_bytes();
    // A path of the host, of which a program is told nothing.
    if text.starts_with(b"/") {
        return Err(Errno::Perm);
    }
    std::str::from_utf8(text).map_err(|_| Errno::Ilseq)?;
    let text = &text[..text.len().min(room.1 as usize)];
    guest.write(room.0, text)?;
    guest.write_u32(
        used_at,
        u32::try_from(text.len()).map_err(|_| Errno::Overflow)?,
    )
}

fn unlink(c: &mut Call<'_>, fd: u32, path: Text, flags: AtFlags) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let path = guest.path(path.0, path.1)?;
    let dir = guest.descriptors()?.dir(fd)?.for_changes()?;
    let (parent, name) = resolve::parent(dir, &path)?;
    Ok(unlinkat(parent, name, flags)?)
}

fn hard_link(
    c: &mut Call<'_>,
    (from_fd, to_fd): (u32, u32),
    lookup: u32,
    from: Text,
    to: Text,
) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let from = guest.path(from.0, from.1)?;
    let to = guest.path(to.0, to.1)?;
    guest.host.count_written(BLOCK_BYTES)?;
    let (from_dir, to_dir) = guest.descriptors()?.two_dirs(from_fd, to_fd)?;
    let (from_dir, to_dir) = (from_dir.for_changes()?, to_dir.for_changes()?);
    // The link itself or nothing: what it leads to cannot be named in the same call.
    if follows(lookup)? {
        return Err(Errno::Inval);
    }
    let (from_parent, from_name) = resolve::parent(from_dir, &from)?;
    let (to_parent, to_name) = resolve::parent(to_dir, &to)?;
    Ok(linkat(
        from_parent,
        from_name,
        to_parent,
        to_name,
        AtFlags::empty(),
    )?)
}

fn rename(c: &mut Call<'_>, (from_fd, to_fd): (u32, u32), from: Text, to: Text) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let from = guest.path(from.0, from.1)?;
    let to = guest.path(to.0, to.1)?;
    let (from_dir, to_dir) = guest.descriptors()?.two_dirs(from_fd, to_fd)?;
    let (from_dir, to_dir) = (from_dir.for_changes()?, to_dir.for_changes()?);
    let is_dir = from.ends_with('/') || to.ends_with('/');
    let (from_parent, from_name) = resolve::parent(from_dir, resolve::without_slashes(&from))?;
    let (to_parent, to_name) = resolve::parent(to_dir, resolve::without_slashes(&to))?;
    if is_dir {
        // The kernel then refuses all but directories; it follows no link for it.
        let from_name = format!("{from_name}/");
        Ok(renameat(from_parent, from_name, to_parent, to_name)?)
    } else {
        Ok(renameat(from_parent, from_name, to_parent, to_name)?)
    }
}

fn symlink(c: &mut Call<'_>, text: Text, fd: u32, path: Text) -> Answer {
    let mut guest = Guest::from_caller(c)?;
    let text = guest.path(text.0, text.1)?;
    let path = guest.path(path.0, path.1)?;
    guest.host.count_written(BLOCK_BYTES)?;
    let dir = guest.descriptors()?.dir(fd)?.for_changes()?;
    // It would lead nowhere for the program, but others who follow it are not confined.
    if text.starts_with('/') {
        return Err(Errno::Perm);
    }
    let (parent, name) = resolve::parent(dir, &path)?;
    Ok(symlinkat(text, parent, name)?)
}
