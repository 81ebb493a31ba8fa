//! Where an engine keeps its things: a slot that no living driver holds, the same each time if it is free, so that the
//! images of a rung are in its store.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::iter;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::driver_kit::DriverError;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::cgroups;

/// More engines at once than a host could usefully measure.
const SLOTS: u32 = 16;

/// File of a slot that an engine uses.
const MARK: &str = "in-use";

/// A slot held by this process until it is dropped.
#[derive(Debug)]
pub struct Slot {
    number: u32,
    state: PathBuf,
    runtime: PathBuf,
    _lock: Flock<File>,
}

impl Slot {
    /// Takes slot `preferred`, else the first that is free, and removes what killed runs left in any.
    ///
    /// # Errors
    /// No slot is free, or its directories cannot be made.
    pub fn take(preferred: u32) -> Result<Self, DriverError> {
        let mut taken = None;
        for number in iter::once(preferred).chain(0..SLOTS) {
            let left = || home::state().join(slot_name(number)).join(MARK).exists();
            if taken.is_some() && !left() {
                continue;
            }
            let Some(slot) = Self::try_take(number)? else {
                continue;
            };
            match slot.remove_left_over() {
                Err(error) if taken.is_some() => eprintln!("warning: {error}"),
                removed => drop(removed?),
            }
            taken.get_or_insert(slot);
        }
        taken.ok_or_else(|| {
            DriverError::Busy(format!("{SLOTS} engines are running already, let one end"))
        })
    }

    /// Takes slot `number` if no one has it.
    fn try_take(number: u32) -> Result<Option<Self>, DriverError> {
        let name = slot_name(number);
        let (state, runtime) = (home::state().join(&name), home::runtime().join(&name));
        let failed = |e| DriverError::failed(format!("cannot make {}", state.display()), e);
        make_dir(&state).map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(state.join("lock"));
        let file = match file {
            // Cleaned away this very moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed)?,
        };
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, error)) => return Err(failed(error.into())),
        };
        // A slot that was cleaned away meanwhile has another lock file by now, or none.
        let same = fs::metadata(state.join("lock"))
            .and_then(|now| Ok(now.ino() == lock.metadata()?.ino()))
            .unwrap_or(false);
        if !same {
            return Ok(None);
        }
        make_dir(&runtime).map_err(failed)?;
        Ok(Some(Self {
            number,
            state,
            runtime,
            _lock: lock,
        }))
    }

    /// Number of the slot.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The engine's data root: images stay in it from run to run.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.state.join("data")
    }

    /// The engine's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("log")
    }

    /// The daemon's (empty) configuration: the host's own must not count.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.state.join("daemon.json")
    }

    /// The directory that is shared with the engine.
    #[must_use]
    pub fn shared(&self) -> &Path {
        &self.runtime
    }

    /// The API socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("docker.sock")
    }

    fn mark(&self) -> PathBuf {
        self.state.join(MARK)
    }

    /// Notes that an engine is about to use the slot with the cgroup `name`: until
    /// [`Self::note_clean`], its data is not to be trusted.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn note_use(&self, name: &str) -> Result<(), DriverError> {
        fs::write(self.mark(), name)
            .map_err(|e| DriverError::failed(format!("cannot write {}", self.mark().display()), e))
    }

    /// Notes that the engine ended in good order, with no container left.
    pub fn note_clean(&self) {
        let _ = fs::remove_file(self.mark());
    }

    /// Removes what an engine that did not end in good order left: its cgroups with whatever lives in
    /// them, and its data root with its containers. Returns what was removed.
    ///
    /// # Errors
    /// Something could not be removed.
    pub fn remove_left_over(&self) -> Result<Vec<String>, DriverError> {
        let mut removed = Vec::new();
        if let Ok(name) = fs::read_to_string(self.mark()) {
            if measure_core::base::label::owner(&name).is_some() && !name.contains('/') {
                removed.extend(cgroups::remove(&name)?);
            }
            removed.extend(remove_dir(&self.data())?);
            self.note_clean();
        }
        match fs::remove_file(self.socket()) {
            Ok(()) => removed.push(format!("socket {}", self.socket().display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DriverError::failed("cannot remove the stale socket", error)),
        }
        Ok(removed)
    }

    /// Removes everything in the slot, kept images too.
    fn remove_all(&self) -> Result<Vec<String>, DriverError> {
        let mut removed = self.remove_left_over()?;
        removed.extend(remove_dir(&self.state)?);
        Ok(removed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Nothing of it is needed without an engine; only tidiness fails here.
        let _ = fs::remove_dir_all(&self.runtime);
    }
}

/// Removes the slots that no living driver holds; returns what was removed.
///
/// # Errors
/// Something could not be removed.
pub fn clean() -> Result<Vec<String>, DriverError> {
    let mut removed = Vec::new();
    for number in 0..SLOTS {
        let name = slot_name(number);
        let (state, runtime) = (home::state().join(&name), home::runtime().join(&name));
        if !state.exists() && !runtime.exists() {
            continue;
        }
        if let Some(slot) = Slot::try_take(number)? {
            removed.extend(slot.remove_all()?);
        }
    }
    Ok(removed)
}

fn slot_name(number: u32) -> String {
    format!("engine-{number}")
}

fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(dir)
}

fn remove_dir(dir: &Path) -> Result<Option<String>, DriverError> {
    match fs::remove_dir_all(dir) {
        Ok(()) => Ok(Some(format!("directory {}", dir.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DriverError::failed(
            format!("cannot remove {}", dir.display()),
            error,
        )),
    }
}
