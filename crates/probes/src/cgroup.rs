//! Values of any cgroup's directory, of either version.

use std::path::Path;

use measure_core::driver_kit::cgroup::{CgroupError, text};

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

fn number(path: &Path) -> Result<Option<u64>, CgroupError> {
    Ok(text(path)?.and_then(|text| text.trim().parse().ok()))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
