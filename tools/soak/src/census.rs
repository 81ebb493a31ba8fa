//! Everything that a process can leave behind in the room, as words.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::{home, label, process_tree};
use measure_core::driver_kit::cgroup::{MountedHierarchy, processes};
use nix::unistd::{getpid, getppid};

use crate::error::SoakError;
use crate::room::{EMPTY_PLACES, SCRATCH, groups_below};

/// Files but locks, which the kernel opens when their holder dies, this deep below one of [`EMPTY_PLACES`] are told apart: an engine's data root has its own inner life.
const DEPTH: usize = 4;

/// What there is, each thing a word that begins with its kind: `process`, `cgroup`, `namespace`, `link`, `mount`, `socket` or `file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census(BTreeSet<String>);

impl Census {
    /// Looks at everything.
    pub fn take() -> Result<Self, SoakError> {
        let mut found = BTreeSet::new();
        let hierarchies = MountedHierarchy::all()?;
        let groups = hierarchies.iter().flat_map(|h| groups_below(&h.point));
        let groups: BTreeSet<PathBuf> = groups.collect();
        collect_processes(&groups, &mut found);
        found.extend(groups.iter().map(|dir| format!("cgroup {}", dir.display())));
        let words = |line: &str, at| line.split_whitespace().nth(at).map(str::to_owned);
        for line in lines("/proc/self/net/dev").skip(2) {
            found.extend(words(&line, 0).map(|name| format!("link {name}")));
        }
        for line in lines("/proc/self/mountinfo") {
            found.extend(words(&line, 4).map(|point| format!("mount {point}")));
        }
        for line in lines("/proc/self/net/unix").skip(1) {
            found.extend(words(&line, 7).map(|path| format!("socket {path}")));
        }
        for place in EMPTY_PLACES {
            files(Path::new(place), DEPTH, &mut found);
        }
        Ok(Self(found))
    }

    /// What is here and not in `earlier`, and what was there and is no more.
    pub fn since(&self, earlier: &Self) -> Difference {
        Difference {
            left: self.0.difference(&earlier.0).cloned().collect(),
            gone: earlier.0.difference(&self.0).cloned().collect(),
        }
    }

    /// What carries our label, and whose maker is gone.
    pub fn orphans(&self) -> Vec<String> {
        let orphan = |thing: &&String| thing.split(['/', ' ']).any(label::is_orphan);
        self.0.iter().filter(orphan).cloned().collect()
    }

    /// Whether `thing` is there.
    pub fn has(&self, thing: &str) -> bool {
        self.0.contains(thing)
    }
}

/// How two censuses differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What was not there.
    pub left: Vec<String>,
    /// What is there no more.
    pub gone: Vec<String>,
}

impl Difference {
    /// Whether they are the same.
    pub fn is_none(&self) -> bool {
        self.left.is_empty() && self.gone.is_empty()
    }
}

fn lines(path: &str) -> impl Iterator<Item = String> + use<> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

/// All processes in `groups` but this one and the room's first, and the network namespaces that they are in.
fn collect_processes(groups: &BTreeSet<PathBuf>, found: &mut BTreeSet<String>) {
    let (me, first) = (getpid().as_raw(), getppid().as_raw());
    let pids: BTreeSet<i32> = groups
        .iter()
        .flat_map(|dir| processes(dir).unwrap_or_default())
        .collect();
    for pid in pids.into_iter().filter(|&pid| pid != me && pid != first) {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let command = fs::read(proc.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        // One that ended between the listing and here has neither.
        if let Some(parent) = process_tree::parent_of(pid) {
            found.insert(format!("process {pid} (of {parent}) {}", command.trim()));
        }
        if let Ok(namespace) = fs::read_link(proc.join("ns/net")) {
            found.insert(format!("namespace {}", namespace.display()));
        }
    }
}

/// Whether `path` is what docker's engine keeps from one run to the next, which `clean` removes.
fn is_engine(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    path.parent() == Some(&home::state()) && name.is_some_and(|name| name.starts_with("engine-"))
}

fn files(dir: &Path, depth: usize, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let lock = path.extension().is_some_and(|end| end == "lock") && dir == home::runtime();
        if lock || path == Path::new(SCRATCH) {
            continue;
        }
        if is_engine(&path) {
            files(&path.join("data/containers"), 1, found);
            continue;
        }
        found.insert(format!("file {}", path.display()));
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&path, depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_what_went_are_told() {
        let of = |things: &[&str]| Census(things.iter().map(|&t| t.to_owned()).collect());
        let (before, after) = (of(&["a", "b"]), of(&["b", "c"]));
        let difference = after.since(&before);
        assert_eq!(
            (&*difference.left, &*difference.gone),
            (&["c".to_owned()][..], &["a".to_owned()][..])
        );
        assert!(before.since(&before).is_none() && !difference.is_none());
        let orphan = format!("cgroup /sys/{}/0", label::name(i32::MAX, "x"));
        let alive = format!("file /tmp/{}", label::name(getpid().as_raw(), "x"));
        assert_eq!(of(&[&orphan, &alive, "link lo:"]).orphans(), [orphan]);
        assert!(before.has("a") && !after.has("a"));
    }
}
