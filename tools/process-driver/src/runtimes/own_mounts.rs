//! Mounts that are a rung's own: some runtimes refuse what the host has mounted, some keep what they need at fixed places of the
//! host's.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use measure_core::driver_kit::DriverError;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use super::workdir::mounts_below;

/// The calling thread, and the threads and processes that it makes from here on, are in a mount namespace
/// without certain mounts, and with directories of its own in the place of certain others. The thread returns from it on drop; what
/// was mounted in there goes with its last process.
#[derive(Debug)]
pub(super) struct OwnMounts {
    before: File,
    directory: Option<PathBuf>,
    /// Directories that had to be made, to have something mounted on them.
    made: Vec<PathBuf>,
}

impl OwnMounts {
    /// Takes away those of `hidden` that are mounted, and puts an empty directory in the place of each of `private`; `None` if there
    /// is nothing to do.
    ///
    /// # Errors
    /// The kernel refuses the namespace, or a directory cannot be made.
    pub(super) fn enter(
        hidden: &[String],
        private: &[String],
    ) -> Result<Option<Self>, DriverError> {
        let mounted = mounts_below(Path::new("/"));
        let is_mounted = |point: &&String| mounted.iter().any(|at| at == Path::new(point));
        let hidden: Vec<&String> = hidden.iter().filter(is_mounted).collect();
        if hidden.is_empty() && private.is_empty() {
            return Ok(None);
        }
        let before = File::open("/proc/thread-self/ns/mnt");
        let mut mounts = Self {
            before: before.map_err(|e| DriverError::failed("no mount namespace", e))?,
            directory: env::current_dir().ok(),
            made: Vec::new(),
        };
        let own = || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            // What is changed here stays as it is for all others.
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?;
            hidden
                .iter()
                .try_for_each(|point| umount2(point.as_str(), MntFlags::MNT_DETACH))
        };
        own().map_err(|e| refused(&format!("without {hidden:?}"), e))?;
        for dir in private.iter().map(Path::new) {
            mounts.make_private(dir)?;
        }
        Ok(Some(mounts))
    }

    fn make_private(&mut self, dir: &Path) -> Result<(), DriverError> {
        if !dir.exists() {
            fs::create_dir(dir)
                .map_err(|e| DriverError::failed(format!("cannot make {}", dir.display()), e))?;
            self.made.push(dir.to_path_buf());
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let mounted = mount(Some("tmpfs"), dir, Some("tmpfs"), flags, Some("mode=711"));
        mounted.map_err(|e| refused(&format!("with an own {}", dir.display()), e))
    }
}

fn refused(what: &str, error: Errno) -> DriverError {
    DriverError::Unavailable {
        why: format!("the kernel refuses a mount namespace {what}: {error}"),
        mend: "run it as root".into(),
    }
}

impl Drop for OwnMounts {
    fn drop(&mut self) {
        // A thread may change its mount namespace only if it shares root and directory with no other.
        let back = unshare(CloneFlags::CLONE_FS)
            .and_then(|()| setns(&self.before, CloneFlags::CLONE_NEWNS));
        if let Err(error) = back {
            eprintln!("warning: cannot return to the host's mounts: {error}");
            return;
        }
        if let Some(directory) = &self.directory {
            let _ = env::set_current_dir(directory);
        }
        for dir in &self.made {
            // One that somebody uses by now is not empty, and stays.
            let _ = fs::remove_dir(dir);
        }
    }
}
