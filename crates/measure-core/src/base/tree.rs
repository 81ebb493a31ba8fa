//! Removing directories that functions filled.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Whoever still writes there can keep nobody at it for ever.
const ENTRIES_MAX: u64 = 100_000_000;

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Removes the directory `path` with all that lies below it.
///
/// However deep that is: a function can make more levels than the standard library's way, a descriptor and a frame of the stack for
/// each, has room for. Here a directory that lies deeper is moved up, beside those that are emptied next. No link is followed, though
/// others may still write there.
///
/// # Errors
/// There is none, or something of it cannot be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let root = openat(AT_FDCWD, path, DIRECTORY, Mode::empty())?;
    let mut emptying = Emptying {
        root,
        moved: 0,
        left: ENTRIES_MAX,
    };
    emptying.empty_root()?;
    fs::remove_dir(path)
}

struct Emptying {
    root: OwnedFd,
    /// Directories that were moved up: their names are numbers.
    moved: u64,
    left: u64,
}

impl Emptying {
    fn empty_root(&mut self) -> io::Result<()> {
        loop {
            let names = names(&self.root)?;
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                self.count()?;
                if !is_removed(&self.root, &name)? {
                    self.empty_child(&name)?;
                }
            }
        }
    }

    /// Removes the directory `child` of the root, after what lies in it; directories there come to lie in the root.
    fn empty_child(&mut self, child: &OsStr) -> io::Result<()> {
        let dir = openat(&self.root, child, DIRECTORY, Mode::empty())?;
        loop {
            let names = names(&dir)?;
            if names.is_empty() {
                return Ok(unlinkat(&self.root, child, UnlinkatFlags::RemoveDir)?);
            }
            for name in names {
                self.count()?;
                if !is_removed(&dir, &name)? {
                    self.move_up(&dir, &name)?;
                }
            }
        }
    }

    fn move_up(&mut self, dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
        loop {
            self.count()?;
            self.moved += 1;
            let free = self.moved.to_string();
            match renameat(dir, name, &self.root, free.as_str()) {
                // Something is called that.
                Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
                moved => return Ok(moved?),
            }
        }
    }

    fn count(&mut self) -> io::Result<()> {
        let more = self.left.checked_sub(1);
        self.left = more.ok_or_else(|| io::Error::other("something keeps writing there"))?;
        Ok(())
    }
}

/// Whether `name` in `dir` was no directory, and is gone.
fn is_removed(dir: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::EISDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn names(dir: &OwnedFd) -> io::Result<Vec<OsString>> {
    // By descriptor, so that it is this directory whatever its path has become.
    fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_lies_below_goes_and_nothing_else() {
        let top = tempfile::tempdir().expect("a directory");
        let (tree, outside) = (top.path().join("tree"), top.path().join("outside"));
        fs::create_dir_all(tree.join("a/b/c")).expect("directories");
        fs::create_dir_all(tree.join("1/1/1")).expect("names that it would give");
        fs::create_dir(&outside).expect("a directory");
        for file in ["tree/f", "tree/2", "tree/a/f", "tree/a/b/c/f", "outside/f"] {
            fs::write(top.path().join(file), "").expect("a file");
        }
        symlink(&outside, tree.join("link")).expect("a link");
        symlink("../../outside", tree.join("a/link")).expect("a link");
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists());
        assert!(outside.join("f").exists());
        // Nor what a link in its own place leads to.
        symlink(&outside, &tree).expect("a link");
        remove_tree(&tree).expect_err("a link");
        assert!(outside.join("f").exists());
        remove_tree(&top.path().join("nothing")).expect_err("nothing");
    }

    #[test]
    fn no_tree_is_too_deep() {
        let top = tempfile::tempdir().expect("a directory");
        let tree = top.path().join("tree");
        fs::create_dir(&tree).expect("a directory");
        let mut here = openat(AT_FDCWD, &tree, DIRECTORY, Mode::empty()).expect("open");
        // More than a process may usually have open, and more than a path can name.
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&here, "d", Mode::S_IRWXU).expect("a directory");
            here = openat(&here, "d", DIRECTORY, Mode::empty()).expect("open");
        }
        drop(here);
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists());
    }
}
