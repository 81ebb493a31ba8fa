//! Who may have written what is about to run with our rights. One rule for all of it (compiled code, native executables, commands,
//! images, kernels): the file, every directory above it and every symbolic link on the way belong to root, to us, or to the
//! user who became root by `sudo`, and neither group nor others can write to them. Of a directory the sticky bit is enough: in
//! it nobody renames or removes what is another's.
//!
//! A path is walked from the root, each component opened in the one before and looked at through its descriptor, and the file is the very one
//! that was looked at ([`Trusted::file`]). So nobody but the trusted could have it name something else, before or after. Access lists need no look of
//! their own: where a file has one, the group's bits are the most that it gives to anybody (acl(5)).

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, geteuid};

const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// As many links as the kernel follows in one path.
const LINKS_MAX: u32 = 40;

/// Why a file is not run.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Others could replace what lies there.
    #[error("refusing to run code from {}: {cause}, so others could have put theirs there; {fix}", path.display())]
    Untrusted {
        /// The file, directory or link that others can change.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// The command that mends it.
        fix: String,
    },
    /// It is not there or cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl TrustError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), NotFound | NotADirectory))
    }
}

fn io_at(path: &Path, source: impl Into<io::Error>) -> TrustError {
    TrustError::Io {
        path: path.to_owned(),
        source: source.into(),
    }
}

/// A file that only the trusted could have written, open for reading.
#[derive(Debug)]
pub struct Trusted {
    file: File,
    path: PathBuf,
}

impl Trusted {
    /// The file that was looked at.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The same, kept.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// Its name without any link: only the trusted can have it name another file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it, from where it was last read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, TrustError> {
        let mut bytes = Vec::new();
        let read = (&self.file).read_to_end(&mut bytes);
        read.map_err(|e| io_at(&self.path, e))?;
        Ok(bytes)
    }
}

/// Opens the file (or directory) `path`, if only the trusted could have written it.
///
/// # Errors
/// [`TrustError`]
pub fn open(path: &Path) -> Result<Trusted, TrustError> {
    let whole = std::path::absolute(path).map_err(|e| io_at(path, e))?;
    let mut walk = Walk::from_root()?;
    walk.put_before(whole.as_os_str());
    walk.walk_on()
}

/// [`open`], then [`Trusted::read`].
///
/// # Errors
/// As these.
pub fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    open(path)?.read()
}

/// Fails if anyone but the trusted owns `meta` (of `path`) or may write to it.
///
/// # Errors
/// [`TrustError::Untrusted`]
pub fn require(path: &Path, meta: &Metadata) -> Result<(), TrustError> {
    require_owner(path, meta)?;
    if meta.mode() & (GROUP_WRITE | OTHER_WRITE) == 0 {
        return Ok(());
    }
    Err(writable(path, meta.mode()))
}

/// Fails if anyone but the trusted can put another directory in the place of `root`, which is a path without links.
///
/// # Errors
/// [`TrustError`]
pub fn require_ancestors(root: &Path) -> Result<(), TrustError> {
    for dir in root.ancestors().skip(1) {
        let meta = fs::symlink_metadata(dir).map_err(|e| io_at(dir, e))?;
        require_above(dir, &meta)?;
    }
    Ok(())
}

/// [`require`] for a directory above: the sticky bit is enough.
fn require_above(path: &Path, meta: &Metadata) -> Result<(), TrustError> {
    if meta.mode() & STICKY != 0 {
        return require_owner(path, meta);
    }
    require(path, meta)
}

fn require_owner(path: &Path, meta: &Metadata) -> Result<(), TrustError> {
    if is_trusted(meta.uid()) {
        return Ok(());
    }
    Err(TrustError::Untrusted {
        path: path.to_owned(),
        cause: format!("it belongs to user {}", meta.uid()),
        fix: format!(
            "if you trust its content: chown -h {} {}",
            geteuid(),
            path.display()
        ),
    })
}

