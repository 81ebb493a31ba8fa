//! One measurement at a time on a host.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::run_dir::{RunDirError, write_error};
use crate::base::home;
use crate::base::lock::{FileLock, LockError};

/// Name of the lock of everything that measures on a host.
pub const MEASURING: &str = "runtime_bench";

/// A lock on the whole host, for measurements that would disturb each other; held until dropped.
#[derive(Debug)]
pub struct HostLock {
    _lock: FileLock,
}

impl HostLock {
    /// Takes the lock `name`, below [`home::runtime`].
    ///
    /// # Errors
    /// [`RunDirError::Busy`] with the holder's pid, or [`RunDirError::Write`].
    pub fn take(name: &str) -> Result<Self, RunDirError> {
        Self::take_in(&home::runtime(), name)
    }

    fn take_in(dir: &Path, name: &str) -> Result<Self, RunDirError> {
        let path = dir.join(format!("{name}.lock"));
        fs::create_dir_all(dir).map_err(|e| write_error(dir, e))?;
        match FileLock::take(&path, Duration::ZERO) {
            Ok(lock) => Ok(Self { _lock: lock }),
            Err(LockError::Busy { pid, .. }) => Err(RunDirError::Busy {
                what: "this host".into(),
                pid,
            }),
            Err(LockError::Io { path, source }) => Err(write_error(&path, source)),
            Err(other) => Err(write_error(&path, io::Error::other(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_held_by_one_and_the_second_learns_by_whom() {
        let dir = tempfile::tempdir().expect("a directory");
        let held = HostLock::take_in(dir.path(), "bench").expect("free");
        let error = HostLock::take_in(dir.path(), "bench").expect_err("busy");
        let me = format!("pid {}", std::process::id());
        assert!(error.to_string().contains(&me), "{error}");
        drop(held);
        HostLock::take_in(dir.path(), "bench").expect("free again");
    }
}
