//! A directory of the store, held open: what is checked is what is used, whatever happens to paths. So files are replaced here, within the
//! directory that is held, and not by `base::files::replace_file`, which goes by their paths.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use measure_core::base::ids::FunctionId;
use measure_core::base::label::Owner;
use measure_core::base::lock::FileLock;
use measure_core::base::trust;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::FaasletError;

pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    /// The store's root, where checks of the path above begin.
    root: PathBuf,
}

const OPEN_DIR: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW);
const DIR_MODE: Mode = Mode::from_bits_truncate(0o755);
const FILE_MODE: Mode = Mode::from_bits_truncate(0o644);
/// Whoever changes what lies in a directory has this locked.
const LOCK: &str = ".lock";
/// How long another may take: CPython takes a minute to compile.
const LOCK_LIMIT: Duration = Duration::from_secs(300);
/// Whoever compiles by way of C for it has this locked meanwhile, so that others wait for the result and do not make it too.
const COMPILING: &str = ".compiling";
/// How long that may take.
const COMPILING_LIMIT: Duration = Duration::from_secs(1800);
/// Ending of what is being written.
const TEMPORARY: &str = ".tmp";
/// Two threads that install the same file must not write into one.
static INSTALLS: AtomicU64 = AtomicU64::new(0);

impl Dir {
    /// The root, which may itself be reached through symbolic links.
    pub(super) fn root(path: &Path) -> Result<Self, FaasletError> {
        let path = path.canonicalize().map_err(|e| FaasletError::io(path, e))?;
        let fd = openat(AT_FDCWD, &path, OPEN_DIR, Mode::empty())
            .map_err(|e| FaasletError::io(&path, e))?;
        Ok(Self {
            fd,
            root: path.clone(),
            path,
        })
    }

