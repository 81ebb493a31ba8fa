//! Moving tasks between groups, and removing groups that may still hold some.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::CgroupError;
use super::read::{descendants, pids, text};

/// How long a removal waits for tasks that are on their way out.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// Writes `value` to the control file `path` in one write.
pub(super) fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|e| CgroupError::io(format!("write {value} to"), path, e))
}

/// The file of `dir` through which single threads move: `tasks` on v1, `cgroup.threads` on v2.
pub(super) fn threads_file(dir: &Path) -> PathBuf {
    let v1 = dir.join("tasks");
    if v1.exists() {
        v1
    } else {
        dir.join("cgroup.threads")
    }
}

/// Whether a failed move is one of a task that has ended meanwhile.
fn gone(error: &CgroupError) -> bool {
    error.errno() == Some(libc::ESRCH)
}

/// Moves every task of `from` (not of groups below it) to the first of `homes` that takes it: thread
/// by thread where the version allows, since other threads of the process may be in other groups.
fn evacuate(from: &Path, homes: &[&Path]) -> Result<(), CgroupError> {
    let threads = threads_file(from);
    // A v2 group with whole processes moves by process; only threaded groups by thread.
    let (list, to) = match text(&threads)? {
        Some(_) if threads.ends_with("cgroup.threads") => match text(&from.join("cgroup.procs")) {
            Ok(processes) => (processes, "cgroup.procs"),
            Err(_) => (text(&threads)?, "cgroup.threads"),
        },
        tasks => (tasks, "tasks"),
    };
    let mut refused = None;
    for task in pids(&list.unwrap_or_default()) {
        for home in homes {
            match write(&home.join(to), &task.to_string()) {
                Ok(()) => {
                    refused = None;
                    break;
                }
                Err(error) if gone(&error) => {
                    refused = None;
                    break;
                }
                Err(error) => refused = Some(error),
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Removes `dir` and every group below it; tasks still inside move to the first of `homes` that takes
/// them. Tries for a bounded time, since a task that ends leaves its group a little after its parent
/// has seen it end.
pub(super) fn remove_tree(dir: &Path, homes: &[&Path]) -> Result<(), CgroupError> {
    let deadline = Instant::now() + REMOVE_TIMEOUT;
    loop {
        let mut refused = None;
        let mut groups = descendants(dir);
        groups.reverse();
        groups.push(dir.to_path_buf());
        for group in groups {
            if let Err(error) = remove_one(&group, homes) {
                refused = Some((group, error));
            }
        }
        let Some((path, error)) = refused else {
            return Ok(());
        };
        if matches!(error, CgroupError::Denied { .. }) {
            return Err(error);
        }
        if Instant::now() >= deadline {
            return Err(CgroupError::Busy {
                path,
                why: error.to_string(),
            });
        }
        thread::sleep(RETRY_INTERVAL);
    }
}

fn remove_one(group: &Path, homes: &[&Path]) -> Result<(), CgroupError> {
    // Most groups are empty: try that first.
    match fs::remove_dir(group) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
        Err(error) => return Err(CgroupError::io("remove", group, error)),
    }
    evacuate(group, homes)?;
    match fs::remove_dir(group) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CgroupError::io("remove", group, error)),
    }
}
