//! Paths of a program, resolved beneath a directory: whatever they are, and whatever is done to the directories
//! meanwhile, nothing outside is ever opened.
//!
//! The kernel does it in one call, `openat2` with `RESOLVE_BENEATH`: a path or link that is absolute or leads above
//! the directory fails, and so does one that a rename would have led out. Where there is no such call (before Linux
//! 5.6, under some filters), `walk` does the same a component at a time.
//!
//! Calls that take a name in a directory (`mkdirat`, `unlinkat`, ...) get the directory opened that way and a name of
//! one component, and none of them follows a link in that place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, statat};
use rustix::io::Errno as Os;

use super::errno::{Answer, Errno};
use super::walk;

/// No way out, and no links of the kernel's own (`/proc/self/fd/3`), which are not paths at all.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The kernel gives up on a path with `..` when anything is renamed meanwhile. So often it is asked again.
const TRIES: u32 = 32;

/// Opens `path` beneath `dir`. Never waits: for a FIFO's other end, or for a terminal to become ours.
pub(crate) fn open(dir: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Answer<OwnedFd> {
    let mut flags = flags | OFlags::CLOEXEC;
    if !flags.contains(OFlags::PATH) {
        flags |= OFlags::NONBLOCK | OFlags::NOCTTY;
    }
    if has_openat2(dir) {
        for _ in 0..TRIES {
            match openat2(dir, path, flags, mode, BENEATH) {
                Err(Os::AGAIN | Os::INTR) => {}
                Err(Os::XDEV) => return Err(Errno::Perm),
                outcome => return Ok(outcome?),
            }
        }
    }
    walk::open(dir, path, flags, mode)
}

/// Whether the kernel has the call and lets us make it.
fn has_openat2(dir: BorrowedFd<'_>) -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let tried = openat2(dir, ".", flags, Mode::empty(), BENEATH);
        // Filters that do not know it say EPERM.
        !matches!(tried, Err(Os::NOSYS | Os::PERM | Os::INVAL | Os::TOOBIG))
    })
}

/// What `path` beneath `dir` is; of a link in its last place, what it leads to if `follow`.
pub(crate) fn stat(dir: BorrowedFd<'_>, path: &str, follow: bool) -> Answer<Stat> {
    if is_name(path) {
        // A name in the directory itself leads nowhere else unless it is a link that is followed.
        let stat = statat(dir, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)?;
        if !follow || FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(stat);
        }
    }
    Ok(fstat(open_path(dir, path, follow)?)?)
}

/// Opens `path` beneath `dir` to be looked at only, which needs no right to read it.
pub(crate) fn open_path(dir: BorrowedFd<'_>, path: &str, follow: bool) -> Answer<OwnedFd> {
    let flags = if follow {
        OFlags::PATH
    } else {
        OFlags::PATH | OFlags::NOFOLLOW
    };
    open(dir, path, flags, Mode::empty())
}

/// One component that names an entry of the directory.
fn is_name(path: &str) -> bool {
    !path.is_empty() && !path.contains('/') && path != "." && path != ".."
}

/// A directory that was given, or opened on the way.
pub(crate) enum Parent<'a> {
    Given(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Given(fd) => *fd,
            Self::Opened(fd) => fd.as_fd(),
        }
    }
}

/// The directory that `path` names something in, and that name: one component, `.` where the path's last is no name
/// (`a/`, `a/.`, `..`).
pub(crate) fn parent<'a, 'p>(dir: BorrowedFd<'a>, path: &'p str) -> Answer<(Parent<'a>, &'p str)> {
    let (above, name) = split(path)?;
    let parent = if above.is_empty() {
        Parent::Given(dir)
    } else {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Parent::Opened(open(dir, above, flags, Mode::empty())?)
    };
    Ok((parent, name))
}

/// The path of the directory, empty for the one that `path` starts from, and the name in it.
fn split(path: &str) -> Answer<(&str, &str)> {
    let (above, last) = match path.rfind('/') {
        // "/a" is in "/", which is beneath nothing.
        Some(0) => ("/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => ("", path),
    };
    match last {
        "" if path.is_empty() => Err(Errno::Noent),
        "." if above.is_empty() => Ok(("", ".")),
        "" | "." | ".." => Ok((path, ".")),
        name => Ok((above, name)),
    }
}

/// `path` without the slashes at its end.
pub(crate) fn without_slashes(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if !path.is_empty() => "/",
        trimmed => trimmed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_into_a_directory_and_a_name() {
        let cases = [
            ("a", "", "a"),
            (".", "", "."),
            ("..", "..", "."),
            ("a/b", "a", "b"),
            ("a//b", "a/", "b"),
            ("../b", "..", "b"),
            ("a/", "a/", "."),
            ("a/.", "a/.", "."),
            ("a/..", "a/..", "."),
            ("/a", "/", "a"),
            ("/", "/", "."),
            ("...", "", "..."),
        ];
        for (path, above, name) in cases {
            assert_eq!(split(path), Ok((above, name)), "{path}");
        }
        assert_eq!(split(""), Err(Errno::Noent));
    }

    #[test]
    fn only_the_slashes_at_the_end_go() {
        for (path, without) in [
            ("a//", "a"),
            ("/", "/"),
            ("///", "/"),
            ("", ""),
            ("a/b", "a/b"),
        ] {
            assert_eq!(without_slashes(path), without);
        }
    }
}