    /// The directory of `id`, made if need be, and nothing but directories on the way.
    pub(super) fn create(root: &Path, id: &FunctionId) -> Result<Self, FaasletError> {
        fs::create_dir_all(root).map_err(|e| FaasletError::io(root, e))?;
        let mut dir = Self::root(root)?;
        for name in [id.user(), id.function()] {
            match mkdirat(&dir.fd, name, DIR_MODE) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(e) => return Err(FaasletError::io(dir.path.join(name), e)),
            }
            dir = dir.child(name)?.ok_or_else(|| {
                let gone = io::Error::other("removed while it was made");
                FaasletError::io(dir.path.join(name), gone)
            })?;
        }
        Ok(dir)
    }

    /// Directory `name` in it; `None` if there is none. A symbolic link is an error.
    pub(super) fn child(&self, name: &str) -> Result<Option<Self>, FaasletError> {
        let path = self.path.join(name);
        match openat(&self.fd, name, OPEN_DIR, Mode::empty()) {
            Ok(fd) => Ok(Some(Self {
                fd,
                path,
                root: self.root.clone(),
            })),
            Err(e) => absent(path, e),
        }
    }

    /// File `name` in it, for reading; `None` if there is none. A symbolic link is an error, and a pipe
    /// does not block.
    pub(super) fn open(&self, name: &str) -> Result<Option<File>, FaasletError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(e) => absent(self.path.join(name), e),
        }
    }

    /// The same and its path, if nobody but the trusted can write to the file.
    pub(super) fn open_trusted(&self, name: &str) -> Result<Option<(File, PathBuf)>, FaasletError> {
        let Some(file) = self.open(name)? else {
            return Ok(None);
        };
        let path = self.path.join(name);
        let meta = file.metadata().map_err(|e| FaasletError::io(&path, e))?;
        trust::require(&path, &meta)?;
        Ok(Some((file, path)))
    }

    /// Waits until nobody else replaces what lies in it, and keeps others from it until the lock is
    /// dropped. Readers need none: they see whole files.
    pub(super) fn lock(&self) -> Result<FileLock, FaasletError> {
        self.lock_file(LOCK, LOCK_LIMIT)
    }

    /// Waits until nobody else compiles by way of C for it, and keeps others from that.
    pub(super) fn lock_compiling(&self) -> Result<FileLock, FaasletError> {
        self.lock_file(COMPILING, COMPILING_LIMIT)
    }

    fn lock_file(&self, name: &str, limit: Duration) -> Result<FileLock, FaasletError> {
        self.require_trust()?;
        let path = self.path.join(name);
        Ok(FileLock::take_at(&self.fd, Path::new(name), &path, limit)?)
    }

    /// Removes what writers that are gone left half written.
    pub(super) fn sweep_temporaries(&self) -> Result<(), FaasletError> {
        for name in self.all_names()? {
            let writer = name
                .strip_suffix(TEMPORARY)
                .filter(|rest| rest.starts_with('.'))
                .and_then(|rest| rest.rsplit('.').next()?.parse::<Owner>().ok());
            if writer.is_some_and(Owner::is_gone) {
                self.remove(&name);
            }
        }
        Ok(())
    }

    /// Removes the directories of `id` as far as they are empty.
    pub(super) fn remove_empty(root: &Path, id: &FunctionId) {
        let user = root.join(id.user());
        // Either may hold something, which is the reason for not removing it.
        let _ = fs::remove_dir(user.join(id.function())).and_then(|()| fs::remove_dir(user));
    }

    /// Names in it that are text; what is not is none of ours.
    pub(super) fn names(&self) -> Result<Vec<String>, FaasletError> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    }

    fn all_names(&self) -> Result<Vec<String>, FaasletError> {
        let failed = |e| FaasletError::io(&self.path, e);
        // By descriptor, so that it is this directory whatever its path has become.
        let held = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        let mut names = Vec::new();
        for entry in fs::read_dir(held).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Writes `bytes` to file `name`, whole or not at all, and on the disk when it returns.
    pub(super) fn install(&self, name: &str, bytes: &[u8]) -> Result<(), FaasletError> {
        let number = INSTALLS.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{name}.{number}.{}{TEMPORARY}", Owner::this_process());
        // One that a killed process of our id left.
        self.remove(&temporary);
        let written = self.write_new(&temporary, bytes).and_then(|()| {
            renameat(&self.fd, temporary.as_str(), &self.fd, name).map_err(io::Error::from)?;
            nix::unistd::fsync(self.fd.as_fd()).map_err(io::Error::from)
        });
        written.map_err(|e| {
            self.remove(&temporary);
            FaasletError::io_at("cannot install it: ", self.path.join(name), e)
        })
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mut file = File::from(openat(&self.fd, name, flags, FILE_MODE)?);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Removes file `name` if it is there.
    pub(super) fn remove(&self, name: &str) {
        // Stale code that cannot be removed is only a waste of space: it is never found.
        let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
    }

    /// Fails if anyone but the trusted could change what lies here.
    pub(super) fn require_trust(&self) -> Result<(), FaasletError> {
        trust::require_ancestors(&self.root)?;
        let below = |dir: &&Path| dir.starts_with(&self.root);
        for dir in self.path.ancestors().take_while(below) {
            let meta = fs::symlink_metadata(dir).map_err(|e| FaasletError::io(dir, e))?;
            trust::require(dir, &meta)?;
        }
        Ok(())
    }

    /// Fails if who may write to `host` could put code or grants into the store.
    pub(super) fn require_apart(&self, host: &Path, id: &FunctionId) -> Result<(), FaasletError> {
        let depth = host
            .strip_prefix(&self.root)
            .map(|path| path.components().count());
        if self.root.starts_with(host) || depth.is_ok_and(|depth| depth <= 2) {
            let why = format!(
                "{id} may not write to {}: it could put code into the store; grant a directory below the function's own, or elsewhere",
                host.display()
            );
            return Err(FaasletError::refused(id, why));
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the function is called whose directory it is.
    pub(super) fn function(&self) -> String {
        let id = self.path.strip_prefix(&self.root).unwrap_or(&self.path);
        id.display().to_string()
    }
}

/// What it means that `path` cannot be opened: nothing, if it is not there.
fn absent<T>(path: PathBuf, errno: Errno) -> Result<Option<T>, FaasletError> {
    match errno {
        Errno::ENOENT => Ok(None),
        Errno::ELOOP | Errno::ENOTDIR => Err(FaasletError::refused(
            path.display(),
            "the store may hold only directories and files, no symbolic links",
        )),
        e => Err(FaasletError::io(path, e)),
    }
}
