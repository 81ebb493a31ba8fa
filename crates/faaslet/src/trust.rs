//! Who may have written a file: compiled code runs with our rights, so only the trusted.

use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::{Uid, geteuid};

use crate::error::FaasletError;

const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Fails if anyone but the trusted owns `meta` (of `path`) or may write to it.
pub(crate) fn require(path: &Path, meta: &Metadata) -> Result<(), FaasletError> {
    require_owner(path, meta)?;
    if meta.mode() & (GROUP_WRITE | OTHER_WRITE) == 0 {
        return Ok(());
    }
    Err(writable(path, meta.mode()))
}

/// Opens the compiled code `path`, if nobody but the trusted can write to it, all the way up.
pub(crate) fn open_trusted(path: &Path) -> Result<File, FaasletError> {
    let failed = |e| FaasletError::io(path, e);
    let path = path.canonicalize().map_err(failed)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(failed)?;
    require(&path, &file.metadata().map_err(failed)?)?;
    require_ancestors(&path)?;
    Ok(file)
}

/// The same for every directory above `root`, where the sticky bit is enough: whoever can rename a
/// directory above can put another in its place.
pub(crate) fn require_ancestors(root: &Path) -> Result<(), FaasletError> {
    for dir in root.ancestors().skip(1) {
        let meta = fs::symlink_metadata(dir).map_err(|e| FaasletError::io(dir, e))?;
        require_owner(dir, &meta)?;
        if meta.mode() & (GROUP_WRITE | OTHER_WRITE) != 0 && meta.mode() & STICKY == 0 {
            return Err(writable(dir, meta.mode()));
        }
    }
    Ok(())
}

fn require_owner(path: &Path, meta: &Metadata) -> Result<(), FaasletError> {
    if trusted(meta.uid()) {
        return Ok(());
    }
    Err(FaasletError::Untrusted {
        path: path.to_owned(),
        cause: format!("it belongs to user {}", meta.uid()),
        fix: format!(
            "if you trust its content: chown {} {}; or give --store another place",
            geteuid(),
            path.display()
        ),
    })
}

fn writable(path: &Path, mode: u32) -> FaasletError {
    let whom = match (mode & GROUP_WRITE != 0, mode & OTHER_WRITE != 0) {
        (true, true) => "its group and others",
        (true, false) => "its group",
        _ => "others",
    };
    FaasletError::Untrusted {
        path: path.to_owned(),
        cause: format!("{whom} can write to it"),
        fix: format!("if you trust its content: chmod go-w {}", path.display()),
    }
}

/// Root, ourselves, and the user who became root by `sudo` and could do anything anyway.
fn trusted(uid: u32) -> bool {
    let uid = Uid::from_raw(uid);
    uid.is_root() || uid == geteuid() || (geteuid().is_root() && Some(uid) == sudo_user())
}

fn sudo_user() -> Option<Uid> {
    std::env::var("SUDO_UID")
        .ok()?
        .parse()
        .ok()
        .map(Uid::from_raw)
}
