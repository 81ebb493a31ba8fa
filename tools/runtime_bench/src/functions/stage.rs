//! Where a function is put together, and the one step by which it takes its place in the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::ids::FunctionId;
use measure_core::base::{home, label};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::getpid;

use super::error::FunctionError;
use super::paths::make_dir;

const WHAT: &str = "add";

/// A store with nothing but the function in the making, beside the real one and as deep, so that what leads from a function's
/// directory elsewhere leads there from either. Removed when dropped.
#[derive(Debug)]
pub(super) struct Stage {
    root: PathBuf,
    id: FunctionId,
}

impl Stage {
    /// An empty one for `id`; those of killed processes are removed.
    pub(super) fn make(id: &FunctionId) -> Result<Self, FunctionError> {
        let home = home::root();
        remove_orphans(&home);
        let root = home.join(label::name(getpid().as_raw(), WHAT));
        let stage = Self {
            root,
            id: id.clone(),
        };
        make_dir(&stage.root)?;
        make_dir(&stage.root.join(id.user()))?;
        make_dir(&stage.dir())?;
        Ok(stage)
    }

    /// The function's directory in it.
    pub(super) fn dir(&self) -> PathBuf {
        self.root.join(self.id.user()).join(self.id.function())
    }

    /// The store that it is, for a driver.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A place for what is only a step on the way.
    pub(super) fn scratch(&self) -> Result<PathBuf, FunctionError> {
        let path = self.root.join(".scratch");
        make_dir(&path)?;
        Ok(path)
    }

    /// Puts the function into the store, in place of what is there if it is to be replaced: a reader sees the old one or the new
    /// one, whole, and so does whoever comes after a crash.
    pub(super) fn install(self, replace: bool) -> Result<(), FunctionError> {
        let store = home::store();
        for dir in [&store, &store.join(self.id.user())] {
            if !dir.is_dir() {
                make_dir(dir)?;
            }
        }
        let (from, to) = (self.dir(), place_of(&self.id));
        let rename = |flags| renameat2(AT_FDCWD, &from, AT_FDCWD, &to, flags);
        let renamed = match rename(RenameFlags::RENAME_NOREPLACE) {
            // What was there lies in this directory then, and goes with it.
            Err(Errno::EEXIST) if replace => rename(RenameFlags::RENAME_EXCHANGE),
            Err(Errno::EEXIST) => return Err(exists(&self.id)),
            renamed => renamed,
        };
        renamed.map_err(|e| FunctionError::Io {
            path: to,
            source: e.into(),
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed now is an orphan's for the next.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Where a function of the store lies.
pub(crate) fn place_of(id: &FunctionId) -> PathBuf {
    home::store().join(id.user()).join(id.function())
}

/// The error of a name that is taken.
pub(super) fn exists(id: &FunctionId) -> FunctionError {
    FunctionError::Refused(format!(
        "{id} is in the store already and stays as it is: --replace puts this one in its place"
    ))
}

/// Takes a function out of the store, in one step.
pub(super) fn take_out(id: &FunctionId) -> Result<(), FunctionError> {
    let stage = Stage::make(id)?;
    let (from, to) = (place_of(id), stage.dir());
    fs::remove_dir(&to).map_err(FunctionError::io(&to))?;
    fs::rename(&from, &to).map_err(FunctionError::io(&from))?;
    // The user's directory may hold others.
    if let Some(user) = from.parent() {
        let _: io::Result<()> = fs::remove_dir(user);
    }
    Ok(())
}

fn remove_orphans(home: &Path) {
    let ending = format!(".{WHAT}");
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let orphan = name
            .to_str()
            .is_some_and(|name| name.ends_with(&ending) && label::is_orphan(name));
        if orphan {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
