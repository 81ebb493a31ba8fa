//! The daemons of an engine that someone else runs: which processes they are, and where their work is counted.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;

use measure_core::driver_kit::cgroup::{Controller, Hierarchies};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use procfs::process::all_processes;

/// What a sampler reads of a group.
const COUNTED: [Controller; 4] = [
    Controller::Cpuacct,
    Controller::Memory,
    Controller::Blkio,
    Controller::Unified,
];

/// A process, as far as it is asked for here.
struct Process {
    pid: i32,
    name: String,
    parent: i32,
}

/// The daemon behind the Unix socket `host`, and its containerd: none if that is not on this host, or not to be seen.
pub(super) fn find(host: &str) -> Vec<i32> {
    let Some(path) = host.strip_prefix("unix://") else {
        return Vec::new();
    };
    let peer = UnixStream::connect(path)
        .ok()
        .and_then(|socket| getsockopt(&socket, PeerCredentials).ok())
        .map(|peer| peer.pid());
    let all = processes();
    let name = |pid: i32| all.iter().find(|p| p.pid == pid).map(|p| p.name.as_str());
    match peer {
        Some(pid) if name(pid) == Some("podman") => vec![pid],
        Some(pid) if name(pid) == Some("dockerd") => with_containerd(pid, &all),
        // With socket activation the listener is the service manager's.
        _ => {
            let mut found = all.iter().filter(|p| p.name == "dockerd");
            match (found.next(), found.next()) {
                (Some(one), None) => with_containerd(one.pid, &all),
                _ => Vec::new(),
            }
        }
    }
}

fn with_containerd(dockerd: i32, all: &[Process]) -> Vec<i32> {
    let mut roots = vec![dockerd];
    let containerds = || all.iter().filter(|p| p.name == "containerd");
    // A child of dockerd's is in its tree already.
    if !containerds().any(|p| p.parent == dockerd) {
        roots.extend(containerds().filter(|p| p.parent == 1).map(|p| p.pid));
    }
    roots
}

fn processes() -> Vec<Process> {
    let all = all_processes().into_iter().flatten().flatten();
    all.filter_map(|process| process.stat().ok())
        .map(|stat| Process {
            pid: stat.pid,
            name: stat.comm,
            parent: stat.ppid,
        })
        .collect()
}

/// The groups that hold the daemons `pids` and nobody else but what they start, each once; `None` if one of them has none: it is in
/// the root of a hierarchy, or in a group that we are in too.
pub(super) fn own_groups(pids: &[i32]) -> Option<Vec<BTreeMap<String, PathBuf>>> {
    let hierarchies = Hierarchies::discover().ok()?;
    let mut groups = Vec::new();
    for &pid in pids {
        let group = own_group(&hierarchies, pid)?;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Some(groups)
}

fn own_group(hierarchies: &Hierarchies, pid: i32) -> Option<BTreeMap<String, PathBuf>> {
    let me = process::id().cast_signed();
    let mut group = BTreeMap::new();
    for controller in COUNTED {
        let Some(root) = hierarchies.mount(controller) else {
            continue;
        };
        let dir = hierarchies.group_of(pid, controller)?;
        let mine = hierarchies.group_of(me, controller)?;
        if dir != root && !mine.starts_with(&dir) {
            group.insert(controller.name().to_owned(), dir);
        }
    }
    let counts_time = ["cpuacct", "unified"]
        .iter()
        .any(|key| group.contains_key(*key));
    counts_time.then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_we_are_in_is_no_daemons_own() {
        let me = process::id().cast_signed();
        assert_eq!(own_groups(&[me]), None);
        // Whoever started us is in our group, or in one above, as a rule; init is in the root's or in one of its own.
        assert_eq!(own_groups(&[]), Some(Vec::new()));
        assert_eq!(own_groups(&[i32::MAX]), None, "gone");
    }

    #[test]
    fn no_daemon_is_seen_behind_what_is_no_unix_socket() {
        assert_eq!(find("tcp://127.0.0.1:2375"), Vec::<i32>::new());
    }

    #[test]
    fn a_containerd_of_its_own_belongs_to_the_daemon() {
        let process = |pid, name: &str, parent| Process {
            pid,
            name: name.into(),
            parent,
        };
        let service = [process(5, "containerd", 1), process(9, "dockerd", 1)];
        assert_eq!(with_containerd(9, &service), [9, 5]);
        let child = [
            process(5, "containerd", 1),
            process(9, "dockerd", 1),
            process(11, "containerd", 9),
        ];
        assert_eq!(with_containerd(9, &child), [9]);
    }
}
