//! Which Firecracker is driven.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::qemu::{on_path, version_line};

/// Names the executable where it is not on PATH.
const VARIABLE: &str = "FIRECRACKER";
const MEND: &str = "install it with `ansible-playbook ansible/firecracker.yml --ask-become-pass`, or name it with --firecracker PATH or $FIRECRACKER";

/// The executable: as asked for, else `$FIRECRACKER`, else the one on PATH.
///
/// # Errors
/// Why there is none, and how to mend it.
pub(super) fn executable(asked: Option<&Path>) -> Result<PathBuf, (String, String)> {
    let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let named = asked.map(Path::to_owned).or(variable.map(PathBuf::from));
    let Some(path) = named else {
        return on_path("firecracker")
            .ok_or_else(|| ("firecracker is not on PATH".to_owned(), MEND.to_owned()));
    };
    if !path.is_file() {
        return Err((format!("there is no file {}", path.display()), MEND.into()));
    }
    access(&path, AccessFlags::X_OK).map_err(|e| {
        let why = format!("{} cannot be executed: {}", path.display(), e.desc());
        (why, format!("chmod +x {}", path.display()))
    })?;
    Ok(path)
}

/// For the records.
pub(super) fn version(asked: Option<&Path>) -> String {
    executable(asked)
        .ok()
        .and_then(|path| version_line(&path))
        .unwrap_or_else(|| "Firecracker (not installed)".into())
}
