//! The group that our containers have in an engine of someone else's, so that their work can be told from others'.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use measure_core::base::label::{self, Owner};
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::cgroup::MountedHierarchy;

use crate::engine::cgroups;

/// A slice lies in the one that its name begins with: `faasmbench.slice/faasmbench-PID.slice`. A `-` in our label would be one more.
const SLICE: &str = "faasmbench";
/// What our groups are called, after label and owner.
const CONTAINERS: &str = "containers";

/// Groups below which an engine is to make those of our containers. Dropping it removes them.
#[derive(Debug)]
pub(super) struct ContainerGroup {
    name: String,
    by_systemd: bool,
    /// Its directories, by the names of [`measure_core::contract::Scope::cgroups`].
    pub(super) dirs: BTreeMap<String, PathBuf>,
}

/// Why no group of ours holds the containers.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoGroup {
    #[error("its daemon is not on this host, or not to be seen")]
    Elsewhere,
    /// The kernel or systemd refuses.
    #[error(transparent)]
    Refused(DriverError),
}

impl ContainerGroup {
    /// Makes it, in every hierarchy, or has systemd do so for an engine whose groups systemd makes.
    ///
    /// # Errors
    /// The kernel or systemd refuses, which it does to all but root.
    pub(super) fn make(by_systemd: bool) -> Result<Self, DriverError> {
        let me = Owner::this_process();
        if !by_systemd {
            let name = label::name_of(me, CONTAINERS);
            let dirs = cgroups::create_outer(&name)?;
            return Ok(Self {
                name,
                by_systemd,
                dirs,
            });
        }
        let name = slice_of(me);
        systemctl("start", &name)?;
        let made = Self {
            dirs: slice_dirs(&name)?,
            name,
            by_systemd,
        };
        if made.dirs.is_empty() {
            let why = format!("systemd started {}, but no hierarchy has it", made.name);
            return Err(DriverError::Failed(why));
        }
        Ok(made)
    }

    /// What the engine gets as cgroup parent.
    pub(super) fn parent(&self) -> String {
        match self.by_systemd {
            true => self.name.clone(),
            false => format!("/{}", self.name),
        }
    }
}

impl Drop for ContainerGroup {
    fn drop(&mut self) {
        let removed = match self.by_systemd {
            true => systemctl("stop", &self.name),
            false => cgroups::remove(&self.name).map(drop),
        };
        if let Err(error) = removed {
            eprintln!("warning: {error}; `docker-driver clean` tries again");
        }
    }
}

fn slice_of(owner: Owner) -> String {
    format!("{SLICE}-{owner}.slice")
}

/// Where the slice `name` is, in the hierarchies that have it.
fn slice_dirs(name: &str) -> Result<BTreeMap<String, PathBuf>, DriverError> {
    let mut dirs = BTreeMap::new();
    for (point, keys) in cgroups::counting_hierarchies()? {
        let dir = point.join(format!("{SLICE}.slice")).join(name);
        if dir.is_dir() {
            dirs.extend(keys.into_iter().map(|key| (key.to_owned(), dir.clone())));
        }
    }
    Ok(dirs)
}

fn systemctl(verb: &str, unit: &str) -> Result<(), DriverError> {
    let what = format!("`systemctl {verb} {unit}`");
    let output = Command::new("systemctl")
        .args([verb, unit])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| DriverError::failed(format!("cannot run {what}"), e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = format!("{what} ended with {}: {}", output.status, said.trim());
    Err(DriverError::Failed(why))
}

/// Removes the groups of drivers that are gone, with what still runs in them; returns what was removed.
pub fn remove_orphans() -> Vec<String> {
    let mut removed = Vec::new();
    for name in orphaned_groups() {
        match cgroups::remove(&name) {
            Ok(dirs) => removed.extend(dirs),
            Err(error) => eprintln!("warning: {error}"),
        }
    }
    for slice in orphaned_slices() {
        match systemctl("stop", &slice) {
            Ok(()) => removed.push(slice),
            Err(error) => eprintln!("warning: {error}"),
        }
    }
    removed
}

/// In any hierarchy: runc makes the path in those too that no sampler reads.
fn orphaned_groups() -> Vec<String> {
    let mounted = MountedHierarchy::all().unwrap_or_default();
    let entries = mounted
        .iter()
        .flat_map(|hierarchy| fs::read_dir(&hierarchy.point));
    let names = entries
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().into_string());
    let ours = |name: &String| name.ends_with(CONTAINERS) && label::is_orphan(name);
    let found: BTreeSet<String> = names.flatten().filter(ours).collect();
    found.into_iter().collect()
}

fn orphaned_slices() -> Vec<String> {
    let mut found = Vec::new();
    for (point, _) in cgroups::counting_hierarchies().unwrap_or_default() {
        let within = fs::read_dir(point.join(format!("{SLICE}.slice")));
        let names = within.into_iter().flatten().flatten();
        found.extend(names.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    found.retain(|name| slice_owner(name).is_some_and(Owner::is_gone));
    found.sort_unstable();
    found.dedup();
    found
}

fn slice_owner(name: &str) -> Option<Owner> {
    let rest = name.strip_prefix(SLICE)?.strip_prefix('-')?;
    rest.strip_suffix(".slice")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_tells_its_maker() {
        let owner = Owner::of_pid(42);
        assert_eq!(slice_owner(&slice_of(owner)), Some(owner));
        for foreign in [
            "faasmbench.slice",
            "system.slice",
            "faasmbench-x.slice",
            "docker-42.scope",
        ] {
            assert_eq!(slice_owner(foreign), None, "{foreign}");
        }
    }
}
