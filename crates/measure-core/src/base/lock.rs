//! Locks between processes of ours. Whoever can open a file can hold a lock on it, for ever (flock(2) asks for no right to write), so
//! these are files of their own, open to nobody else, in directories that nobody else can change; and nobody waits for one without an end.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat};

use crate::base::interrupt;
use crate::base::trust::{self, TrustError};

/// Of a lock's file: its owner alone.
const MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
const POLL: Duration = Duration::from_millis(20);

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is locked by {}{}; wait for its end, or end it", path.display(), holder(*pid), waited(limit))]
    Busy {
        /// The lock's file.
        path: PathBuf,
        /// Who has it, where that is known.
        pid: Option<i32>,
        /// How long it was waited for.
        limit: Duration,
    },
    /// Others could hold it for ever.
    #[error("will not lock {}: {cause}, so others could hold the lock for ever; {fix}", path.display())]
    Untrusted {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// What mends it.
        fix: String,
    },
    /// A signal came.
    #[error("interrupted while waiting for the lock {}", .0.display())]
    Interrupted(PathBuf),
    /// The kernel refuses.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

fn holder(pid: Option<i32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("pid {pid}"))
}

fn waited(limit: &Duration) -> String {
    match limit.as_secs() {
        0 => String::new(),
        seconds => format!(", for more than {seconds} s"),
    }
}

impl From<TrustError> for LockError {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::Untrusted { path, cause, fix } => Self::Untrusted { path, cause, fix },
            TrustError::Io { path, source } => Self::Io { path, source },
        }
    }
}

/// A lock, held until this is dropped, which removes its file. Threads exclude each other as processes do.
#[derive(Debug)]
pub struct FileLock {
    file: Flock<File>,
    dir: OwnedFd,
    name: PathBuf,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // While it is still held: who waits for it finds that its file is gone, and makes another. If it stays, that is no harm.
        if is_at(&self.file, &self.dir, &self.name).is_ok_and(|ours| ours) {
            let _ = unlinkat(&self.dir, &self.name, UnlinkatFlags::NoRemoveDir);
        }
    }
}

impl FileLock {
    /// Takes the lock in the file `path`, which is made if need be in a directory that is there, and waits at most `limit` for it.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn take(path: &Path, limit: Duration) -> Result<Self, LockError> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = trust::open(dir.unwrap_or(Path::new(".")))?;
        let name = path.file_name().ok_or_else(|| LockError::Io {
            path: path.to_owned(),
            source: io::ErrorKind::InvalidInput.into(),
        })?;
        Self::take_at(dir.file().as_fd(), Path::new(name), path, limit)
    }

    /// The same of the file `name` in `dir`, which is trusted; `path` is for messages.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn take_at(
        dir: impl AsFd,
        name: &Path,
        path: &Path,
        limit: Duration,
    ) -> Result<Self, LockError> {
        let failed = |source: io::Error| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let deadline = Instant::now() + limit;
        loop {
            let file = open_own(dir.as_fd(), name, path)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut file) => {
                    // Whoever had it may have removed the file.
                    if is_at(&file, &dir, name).map_err(failed)? {
                        let noted = file.set_len(0).and_then(|()| {
                            file.rewind()?;
                            writeln!(file, "{}", std::process::id())
                        });
                        noted.map_err(failed)?;
                        let dir = dir.as_fd().try_clone_to_owned().map_err(failed)?;
                        return Ok(Self {
                            file,
                            dir,
                            name: name.to_owned(),
                        });
                    }
                }
                Err((mut file, Errno::EWOULDBLOCK)) => {
                    if Instant::now() >= deadline {
                        let mut text = String::new();
                        let _ = file.read_to_string(&mut text);
                        return Err(LockError::Busy {
                            path: path.to_owned(),
                            pid: text.trim().parse().ok(),
                            limit,
                        });
                    }
                    if !interrupt::sleep(POLL) {
                        return Err(LockError::Interrupted(path.to_owned()));
                    }
                }
                Err((_, errno)) => return Err(failed(errno.into())),
            }
        }
    }
}

