//! Which Firecracker and which jailer are driven.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use measure_core::base::programs::on_path;

use crate::programs::version_line;
use crate::shared::Lack;

/// Names the executable where it is not on PATH.
const VARIABLE: &str = "FIRECRACKER";
/// Names the jailer where it is neither beside the executable nor on PATH.
const JAILER_VARIABLE: &str = "FIRECRACKER_JAILER";
const JAILER_MEND: &str = "install it with `ansible-playbook ansible/firecracker.yml --ask-become-pass`, or name it with --jailer PATH or $FIRECRACKER_JAILER";
const MEND: &str = "install it with `ansible-playbook ansible/firecracker.yml --ask-become-pass`, or name it with --firecracker PATH or $FIRECRACKER";

/// The executable: as asked for, else `$FIRECRACKER`, else the one on PATH.
///
/// # Errors
/// Why there is none, and how to mend it.
pub(super) fn executable(asked: Option<&Path>) -> Result<PathBuf, Lack> {
    match named(asked, VARIABLE) {
        Some(path) => executable_at(path),
        None => on_path("firecracker").ok_or_else(|| Lack::new("firecracker is not on PATH", MEND)),
    }
}

/// The jailer: as asked for, else `$FIRECRACKER_JAILER`, else the one beside `firecracker`, else the one on
/// PATH.
///
/// # Errors
/// Why there is none, and how to mend it.
pub(super) fn jailer(asked: Option<&Path>, firecracker: &Path) -> Result<PathBuf, Lack> {
    if let Some(path) = named(asked, JAILER_VARIABLE) {
        return executable_at(path);
    }
    let beside = firecracker.with_file_name("jailer");
    let found = Some(beside).filter(|path| path.is_file());
    found.or_else(|| on_path("jailer")).ok_or_else(|| {
        let why = "there is no jailer beside firecracker or on PATH";
        Lack::new(why, JAILER_MEND)
    })
}

fn named(asked: Option<&Path>, variable: &str) -> Option<PathBuf> {
    let variable = env::var_os(variable).filter(|value| !value.is_empty());
    asked.map(Path::to_owned).or(variable.map(PathBuf::from))
}

fn executable_at(path: PathBuf) -> Result<PathBuf, Lack> {
    if !path.is_file() {
        let why = format!("there is no file {}", path.display());
        return Err(Lack::new(why, MEND));
    }
    access(&path, AccessFlags::X_OK).map_err(|e| {
        let why = format!("{} cannot be executed: {}", path.display(), e.desc());
        Lack::new(why, format!("chmod +x {}", path.display()))
    })?;
    Ok(path)
}

/// What the executable says of itself, or that there is none.
pub(super) fn version(asked: Option<&Path>) -> String {
    executable(asked)
        .ok()
        .and_then(|path| version_line(&path))
        .unwrap_or_else(|| "Firecracker (not installed)".into())
}
