//! Bytes read from and written to storage by a scope, and dropping the page cache.
//!
//! Two sources, neither complete on every host, both reported:
//! * `/proc/PID/io`, summed over the scope's processes. `read_bytes` is what had to come from
//!   storage, not what the page cache gave; `write_bytes` is what was dirtied and will be written, less
//!   what was truncated before it was. A process's figures include the children that it has waited for.
//! * the cgroup's own counters (`io.stat` of v2, `blkio.throttle.io_service_bytes_recursive` of v1),
//!   which hold processes that are gone and belong to no one. v1 counts nothing until a throttle
//!   rule exists on the device, and never attributes buffered writes; a 0 of that kind is no 0 here.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::sync;
use procfs::ProcError;
use procfs::process::Process;

use measure_core::base::process_tree::processes_below;
use measure_core::contract::Scope;
use measure_core::driver_kit::cgroup;

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";
const V1_FILE: &str = "blkio.throttle.io_service_bytes_recursive";
const V2_FILE: &str = "io.stat";

/// Bytes to and from storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Read from storage.
    pub read_bytes: u64,
    /// Written, or dirtied and to be written, less what was cancelled.
    pub write_bytes: u64,
}

/// Why there is no figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskIoError {
    /// The scope has no cgroup that could count.
    #[error("no cgroup with an io or blkio controller in the scope, mount and delegate one")]
    NoCgroup,
    /// v1 without a throttle rule.
    #[error(
        "blkio of cgroup v1 counts nothing until a throttle rule exists on the device (all of {} reads 0), set one, e.g. `echo MAJOR:MINOR 1099511627776 > {}/blkio.throttle.read_bps_device`, or use cgroup v2",
        mount.display(), mount.display()
    )]
    NotCounting { mount: PathBuf },
    /// No process of the scope could be read.
    #[error("no process of the scope is left to read /proc/PID/io of")]
    NoProcess,
    /// Sums fell: processes left the scope without being waited for inside it.
    #[error(
        "processes left the scope and took their counts along (the sum fell), include their parent in the scope or use a cgroup"
    )]
    Left,
    /// No right.
    #[error("no permission to {action} {}, run as root", path.display())]
    Denied {
        /// In words: `read`, `write`.
        action: &'static str,
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot {action} {}: {why}", path.display())]
    Io {
        /// In words: `read`, `write`.
        action: &'static str,
        path: PathBuf,
        why: String,
    },
}

impl DiskIoError {
    fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        let path = path.to_path_buf();
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Self::Denied { action, path };
        }
        Self::Io {
            action,
            path,
            why: error.to_string(),
        }
    }
}

/// What a scope has read and written since its beginning, or between two readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// By the scope's processes and the children that they have waited for.
    pub processes: Result<Bytes, DiskIoError>,
    /// By the scope's cgroup, exited processes included.
    pub cgroup: Result<Bytes, DiskIoError>,
}

impl Reading {
    /// Reads both sources of `scope` now.
    #[must_use]
    pub fn of_scope(scope: &Scope) -> Self {
        Self {
            processes: of_processes(scope),
            cgroup: of_groups(scope),
        }
    }

    /// What was read and written since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            processes: difference(&self.processes, &earlier.processes),
            cgroup: difference(&self.cgroup, &earlier.cgroup),
        }
    }

    /// The figure to report: the processes', because they are right about
    /// buffered writes on every host; the cgroup's where those cannot be read or have left.
    ///
    /// # Errors
    /// Neither source has a figure; the error is the processes'.
    pub fn best(&self) -> Result<Bytes, DiskIoError> {
        match (&self.processes, &self.cgroup) {
            (Ok(bytes), _) | (Err(_), Ok(bytes)) => Ok(*bytes),
            (Err(why), Err(_)) => Err(why.clone()),
        }
    }
}

fn difference(
    now: &Result<Bytes, DiskIoError>,
    earlier: &Result<Bytes, DiskIoError>,
) -> Result<Bytes, DiskIoError> {
    let (now, earlier) = (now.clone()?, earlier.clone()?);
    let fell = DiskIoError::Left;
    Ok(Bytes {
        read_bytes: now.read_bytes.checked_sub(earlier.read_bytes).ok_or(fell)?,
        // Cancelled writes may exceed new ones; that is no loss of processes.
        write_bytes: now.write_bytes.saturating_sub(earlier.write_bytes),
    })
}

