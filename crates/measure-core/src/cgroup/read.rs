//! Values of any group's directory, of either version, for samplers outside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::CgroupError;

/// CPU time of the group and all below it, exited tasks included, in nanoseconds: v1
/// `cpuacct.usage`, v2 `usage_usec` of `cpu.stat` (whole microseconds there).
///
/// # Errors
/// `dir` is gone or belongs to neither hierarchy.
pub fn cpu_ns(dir: &Path) -> Result<u64, CgroupError> {
    if let Some(ns) = number(&dir.join("cpuacct.usage"))? {
        return Ok(ns);
    }
    let stat = dir.join("cpu.stat");
    text(&stat)?
        .as_deref()
        .and_then(|text| field(text, "usage_usec"))
        .map(|usec| usec * 1000)
        .ok_or_else(|| CgroupError::NoSuchValue {
            dir: dir.to_path_buf(),
            files: "cpuacct.usage, cpu.stat with usage_usec".into(),
            why: "the group is gone, or it is of another controller",
        })
}

/// The most memory that was charged to the group and all below it since it was made: v1
/// `memory.max_usage_in_bytes`, v2 `memory.peak`. Page cache is included; what a process had charged
/// before it joined is not.
///
/// # Errors
/// `dir` is gone, is not of the memory controller, or the kernel is too old to keep a v2 peak.
pub fn memory_peak_bytes(dir: &Path) -> Result<u64, CgroupError> {
    either(
        dir,
        ["memory.max_usage_in_bytes", "memory.peak"],
        "the group is gone or not of the memory controller, or Linux is older than 5.19",
    )
}

/// The memory now charged to the group and all below it: v1 `memory.usage_in_bytes`, v2
/// `memory.current`.
///
/// # Errors
/// `dir` is gone or is not of the memory controller.
pub fn memory_current_bytes(dir: &Path) -> Result<u64, CgroupError> {
    either(
        dir,
        ["memory.usage_in_bytes", "memory.current"],
        "the group is gone or not of the memory controller",
    )
}

fn either(dir: &Path, files: [&str; 2], why: &'static str) -> Result<u64, CgroupError> {
    for file in files {
        if let Some(value) = number(&dir.join(file))? {
            return Ok(value);
        }
    }
    Err(CgroupError::NoSuchValue {
        dir: dir.to_path_buf(),
        files: files.join(", "),
        why,
    })
}

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
            Ok(threads.map(|text| pids(&text).into_iter().filter_map(thread_group).collect()))
        }
        Err(error) => Err(error),
    }
}

/// The process of thread `tid`.
fn thread_group(tid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
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

fn children(dir: &Path) -> Vec<PathBuf> {
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

fn number(path: &Path) -> Result<Option<u64>, CgroupError> {
    Ok(text(path)?.and_then(|text| text.trim().parse().ok()))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The file's text; `None` if the file or its group is not there (any more).
pub(super) fn text(path: &Path) -> Result<Option<String>, CgroupError> {
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
