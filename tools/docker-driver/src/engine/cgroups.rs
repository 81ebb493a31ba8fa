//! The engine's place in every cgroup hierarchy: one group at the root of each, `daemon` in it for
//! dockerd and what it starts, `containers` in it for the containers.
//!
//! At the root and under one name everywhere, because runc takes a single path for all hierarchies;
//! docker's own `/docker` lies there too. runc makes the path in hierarchies that the daemon does not
//! join (cpuset, devices, ...) as well, so removal looks at every mounted one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::contract::Probe;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::cgroup::MountedHierarchy;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{AccessFlags, Pid, access};

/// Hierarchies that a sampler reads, by the names of [`measure_core::contract::Scope::cgroups`].
const SCOPE: [&str; 3] = ["cpuacct", "memory", "blkio"];

/// How long a killed engine's processes may take to leave their groups.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);

/// The engine's groups, by [`create`].
#[derive(Debug)]
pub struct EngineCgroups {
    name: String,
    /// What a sampler reads: the outer group of each controller.
    pub scope: BTreeMap<String, PathBuf>,
    /// What the daemon joins.
    pub daemon: Vec<PathBuf>,
}

impl EngineCgroups {
    /// What dockerd gets as `--cgroup-parent`.
    #[must_use]
    pub fn parent(&self) -> String {
        format!("/{}/containers", self.name)
    }
}

/// Whether an engine can have its groups here; makes nothing.
pub fn probe() -> Probe {
    const MEND: &str = "mount the cgroup hierarchies writable (v1: `mount -t cgroup -o memory none DIR`; v2: `mount -t cgroup2 none /sys/fs/cgroup`)";
    let found = match MountedHierarchy::all() {
        Ok(found) => found,
        Err(error) => return Probe::unavailable(error.to_string(), MEND),
    };
    if found.is_empty() {
        return Probe::unavailable("no cgroup hierarchy is mounted", MEND);
    }
    let has = |controller| found.iter().any(|h| h.v2 || h.options.contains(controller));
    if let Some(missing) = ["memory", "devices"].iter().find(|name| !has(**name)) {
        let why = format!("no cgroup hierarchy has the controller {missing}");
        return Probe::unavailable(why, MEND);
    }
    let writable = |h: &&MountedHierarchy| access(&h.point, AccessFlags::W_OK).is_ok();
    match found.iter().find(|h| !writable(h)) {
        Some(h) => Probe::unavailable(format!("{} is not writable", h.point.display()), MEND),
        None => Probe::Ready,
    }
}

/// Makes the groups `name` and `name/daemon`.
///
/// # Errors
/// The kernel refuses.
pub fn create(name: &str) -> Result<EngineCgroups, DriverError> {
    let scope = create_outer(name)?;
    let outer: BTreeSet<&PathBuf> = scope.values().collect();
    let daemon: Vec<PathBuf> = outer.into_iter().map(|dir| dir.join("daemon")).collect();
    for dir in &daemon {
        if let Err(error) = fs::create_dir_all(dir) {
            let _ = remove(name);
            return Err(cannot_make(dir, error));
        }
    }
    Ok(EngineCgroups {
        name: name.to_owned(),
        scope,
        daemon,
    })
}

/// Makes the group `name` in every hierarchy that a sampler reads; its directories by the names of
/// [`measure_core::contract::Scope::cgroups`].
///
/// # Errors
/// The kernel refuses.
pub fn create_outer(name: &str) -> Result<BTreeMap<String, PathBuf>, DriverError> {
    let mut scope = BTreeMap::new();
    for (point, keys) in counting_hierarchies()? {
        let outer = point.join(name);
        let only_v2 = keys.len() > SCOPE.len();
        if only_v2 {
            // Only root's processes are exempt from "no internal processes"; the outer group has none.
            delegate(&point);
        }
        if let Err(error) = fs::create_dir_all(&outer) {
            let _ = remove(name);
            return Err(cannot_make(&outer, error));
        }
        if only_v2 {
            delegate(&outer);
        }
        for key in keys {
            scope.insert(key.to_owned(), outer.clone());
        }
    }
    Ok(scope)
}

fn cannot_make(dir: &Path, error: io::Error) -> DriverError {
    DriverError::failed(format!("cannot make cgroup {}", dir.display()), error)
}

/// Where hierarchies are mounted that a sampler reads, and what it reads in each; a v2 tree that is alone has all.
///
/// # Errors
/// `/proc` is not mounted.
pub fn counting_hierarchies() -> Result<Vec<(PathBuf, Vec<&'static str>)>, DriverError> {
    let found = MountedHierarchy::all()?;
    let only_v2 = found.iter().all(|h| h.v2);
    let keys = |hierarchy: &MountedHierarchy| -> Vec<&'static str> {
        let counted = SCOPE.into_iter();
        counted
            .filter(|key| only_v2 || hierarchy.options.contains(*key))
            .chain(hierarchy.v2.then_some("unified"))
            .collect()
    };
    let all = found.iter().map(|h| (h.point.clone(), keys(h)));
    Ok(all.filter(|(_, keys)| !keys.is_empty()).collect())
}

fn delegate(dir: &Path) {
    for controller in ["+cpu", "+memory", "+io", "+pids", "+cpuset"] {
        // What a tree does not offer is missing from its files, and read as such.
        let _ = fs::write(dir.join("cgroup.subtree_control"), controller);
    }
}

/// Removes the groups `name` in every hierarchy and whatever lives in them; returns the directories
/// that were there.
///
/// # Errors
/// Something still lives there after ten seconds.
pub fn remove(name: &str) -> Result<Vec<String>, DriverError> {
    let found = MountedHierarchy::all()?;
    let deadline = Instant::now() + REMOVAL_LIMIT;
    let mut removed = Vec::new();
    for hierarchy in found {
        let dir = hierarchy.point.join(name);
        if !dir.is_dir() {
            continue;
        }
        while let Err(error) = remove_tree(&dir) {
            if Instant::now() > deadline {
                return Err(DriverError::failed(
                    format!("cannot remove cgroup {}", dir.display()),
                    error,
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
        removed.push(format!("cgroup {}", dir.display()));
    }
    Ok(removed)
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    for pid in processes(dir) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Processes directly in the group `dir`; those of another process id namespace, which read as 0,
/// are left out.
pub fn processes(dir: &Path) -> Vec<i32> {
    fs::read_to_string(dir.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|&pid| pid > 0)
        .collect()
}
