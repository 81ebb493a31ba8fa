//! The cgroup of a driver and of everything that its commands start.
//!
//! The driver is in `<ours>/driver`, containers go beside it into `<ours>/...` where their runtime lets one
//! say so, and `<ours>` is what is read. Two levels, because on v2 a group with processes of its own cannot
//! hand controllers to groups below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::label;
use measure_core::contract::Scope;
use measure_core::driver_kit::cgroup::{MountedHierarchy, OwnScope};
use nix::unistd::getpid;

const LEAF: &str = "driver";
const WHAT: &str = "runtime-";
/// How long groups of processes that are ending may keep us.
const LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Left and removed on drop.
#[derive(Debug)]
pub(super) struct Groups {
    own: Option<OwnScope>,
    /// Name of the outer group.
    name: String,
    /// The group before, in a hierarchy that counts nothing but that runtimes make groups in.
    named: Option<PathBuf>,
    path: Option<String>,
}

impl Groups {
    /// Moves this process into groups of its own, as far as they can be had.
    pub(super) fn enter(id: &str) -> Self {
        let what = format!("{WHAT}{id}");
        let own = OwnScope::enter(&format!("{what}/{LEAF}"));
        let mut groups = Self {
            name: label::name(getpid().as_raw(), &what),
            own: Some(own),
            named: None,
            path: None,
        };
        let hierarchies = MountedHierarchy::all().unwrap_or_default();
        let outer = groups.scope("").cgroups.into_values();
        // The same in each hierarchy on v1, and there is one on v2.
        groups.path = outer.into_iter().find_map(|dir| {
            let point = hierarchies.iter().find(|h| dir.starts_with(&h.point))?;
            let below = dir.strip_prefix(&point.point).ok()?;
            Some(format!("/{}", below.display()))
        });
        let systemd = hierarchies
            .iter()
            .find(|h| h.options.contains("name=systemd"));
        groups.named = systemd.and_then(|h| enter_named(&h.point, &groups.name).ok());
        groups
    }

    /// Path of the outer group within each hierarchy, if there is one.
    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Whose work counts.
    pub(super) fn scope(&self, includes: &str) -> Scope {
        let mut scope = self
            .own
            .as_ref()
            .map_or_else(Scope::default, |own| own.scope(includes));
        for dir in scope.cgroups.values_mut() {
            dir.pop();
        }
        scope
    }
}

/// Enters a group in systemd's own hierarchy; returns the one before.
fn enter_named(point: &Path, name: &str) -> io::Result<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let before = own
        .lines()
        .find_map(|line| line.split_once(":name=systemd:"))
        .map_or("/", |(_, path)| path);
    let dir = point.join(name).join(LEAF);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("cgroup.procs"), getpid().to_string())?;
    Ok(point.join(before.trim_start_matches('/')))
}

impl Drop for Groups {
    fn drop(&mut self) {
        if let Some(before) = &self.named {
            let _ = fs::write(before.join("cgroup.procs"), getpid().to_string());
        }
        self.own = None;
        let Some(path) = &self.path else { return };
        let deadline = Instant::now() + LIMIT;
        for hierarchy in MountedHierarchy::all().unwrap_or_default() {
            let dir = hierarchy.point.join(path.trim_start_matches('/'));
            remove_until(&dir, deadline);
        }
    }
}

/// Removes the groups of drivers that are gone in hierarchies without a controller that is measured
/// (cpuset, devices, systemd's own), where runtimes make groups too; the others are
/// [`measure_core::driver_kit::cgroup::remove_orphans`]'s. Returns the directories.
pub(super) fn remove_orphans() -> Vec<String> {
    let mut removed = Vec::new();
    let deadline = Instant::now() + LIMIT;
    for hierarchy in MountedHierarchy::all().unwrap_or_default() {
        for entry in fs::read_dir(&hierarchy.point)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let ours = |name: &str| label::is_orphan(name) && name.contains(WHAT);
            if !name.to_str().is_some_and(ours) {
                continue;
            }
            let dir = entry.path();
            remove_until(&dir, deadline);
            removed.push(dir.display().to_string());
        }
    }
    removed
}

/// Removes the groups at and below `dir` as soon as they are empty, or says on standard error why it could not.
fn remove_until(dir: &Path, deadline: Instant) {
    while let Err(error) = remove_tree(dir) {
        if Instant::now() > deadline {
            eprintln!("warning: cannot remove cgroup {}: {error}", dir.display());
            break;
        }
        thread::sleep(POLL);
    }
}

/// Removes the empty groups at and below `dir`.
fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}