/// Opens the file, or makes it, if it is open to nobody else.
fn open_own(dir: impl AsFd, name: &Path, path: &Path) -> Result<File, LockError> {
    let failed = |source: io::Error| LockError::Io {
        path: path.to_owned(),
        source,
    };
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = openat(&dir, name, flags, MODE).map_err(|e| failed(e.into()))?;
    let file = File::from(file);
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(failed(io::Error::other("it is no file; remove it")));
    }
    trust::require(path, &meta)?;
    if meta.mode() & 0o077 != 0 {
        // One of an earlier version: others may have it open, so it goes.
        let removed = unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir);
        removed.map_err(|e| failed(e.into()))?;
        return open_own(dir, name, path);
    }
    give_to_owner(&dir, &file).map_err(failed)?;
    Ok(file)
}

/// In a directory of another user root makes the lock that user's, who could not open it otherwise.
fn give_to_owner(dir: impl AsFd, file: &File) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = nix::sys::stat::fstat(dir)?;
    let meta = file.metadata()?;
    if owner.st_uid != meta.uid() {
        let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
        fchown(file, Some(uid), Some(gid))?;
        file.set_permissions(Permissions::from_mode(MODE.bits()))?;
    }
    Ok(())
}

/// Whether `file` is what `name` in `dir` names.
fn is_at(file: &File, dir: impl AsFd, name: &Path) -> io::Result<bool> {
    let meta = file.metadata()?;
    match fstatat(dir, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(FileStat { st_dev, st_ino, .. }) => Ok((st_dev, st_ino) == (meta.dev(), meta.ino())),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_second_waits_so_long_and_learns_who_has_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let held = FileLock::take(&path, Duration::ZERO).expect("free");
        let meta = fs::metadata(&path).expect("there");
        assert_eq!(meta.mode() & 0o777, 0o600);
        let begun = Instant::now();
        let limit = Duration::from_millis(100);
        let error = FileLock::take(&path, limit).expect_err("busy").to_string();
        assert!(begun.elapsed() >= limit);
        assert!(
            error.contains(&format!("by pid {}", std::process::id())),
            "{error}"
        );
        drop(held);
        assert!(!path.exists());
        drop(FileLock::take(&path, Duration::ZERO).expect("free again"));
    }

    #[test]
    fn no_two_ever_have_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let inside = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _lock =
                            FileLock::take(&path, Duration::from_secs(60)).expect("in turn");
                        assert!(!inside.swap(true, std::sync::atomic::Ordering::SeqCst));
                        std::thread::yield_now();
                        inside.store(false, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_lock_that_was_removed_is_no_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let held = FileLock::take(&path, Duration::ZERO).expect("free");
        fs::remove_file(&path).expect("removed");
        let _new = FileLock::take(&path, Duration::ZERO).expect("another file");
        FileLock::take(&path, Duration::ZERO).expect_err("busy");
        drop(held);
    }

    #[test]
    fn what_others_could_hold_is_not_locked() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let mode = |path: &Path, bits| {
            fs::set_permissions(path, Permissions::from_mode(bits)).expect("ours");
        };
        // Held by whoever could open what an earlier version left.
        fs::write(&path, "").expect("written");
        mode(&path, 0o644);
        let other = File::open(&path).expect("open");
        let _held = Flock::lock(other, FlockArg::LockExclusive).expect("held");
        drop(FileLock::take(&path, Duration::ZERO).expect("made anew"));
        fs::write(&path, "").expect("written");
        mode(&path, 0o666);
        let error = FileLock::take(&path, Duration::ZERO).expect_err("refused");
        assert!(error.to_string().contains("chmod go-w"), "{error}");
        mode(dir.path(), 0o777);
        let error = FileLock::take(&path, Duration::ZERO).expect_err("refused");
        assert!(
            error.to_string().contains("hold the lock for ever"),
            "{error}"
        );
        mode(dir.path(), 0o700);
        fs::remove_file(&path).expect("removed");
        symlink("elsewhere", &path).expect("a link");
        FileLock::take(&path, Duration::ZERO).expect_err("a link");
        assert!(!dir.path().join("elsewhere").exists());
    }
}
