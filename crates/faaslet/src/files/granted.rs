//! Directories that are granted, opened where no link can have taken their place: a program that may write to what lies
//! above one could have put it there.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno as Os;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Opens the directory `path`, on the way to which there is no symbolic link.
pub(crate) fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
    let opened = match openat2(CWD, path, DIRECTORY, Mode::empty(), NO_LINKS) {
        // No such call here; a directory that may not be opened says so again.
        Err(Os::NOSYS | Os::PERM) => step_by_step(path),
        opened => opened,
    };
    opened.map_err(|errno| match errno {
        Os::LOOP => is_link(path),
        other => other.into(),
    })
}

/// The path of the directory `path`, on the way to which there is no symbolic link, without `..`.
pub(crate) fn path_without_links(path: &Path) -> io::Result<PathBuf> {
    let dir = open_without_links(path)?;
    // The kernel's own name of what was opened.
    fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))
}

fn step_by_step(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let start = if path.is_absolute() { "/" } else { "." };
    let mut here = openat(CWD, start, flags, Mode::empty())?;
    for part in path.components() {
        let name = match part {
            Component::Normal(name) => name,
            Component::ParentDir => "..".as_ref(),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        };
        here = match openat(here.as_fd(), name, flags, Mode::empty()) {
            // What is a link is no directory.
            Err(Os::NOTDIR) if is_a_link(here.as_fd(), name) => return Err(Os::LOOP),
            opened => opened?,
        };
    }
    openat(here, ".", DIRECTORY, Mode::empty())
}

fn is_a_link(dir: impl AsFd, name: &std::ffi::OsStr) -> bool {
    rustix::fs::readlinkat(dir, name, Vec::new()).is_ok()
}

fn is_link(path: &Path) -> io::Error {
    let to = match path.canonicalize() {
        Ok(to) => format!(", if that is meant: {}", to.display()),
        Err(_) => String::new(),
    };
    io::Error::other(format!(
        "it is a symbolic link, or lies behind one, which a program could have put there; grant the directory itself{to}"
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn no_link_is_followed_either_way() {
        let top = tempfile::tempdir().expect("a directory");
        let top = top.path().canonicalize().expect("there");
        fs::create_dir_all(top.join("a/b")).expect("directories");
        symlink("a", top.join("link")).expect("a link");
        symlink("../a/b", top.join("a/link")).expect("a link");
        let inode = |fd: OwnedFd| fs::File::from(fd).metadata().expect("open").ino();
        let there = fs::metadata(top.join("a/b")).expect("there").ino();
        for path in ["a/b", "a/../a/./b", "a/b/"] {
            let path = top.join(path);
            assert_eq!(inode(open_without_links(&path).expect("no link")), there);
            assert_eq!(inode(step_by_step(&path).expect("no link")), there);
            assert_eq!(path_without_links(&path).expect("no link"), top.join("a/b"));
        }
        for path in ["link", "link/b", "a/link", "a/link/"] {
            let path = top.join(path);
            let said = open_without_links(&path).expect_err("a link").to_string();
            assert!(
                said.contains("a symbolic link") && said.contains("if that is meant"),
                "{said}"
            );
            assert_eq!(
                step_by_step(&path).map(inode),
                Err(Os::LOOP),
                "{}",
                path.display()
            );
        }
        let missing = step_by_step(&top.join("nothing")).map(inode);
        assert_eq!(missing, Err(Os::NOENT));
    }
}