fn writable(path: &Path, mode: u32) -> TrustError {
    let whom = match (mode & GROUP_WRITE != 0, mode & OTHER_WRITE != 0) {
        (true, true) => "its group and others",
        (true, false) => "its group",
        _ => "others",
    };
    TrustError::Untrusted {
        path: path.to_owned(),
        cause: format!("{whom} can write to it"),
        fix: format!("if you trust its content: chmod go-w {}", path.display()),
    }
}

/// Root, ourselves, and the user who became root by `sudo` and could do anything anyway.
#[must_use]
pub fn is_trusted(uid: u32) -> bool {
    let uid = Uid::from_raw(uid);
    uid.is_root() || uid == geteuid() || (geteuid().is_root() && Some(uid) == sudo_user())
}

fn sudo_user() -> Option<Uid> {
    let uid = std::env::var("SUDO_UID").ok()?.parse().ok()?;
    Some(Uid::from_raw(uid))
}

/// A path on its way from the root.
struct Walk {
    dir: OwnedFd,
    here: PathBuf,
    /// Components that are left, the next one last.
    left: Vec<OsString>,
    links: u32,
}

impl Walk {
    fn from_root() -> Result<Self, TrustError> {
        let here = PathBuf::from("/");
        let dir = openat(AT_FDCWD, "/", DIRECTORY, Mode::empty()).map_err(|e| io_at(&here, e))?;
        let mut walk = Self {
            dir,
            here,
            left: Vec::new(),
            links: 0,
        };
        walk.require_here()?;
        Ok(walk)
    }

    /// What comes next is `path`, then what was left.
    fn put_before(&mut self, path: &OsStr) {
        let names = Path::new(path).components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        let names: Vec<OsString> = names.collect();
        self.left.extend(names.into_iter().rev());
    }

    fn require_here(&mut self) -> Result<(), TrustError> {
        let file = File::from(self.dir.try_clone().map_err(|e| io_at(&self.here, e))?);
        let meta = file.metadata().map_err(|e| io_at(&self.here, e))?;
        require_above(&self.here, &meta)
    }

    fn open(&self, name: &OsStr, flags: OFlag) -> Result<(File, Metadata), TrustError> {
        let path = self.here.join(name);
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(&self.dir, name, flags, Mode::empty());
        let file = File::from(opened.map_err(|e| io_at(&path, e))?);
        let meta = file.metadata().map_err(|e| io_at(&path, e))?;
        Ok((file, meta))
    }

    fn walk_on(mut self) -> Result<Trusted, TrustError> {
        while let Some(name) = self.left.pop() {
            let path = self.here.join(&name);
            if name == ".." {
                self.dir = self.open(&name, DIRECTORY)?.0.into();
                self.here.pop();
                continue;
            }
            let (file, meta) = self.open(&name, OFlag::O_PATH)?;
            require_owner(&path, &meta)?;
            if meta.is_symlink() {
                self.follow(&file, &path)?;
            } else if self.left.is_empty() {
                // The one that is looked at is the one that is kept, whatever the name has come to mean.
                let (file, meta) = self.open(&name, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?;
                require(&path, &meta)?;
                return Ok(Trusted { file, path });
            } else if meta.is_dir() {
                require_above(&path, &meta)?;
                self.dir = file.into();
                self.here = path;
            } else {
                return Err(io_at(&path, io::Error::from_raw_os_error(libc::ENOTDIR)));
            }
        }
        // A path that ends in `..`, or the root.
        let (file, meta) = self.open(OsStr::new("."), OFlag::O_RDONLY)?;
        require(&self.here, &meta)?;
        let path = self.here;
        Ok(Trusted { file, path })
    }

    /// Its text takes the place of the link `file` at `path`.
    fn follow(&mut self, file: &File, path: &Path) -> Result<(), TrustError> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(io_at(path, io::Error::from_raw_os_error(libc::ELOOP)));
        }
        let text = readlinkat(file, "").map_err(|e| io_at(path, e))?;
        if text.as_bytes().starts_with(b"/") {
            let root = Self::from_root()?;
            (self.dir, self.here) = (root.dir, root.here);
        }
        self.put_before(&text);
        Ok(())
    }
}

const DIRECTORY: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

#[cfg(test)]
mod tests;
