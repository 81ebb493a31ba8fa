//! What killed runs left behind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use super::hierarchies::Hierarchies;
use super::read::{children, processes};
use super::tasks::remove_tree;
use crate::base::label;
use crate::base::process_tree::parent_of;

/// Removes the groups, in every hierarchy, that carry our label and whose maker is gone, and kills
/// the processes in them: they are ours too. This process and its ancestors are never killed (a
/// killed run's group may hold whoever cleans up); they move to the parent group. Returns the
/// directories removed; what could not be removed is said on standard error.
pub fn remove_orphans() -> Vec<String> {
    let Ok(hierarchies) = Hierarchies::discover() else {
        return Vec::new();
    };
    let spared = self_and_ancestors();
    let mut removed = Vec::new();
    for mount in hierarchies.mounts() {
        for dir in orphans_below(mount) {
            kill_all(&dir, &spared);
            let homes: Vec<&Path> = dir.parent().into_iter().chain([mount]).collect();
            match remove_tree(&dir, &homes) {
                Ok(()) => removed.push(dir.display().to_string()),
                Err(error) => eprintln!("warning: {error}"),
            }
        }
    }
    removed
}

/// Orphans below `mount`, outermost only. Of a group whose maker lives only those below it are looked at that carry our label,
/// too, as those of drivers within it: the others are of what it made itself, and may be a hundred thousand parked workers'.
pub(super) fn orphans_below(mount: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![(mount.to_owned(), false)];
    while let Some((dir, is_ours)) = left.pop() {
        for child in children(&dir) {
            let name = child.file_name().and_then(|name| name.to_str());
            match name.and_then(label::owner) {
                Some(owner) if owner.is_gone() => found.push(child),
                Some(_) => left.push((child, true)),
                None if is_ours => {}
                None => left.push((child, false)),
            }
        }
    }
    found
}

fn kill_all(dir: &Path, spared: &HashSet<i32>) {
    for pid in processes(dir).unwrap_or_default() {
        if !spared.contains(&pid) {
            // Gone already is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn self_and_ancestors() -> HashSet<i32> {
    let mut chain = HashSet::new();
    let mut pid = getpid().as_raw();
    while pid > 0 && chain.insert(pid) {
        pid = parent_of(pid).unwrap_or(0);
    }
    chain
}
