//! Mount points that a command must not see: some runtimes refuse what the host has mounted.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use measure_core::driver_kit::DriverError;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use super::workdir::mounts_below;

/// The calling thread, and the threads and processes that it makes from here on, are in a mount namespace
/// without certain mounts. The thread returns from it on drop.
#[derive(Debug)]
pub(super) struct HiddenMounts {
    before: File,
    directory: Option<PathBuf>,
}

impl HiddenMounts {
    /// Hides those of `points` that are mounted; `None` if none is.
    ///
    /// # Errors
    /// The kernel refuses the namespace.
    pub(super) fn enter(points: &[String]) -> Result<Option<Self>, DriverError> {
        let mounted = mounts_below(Path::new("/"));
        let is_mounted = |point: &&String| mounted.iter().any(|at| at == Path::new(point));
        let points: Vec<&String> = points.iter().filter(is_mounted).collect();
        if points.is_empty() {
            return Ok(None);
        }
        let hidden = Self {
            before: File::open("/proc/thread-self/ns/mnt")
                .map_err(|e| DriverError::failed("no mount namespace", e))?,
            directory: env::current_dir().ok(),
        };
        let hide = || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            // What is unmounted here stays mounted for all others.
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
            points
                .iter()
                .try_for_each(|point| umount2(point.as_str(), MntFlags::MNT_DETACH))
        };
        hide().map_err(|e| DriverError::Unavailable {
            why: format!("the kernel refuses a mount namespace without {points:?}: {e}"),
            mend: "run it as root".into(),
        })?;
        Ok(Some(hidden))
    }
}

impl Drop for HiddenMounts {
    fn drop(&mut self) {
        // A thread may change its mount namespace only if it shares root and directory with no other.
        let back = unshare(CloneFlags::CLONE_FS)
            .and_then(|()| setns(&self.before, CloneFlags::CLONE_NEWNS));
        if let Err(error) = back {
            eprintln!("warning: cannot return to the host's mounts: {error}");
        }
        if let Some(directory) = &self.directory {
            let _ = env::set_current_dir(directory);
        }
    }
}
