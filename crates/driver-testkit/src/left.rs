//! What a driver may leave behind: all that carries the label of its process id.

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::label::{self, Owner};
use measure_core::driver_kit::cgroup::MountedHierarchy;

/// Groups this deep below the root of a hierarchy are looked at.
const DEPTH: usize = 4;

/// Everything on this host that carries the label of process `pid`, in words that begin with its kind:
/// `process`, `cgroup`, `directory` or `mount`.
#[must_use]
pub fn behind(pid: i32) -> Vec<String> {
    let path = |kind: &str, path: PathBuf| format!("{kind} {}", path.display());
    let mut found = processes_of(pid);
    found.extend(cgroups_of(pid).into_iter().map(|dir| path("cgroup", dir)));
    found.extend(
        directories_of(pid)
            .into_iter()
            .map(|dir| path("directory", dir)),
    );
    let mark = label::name(pid, "");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let ours = mounts.lines().filter(|line| line.contains(&mark));
    found.extend(ours.map(|line| format!("mount {line}")));
    found
}

/// Cgroups of the driver `pid`, outermost only, in every hierarchy.
#[must_use]
pub fn cgroups_of(pid: i32) -> Vec<PathBuf> {
    cgroups_made_by(Owner::of_pid(pid))
}

/// Cgroups of the driver `owner`, in whatever PID namespace it is, outermost only, in every hierarchy.
#[must_use]
pub fn cgroups_made_by(owner: Owner) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in MountedHierarchy::all().expect("hierarchies") {
        collect_groups(&hierarchy.point, owner, DEPTH, &mut found);
    }
    found
}

fn collect_groups(dir: &Path, owner: Owner, depth: usize, found: &mut Vec<PathBuf>) {
    for path in entries(dir).filter(|path| path.is_dir()) {
        if is_of(&path, owner) {
            found.push(path);
        } else if depth > 1 {
            collect_groups(&path, owner, depth - 1, found);
        }
    }
}

/// Directories and sockets of the driver `pid`, where drivers keep their state and run.
#[must_use]
pub fn directories_of(pid: i32) -> Vec<PathBuf> {
    let places = [
        home::state().join("runtimes"),
        home::state(),
        home::runtime(),
    ];
    places
        .iter()
        .flat_map(|place| entries(place))
        .filter(|path| is_of(path, Owner::of_pid(pid)))
        .collect()
}

/// Processes that run in a group of the driver `pid`, or with its label in their environment or command line.
fn processes_of(pid: i32) -> Vec<String> {
    let mark = label::name(pid, "");
    let mut found = Vec::new();
    for process in entries(Path::new("/proc")) {
        let id = process
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        // A zombie is its parent's to collect, which after a kill is no driver.
        if !id.is_some_and(crate::alive) {
            continue;
        }
        let text = ["cgroup", "environ", "cmdline"]
            .map(|file| fs::read(process.join(file)).unwrap_or_default())
            .concat();
        let text = String::from_utf8_lossy(&text);
        if text.contains(&mark) {
            found.push(format!("process {}: {text}", process.display()));
        }
    }
    found
}

fn is_of(path: &Path, owner: Owner) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(label::owner) == Some(owner)
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_carries_the_label_is_found_until_it_ends() {
        // No driver has this id: it is this test's own.
        let pid = std::process::id().cast_signed();
        assert_eq!(behind(pid), [""; 0]);
        let mut child = Command::new("sleep")
            .arg("1000")
            .env("ANYTHING", label::name(pid, "start"))
            .spawn()
            .expect("sleep");
        crate::eventually("it has its environment", || !behind(pid).is_empty());
        assert!(behind(pid)[0].starts_with("process"), "{:?}", behind(pid));
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert_eq!(behind(pid), [""; 0]);
    }
}
