//! What was found, in a file that is there before anything is changed and until all is put back.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use measure_core::base::files::beside;
use measure_core::base::label::LABEL;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::O_NOFOLLOW;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use super::error::{Distrust, TuneError};
use super::knobs::{Host, Knob, Setting};

/// The form of the file. Another one is not read: a `tune` of that form puts back.
const SCHEMA: u32 = 1;
const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";

/// What was found, in the order in which it is changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    schema: u32,
    /// Which boot: the next one has all settings of its own.
    boot: String,
    pub(super) knobs: Vec<Knob>,
}

impl Found {
    /// `earlier`, if it is of this boot; else nothing yet.
    pub(super) fn of_this_boot(host: &Host, earlier: Option<Self>) -> Self {
        let earlier = earlier.filter(|found| found.is_of_this_boot(host));
        earlier.unwrap_or_else(|| Self {
            schema: SCHEMA,
            boot: boot(host),
            knobs: Vec::new(),
        })
    }

    pub(super) fn is_of_this_boot(&self, host: &Host) -> bool {
        self.boot == boot(host)
    }

    /// Adds those of `knobs` whose files are not in it.
    pub(super) fn add(&mut self, knobs: &[Knob]) {
        for knob in knobs {
            if self.knobs.iter().all(|known| known.file != knob.file) {
                self.knobs.push(knob.clone());
            }
        }
    }

    /// Those of `setting`, and the others.
    pub(super) fn parted(self, setting: Setting) -> (Self, Self) {
        let (its, others) = self.knobs.into_iter().partition(|k| k.setting == setting);
        let with = |knobs| Self {
            schema: self.schema,
            boot: self.boot.clone(),
            knobs,
        };
        (with(its), with(others))
    }

    pub(super) fn knobs_for(&self, setting: Setting) -> Vec<&Knob> {
        let knobs = self.knobs.iter();
        knobs.filter(|knob| knob.setting == setting).collect()
    }
}

fn boot(host: &Host) -> String {
    host.value(BOOT_ID).unwrap_or_default()
}

/// Where what was found is kept: a directory that the next boot clears.
fn directory(host: &Host) -> PathBuf {
    host.path(Path::new("run").join(LABEL))
}

/// The file of what was found.
pub(super) fn path(host: &Host) -> PathBuf {
    directory(host).join("tune.json")
}

/// The file of what was found, which no other `tune` changes meanwhile.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    _lock: Flock<File>,
}

impl StateFile {
    /// Makes the directory, if need be, and takes the lock.
    ///
    /// # Errors
    /// Another one has it; the directory is not ours alone, or cannot be made.
    pub(super) fn lock(host: &Host) -> Result<Self, TuneError> {
        let directory = directory(host);
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| TuneError::State { path, source }
        };
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o755).create(&directory);
        made.map_err(at(&directory))?;
        trust(
            &directory,
            &fs::symlink_metadata(&directory).map_err(at(&directory))?,
        )?;
        let path = directory.join("tune.lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options.mode(0o600).custom_flags(O_NOFOLLOW).open(&path);
        let file = file.map_err(at(&path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                remove_unfinished(&directory);
                Ok(Self {
                    path: self::path(host),
                    _lock: lock,
                })
            }
            Err((_, Errno::EWOULDBLOCK)) => Err(TuneError::Busy(path)),
            Err((_, errno)) => Err(at(&path)(errno.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was found, if this host is tuned.
    ///
    /// # Errors
    /// As [`load`].
    pub(super) fn load(&self) -> Result<Option<Found>, TuneError> {
        load(&self.path)
    }

    /// Keeps `found`: whole, or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn save(&self, found: &Found) -> Result<(), TuneError> {
        let text = serde_json::to_vec_pretty(found).map_err(io::Error::from);
        let saved = text.and_then(|text| {
            let new = beside(&self.path)?;
            new.as_file().write_all(&text)?;
            // Whatever the umask: what others may write is not read again.
            let mode = Permissions::from_mode(0o644);
            new.as_file().set_permissions(mode)?;
            new.persist(&self.path).map_err(|error| error.error)
        });
        saved.map(drop).map_err(|source| self.failed(source))
    }

    /// Forgets it: all is put back.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn remove(&self) -> Result<(), TuneError> {
        fs::remove_file(&self.path).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> TuneError {
        let path = self.path.clone();
        TuneError::State { path, source }
    }
}

/// Removes the files that a `tune` was killed before it had written whole.
fn remove_unfinished(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(".tune.json.") && name.ends_with(".tmp") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What was found, from the file at `path`; `None` if there is none.
///
/// # Errors
/// It cannot be read, others than root may have written it, or it is not of this form.
pub(super) fn load(path: &Path) -> Result<Option<Found>, TuneError> {
    let failed = |source| {
        let path = path.to_owned();
        TuneError::State { path, source }
    };
    let mut options = OpenOptions::new();
    let file = match options.read(true).custom_flags(O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    trust(path, &file.metadata().map_err(failed)?)?;
    let text = io::read_to_string(file).map_err(failed)?;
    let found: Found = serde_json::from_str(&text).map_err(|source| {
        let path = path.to_owned();
        TuneError::Unreadable { path, source }
    })?;
    let untrusted = |why| {
        let path = path.to_owned();
        Err(TuneError::Untrusted { path, why })
    };
    if found.schema != SCHEMA {
        return untrusted(Distrust::Schema(found.schema));
    }
    if !found.knobs.iter().all(Knob::is_known) {
        return untrusted(Distrust::Path);
    }
    Ok(Some(found))
}

/// Whether only root, or this user, can have written what has `metadata`.
fn trust(path: &Path, metadata: &fs::Metadata) -> Result<(), TuneError> {
    let why = if metadata.uid() != 0 && metadata.uid() != geteuid().as_raw() {
        Distrust::Owner(metadata.uid())
    } else if metadata.mode() & 0o002 != 0 || (metadata.mode() & 0o020 != 0 && metadata.gid() != 0)
    {
        Distrust::Writable
    } else {
        return Ok(());
    };
    let path = path.to_owned();
    Err(TuneError::Untrusted { path, why })
}