fn of_processes(scope: &Scope) -> Result<Bytes, DiskIoError> {
    let mut pids: BTreeSet<i32> = processes_below(&scope.roots).into_iter().collect();
    let groups: BTreeSet<&PathBuf> = scope.groups().flat_map(BTreeMap::values).collect();
    for group in groups {
        pids.extend(cgroup::processes(group).unwrap_or_default());
    }
    let mut sum = Bytes::default();
    let mut seen = 0;
    let mut failed = None;
    for pid in pids {
        match of_process(pid) {
            Ok(Some(bytes)) => {
                seen += 1;
                sum.read_bytes += bytes.read_bytes;
                sum.write_bytes += bytes.write_bytes;
            }
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None if seen == 0 => Err(DiskIoError::NoProcess),
        None => Ok(sum),
    }
}

/// What process `pid`, its threads and the children that it has waited for have read and written;
/// `None` if it is gone.
///
/// # Errors
/// It may not be read, or the kernel keeps no such account (CONFIG_TASK_IO_ACCOUNTING).
pub fn of_process(pid: i32) -> Result<Option<Bytes>, DiskIoError> {
    let path = PathBuf::from(format!("/proc/{pid}/io"));
    match Process::new(pid).and_then(|process| process.io()) {
        Ok(io) => Ok(Some(Bytes {
            read_bytes: io.read_bytes,
            write_bytes: io.write_bytes.saturating_sub(io.cancelled_write_bytes),
        })),
        Err(ProcError::PermissionDenied(_)) => Err(DiskIoError::Denied {
            action: "read",
            path,
        }),
        // Gone, before or while it was read.
        Err(ProcError::NotFound(_)) if !Path::new(&format!("/proc/{pid}")).exists() => Ok(None),
        Err(ProcError::Io(error, _)) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(DiskIoError::Io {
            action: "read",
            path,
            why: error.to_string(),
        }),
    }
}

/// The sum over the scope's groups, of which each must tell.
fn of_groups(scope: &Scope) -> Result<Bytes, DiskIoError> {
    let mut groups = scope.groups().peekable();
    if groups.peek().is_none() {
        return Err(DiskIoError::NoCgroup);
    }
    groups.try_fold(Bytes::default(), |sum, group| {
        let bytes = of_cgroups(group)?;
        Ok(Bytes {
            read_bytes: sum.read_bytes + bytes.read_bytes,
            write_bytes: sum.write_bytes + bytes.write_bytes,
        })
    })
}

fn of_cgroups(cgroups: &BTreeMap<String, PathBuf>) -> Result<Bytes, DiskIoError> {
    let mut failed = DiskIoError::NoCgroup;
    for dir in ["unified", "io", "blkio"]
        .iter()
        .filter_map(|name| cgroups.get(*name))
    {
        match of_cgroup(dir) {
            Ok(bytes) => return Ok(bytes),
            Err(DiskIoError::NoCgroup) => {}
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What the cgroup `dir`, of either version, has read and written, groups below it included.
///
/// # Errors
/// It has no io or blkio controller, or one that does not count.
pub fn of_cgroup(dir: &Path) -> Result<Bytes, DiskIoError> {
    if let Some(text) = text_of(&dir.join(V2_FILE))? {
        return Ok(parse_io_stat(&text));
    }
    let Some(text) = text_of(&dir.join(V1_FILE))? else {
        return Err(DiskIoError::NoCgroup);
    };
    let bytes = parse_v1(&text);
    if bytes == Bytes::default() {
        let mount = v1_mount(dir);
        let all = text_of(&mount.join(V1_FILE))?.unwrap_or_default();
        if parse_v1(&all) == Bytes::default() {
            return Err(DiskIoError::NotCounting { mount });
        }
    }
    Ok(bytes)
}

/// The topmost directory above `dir` that is still a blkio group.
fn v1_mount(dir: &Path) -> PathBuf {
    dir.ancestors()
        .take_while(|above| above.join(V1_FILE).exists())
        .last()
        .unwrap_or(dir)
        .to_path_buf()
}

fn text_of(path: &Path) -> Result<Option<String>, DiskIoError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskIoError::io("read", path, &error)),
    }
}

pub(crate) fn read_as_everything(text: &str) {
    let _ = (parse_io_stat(text), parse_v1(text));
}

/// Lines such as `254:0 rbytes=1459200 wbytes=314773504 rios=192 ...`.
fn parse_io_stat(text: &str) -> Bytes {
    let sum = |key: &str| {
        text.split_whitespace()
            .filter_map(|word| {
                word.strip_prefix(key)?
                    .strip_prefix('=')?
                    .parse::<u64>()
                    .ok()
            })
            .fold(0, u64::saturating_add)
    };
    Bytes {
        read_bytes: sum("rbytes"),
        write_bytes: sum("wbytes"),
    }
}

/// Lines such as `254:0 Read 4096`, one per device and operation, and a `Total 4096` at the end.
fn parse_v1(text: &str) -> Bytes {
    let sum = |operation: &str| {
        text.lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace().skip(1);
                (words.next()? == operation).then(|| words.next()?.parse::<u64>().ok())?
            })
            .fold(0, u64::saturating_add)
    };
    Bytes {
        read_bytes: sum("Read"),
        write_bytes: sum("Write"),
    }
}

/// Writes dirty pages out and drops the page cache, dentries and inodes of the whole machine, so that
/// what is read next comes from storage. Clean caches are all that is lost.
///
/// # Errors
/// Not root, or /proc is read-only.
pub fn drop_caches() -> Result<(), DiskIoError> {
    // Only clean pages are dropped, so they are written out first.
    sync();
    let path = Path::new(DROP_CACHES);
    fs::write(path, "3").map_err(|error| DiskIoError::io("write", path, &error))
}

/// Whether [`drop_caches`] would be allowed, without doing it.
///
/// # Errors
/// Not root, or /proc is read-only.
pub fn may_drop_caches() -> Result<(), DiskIoError> {
    let path = Path::new(DROP_CACHES);
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .map(drop)
        .map_err(|error| DiskIoError::io("write", path, &error))
}

#[cfg(test)]
mod tests;
