//! Directories of our own for sockets, snapshots and initrds; gone when dropped, or at the next `clean`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use measure_core::base::home;
use measure_core::base::label;
use measure_core::driver_kit::DriverError;
use nix::unistd::getpid;

use crate::firecracker::jail;

/// What our directories are called, after the label and the process id; a number follows.
const WHAT: &str = "microvm-";

/// A directory that is removed with everything in it on drop.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one on a file system that may keep much (snapshots).
    ///
    /// # Errors
    /// It cannot be made.
    pub fn large() -> Result<Self, DriverError> {
        Self::below(&home::state())
    }

    /// A new one whose path is short enough for a socket.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn short() -> Result<Self, DriverError> {
        Self::below(&home::runtime())
    }

    fn below(parent: &Path) -> Result<Self, DriverError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = label::name(getpid().as_raw(), &format!("{WHAT}{number}"));
        let path = parent.join(name);
        let made = fs::create_dir_all(parent).and_then(|()| {
            // Left by a dead process whose id is ours now.
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path)
        });
        made.map_err(|e| DriverError::failed(format!("cannot make {}", path.display()), e))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the directories of this driver whose makers are gone, with what still runs in jails there, and returns them.
///
/// # Errors
/// One could not be removed.
pub fn remove_orphans() -> Result<Vec<PathBuf>, DriverError> {
    let mut removed = Vec::new();
    for parent in [home::state(), home::runtime()] {
        for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_ours(name)) else {
                continue;
            };
            if label::is_orphan(name) {
                let path = entry.path();
                jail::kill_inmates(&path);
                match fs::remove_dir_all(&path) {
                    Ok(()) => {}
                    // Another `clean` was faster.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => {
                        let what = format!("cannot remove {}", path.display());
                        return Err(DriverError::failed(what, e));
                    }
                }
                removed.push(path);
            }
        }
    }
    Ok(removed)
}

fn is_ours(name: &str) -> bool {
    let what = name.splitn(3, '.').nth(2);
    label::owner(name).is_some() && what.is_some_and(|what| what.starts_with(WHAT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_drivers_things_are_not_ours() {
        assert!(is_ours("faasm-bench.7.microvm-0"));
        for foreign in [
            "faasm-bench.7.engine",
            "microvm-0",
            "faasm-bench.x.microvm-0",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_directory_goes_with_its_content() {
        let parent = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::below(parent.path()).expect("made");
        let path = scratch.path().to_owned();
        fs::write(path.join("snapshot"), "x").expect("written");
        drop(scratch);
        assert!(!path.exists() && parent.path().exists());
    }
}
