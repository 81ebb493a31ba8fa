//! Who is in a group, of either version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::CgroupError;
use crate::base::process_tree::process_of;

/// Processes in the group and all below it, ascending, each once. Groups that vanish meanwhile are
/// passed over.
///
/// # Errors
/// `dir` is no group, or may not be read.
pub fn processes(dir: &Path) -> Result<Vec<i32>, CgroupError> {
    let mut found = own_processes(dir)?.ok_or_else(|| CgroupError::NoSuchValue {
        dir: dir.to_path_buf(),
        files: "cgroup.procs".into(),
        why: "the group is gone, or it is no cgroup directory",
    })?;
    for below in descendants(dir) {
        found.extend(own_processes(&below)?.unwrap_or_default());
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Processes of `dir` alone; `None` if it is gone.
fn own_processes(dir: &Path) -> Result<Option<Vec<i32>>, CgroupError> {
    match text(&dir.join("cgroup.procs")) {
        Ok(text) => Ok(text.map(|text| pids(&text))),
        // A threaded group has no list of processes: go by its threads.
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => {
            let threads = text(&dir.join("cgroup.threads"))?;
            Ok(threads.map(|text| pids(&text).into_iter().filter_map(process_of).collect()))
        }
        Err(error) => Err(error),
    }
}

/// Groups below `dir`, deepest last.
pub(super) fn descendants(dir: &Path) -> Vec<PathBuf> {
    let mut found = children(dir);
    let mut at = 0;
    while at < found.len() {
        let below = children(&found[at]);
        found.extend(below);
        at += 1;
    }
    found
}

pub(super) fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

pub(super) fn pids(text: &str) -> Vec<i32> {
    // A 0 stands for a process of another pid namespace, which has no name here.
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .filter(|&pid| pid > 0)
        .collect()
}

/// The file's text; `None` if the file or its group is not there (any more).
pub fn text(path: &Path) -> Result<Option<String>, CgroupError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(libc::ENODEV) =>
        {
            Ok(None)
        }
        Err(error) => Err(CgroupError::io("read", path, error)),
    }
}
