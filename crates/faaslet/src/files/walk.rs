//! Resolves a path a component at a time, where the kernel cannot do it beneath a directory in one call.
//!
//! Each component is opened by its name in the directory before it and never as a link; the text of a link takes its
//! place in the path. `..` goes back to the directory that was opened before, whatever its parent may have become.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno as Os;

use super::errno::{Answer, Errno};

/// As many links as the kernel follows in one path.
const LINKS_MAX: u32 = 40;

/// Each directory on the way holds a descriptor, which no budget counts.
const DEPTH_MAX: usize = 128;

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The directories between it and where we are.
    below: Vec<OwnedFd>,
    /// Components that are left, the next one last.
    left: Vec<Vec<u8>>,
    links: u32,
}

/// Opens `path` beneath `root`.
pub(crate) fn open(root: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Answer<OwnedFd> {
    let mut walk = Walk {
        root,
        below: Vec::new(),
        left: Vec::new(),
        links: 0,
    };
    walk.put_before(path.as_bytes())?;
    while let Some(name) = walk.left.pop() {
        let is_last = walk.left.is_empty();
        match name.as_slice() {
            b".." => {
                walk.below.pop().ok_or(Errno::Perm)?;
                if is_last {
                    walk.left.push(b".".to_vec());
                }
            }
            b"." if !is_last => {}
            b"." => return Ok(openat(walk.here(), ".", flags | OFlags::NOFOLLOW, mode)?),
            _ if is_last => {
                if let Some(fd) = walk.last(name, flags, mode)? {
                    return Ok(fd);
                }
            }
            _ => walk.step(&name)?,
        }
    }
    Err(Errno::Noent)
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.below.last().map_or(self.root, AsFd::as_fd)
    }

    /// What comes next is `path`, then what was left.
    fn put_before(&mut self, path: &[u8]) -> Answer {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        if path.starts_with(b"/") {
            return Err(Errno::Perm);
        }
        if path.ends_with(b"/") {
            self.left.push(b".".to_vec());
        }
        let components = path.split(|&byte| byte == b'/');
        self.left.extend(
            components
                .rev()
                .filter(|component| !component.is_empty())
                .map(<[u8]>::to_vec),
        );
        Ok(())
    }

    /// Whether `name` was a link, whose text now takes its place.
    fn is_link(&mut self, name: &[u8]) -> Answer<bool> {
        let Ok(text) = readlinkat(self.here(), name, Vec::new()) else {
            return Ok(false);
        };
        self.count_link()?;
        self.put_before(text.as_bytes())?;
        Ok(true)
    }

    fn count_link(&mut self) -> Answer {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::Loop);
        }
        Ok(())
    }

    fn step(&mut self, name: &[u8]) -> Answer {
        if !self.is_link(name)? {
            if self.below.len() == DEPTH_MAX {
                return Err(Errno::Mfile);
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let dir = openat(self.here(), name, flags, Mode::empty())?;
            self.below.push(dir);
        }
        Ok(())
    }

    /// What the last component is opened as; nothing if it was a link, which is then what is left.
    fn last(&mut self, name: Vec<u8>, flags: OFlags, mode: Mode) -> Answer<Option<OwnedFd>> {
        let follow =
            !flags.contains(OFlags::NOFOLLOW) && !flags.contains(OFlags::CREATE | OFlags::EXCL);
        if follow && self.is_link(&name)? {
            return Ok(None);
        }
        let opened = openat(self.here(), name.as_slice(), flags | OFlags::NOFOLLOW, mode);
        let is_link_now = follow
            && match &opened {
                Ok(fd) if flags.contains(OFlags::PATH) => {
                    FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Symlink
                }
                outcome => matches!(outcome, Err(Os::LOOP)),
            };
        if is_link_now {
            // It was put there between the two calls.
            self.count_link()?;
            self.left.push(name);
            return Ok(None);
        }
        Ok(Some(opened?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use rustix::fs::{ResolveFlags, openat2};
    use rustix::io::read;
    use tempfile::TempDir;

    const SECRET: &str = "secret";

    fn tree() -> (TempDir, File) {
        let dir = TempDir::new().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("top/d/e")).expect("directories");
        fs::create_dir(at("outside")).expect("a directory");
        for file in ["top/a", "top/d/f", "top/d/e/f"] {
            fs::write(at(file), "inside").expect("a file");
        }
        fs::write(at("outside/f"), SECRET).expect("a file");
        let links = [
            ("to-d", "d"),
            ("d/up", ".."),
            ("slash", "d/"),
            ("deep", "to-d/e/../../to-d/up/d/f"),
            ("out", "../outside"),
            ("loop", "loop"),
            ("dangling", "nothing"),
            ("out-slash", "../outside/"),
            ("up-slash", "../"),
            ("file-slash", "a/"),
        ];
        for (link, text) in links {
            symlink(text, at("top").join(link)).expect("a link");
        }
        symlink(at("outside"), at("top/absolute")).expect("a link");
        let top = File::open(at("top")).expect("a directory");
        (dir, top)
    }

    #[test]
    fn every_path_is_resolved_as_the_kernel_does_it() {
        let (_dir, top) = tree();
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let parts = [
            "a",
            "d",
            "d/e",
            "f",
            "..",
            ".",
            "to-d",
            "up",
            "slash",
            "deep",
            "out",
            "loop",
            "dangling",
            "absolute",
            "nothing",
            "",
            "d/f/",
            "out-slash",
            "up-slash",
            "file-slash",
        ];
        let mut paths: Vec<String> = Vec::new();
        for one in parts {
            paths.push(one.to_owned());
            paths.push(format!("{one}/"));
            paths.extend(parts.map(|two| format!("{one}/{two}")));
        }
        for path in paths {
            for flags in [
                OFlags::RDONLY,
                OFlags::PATH,
                OFlags::PATH | OFlags::NOFOLLOW,
                OFlags::RDONLY | OFlags::NOFOLLOW,
                OFlags::RDONLY | OFlags::DIRECTORY,
            ] {
                // While anyone on the host renames, the kernel may be unable to tell that `..` stays beneath, and says so.
                let kernel = loop {
                    match openat2(&top, path.as_str(), flags, Mode::empty(), beneath) {
                        Err(Os::AGAIN) => {}
                        opened => break opened,
                    }
                };
                if kernel.as_ref().is_err_and(|&error| error == Os::NOSYS) {
                    eprintln!("SKIPPED: comparison with openat2: this kernel has no such call");
                    return;
                }
                let inode = |fd: OwnedFd| File::from(fd).metadata().expect("a file").ino();
                let kernel = kernel.map(inode).map_err(|error| match error {
                    Os::XDEV => Errno::Perm,
                    other => other.into(),
                });
                let ours = open(top.as_fd(), &path, flags, Mode::empty()).map(inode);
                assert_eq!(ours, kernel, "{path} {flags:?}");
            }
        }
    }

    #[test]
    fn files_are_created_inside_and_not_through_a_link_that_leads_out() {
        let (dir, top) = tree();
        symlink("../outside/new", dir.path().join("top/bad")).expect("a link");
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let create = |path, more| open(top.as_fd(), path, flags | more, Mode::from_raw_mode(0o600));
        assert!(create("d/new", OFlags::empty()).is_ok());
        assert!(create("dangling", OFlags::EXCL).is_err());
        assert!(create("dangling", OFlags::empty()).is_ok());
        assert!(dir.path().join("top/nothing").is_file());
        assert_eq!(create("bad", OFlags::empty()).err(), Some(Errno::Perm));
        assert_eq!(create("out/new", OFlags::empty()).err(), Some(Errno::Perm));
        assert_eq!(
            fs::read_dir(dir.path().join("outside"))
                .expect("entries")
                .count(),
            1
        );
    }

    #[test]
    fn a_directory_that_becomes_a_link_meanwhile_does_not_lead_out() {
        let (dir, top) = tree();
        let at = |name: &str| dir.path().join(name);
        let stop = AtomicBool::new(false);
        symlink(at("outside"), at("link")).expect("a link");
        thread::scope(|scope| {
            scope.spawn(|| {
                let rename = |from, to| fs::rename(at(from), at(to)).expect("renamed");
                while !stop.load(Ordering::Relaxed) {
                    rename("top/d", "away");
                    rename("link", "top/d");
                    rename("top/d", "link");
                    rename("away", "top/d");
                }
            });
            let paths = ["d/f", "to-d/f", "d/e/../f", "deep"].repeat(2000);
            let led_out = paths.into_iter().find(|path| {
                let mut text = [0; 10];
                let opened = open(top.as_fd(), path, OFlags::RDONLY, Mode::empty());
                let n = opened.map_or(0, |fd| read(&fd, &mut text).unwrap_or(0));
                &text[..n] == SECRET.as_bytes()
            });
            stop.store(true, Ordering::Relaxed);
            assert_eq!(led_out, None);
        });
    }
}
