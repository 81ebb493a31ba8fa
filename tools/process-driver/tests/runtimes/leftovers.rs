//! What is left of a driver.

use std::fs;

use measure_core::base::home;
use measure_core::base::label;
use measure_core::driver_kit::cgroup::MountedHierarchy;

/// Everything on this host that carries the label of process `pid`.
pub fn things_of(pid: i32) -> Vec<String> {
    let mut found = Vec::new();
    let mine = |name: &str| label::owner(name) == Some(pid);
    for hierarchy in MountedHierarchy::all().expect("hierarchies") {
        let groups = fs::read_dir(&hierarchy.point)
            .into_iter()
            .flatten()
            .flatten();
        let names = groups.map(|group| group.file_name().to_string_lossy().into_owned());
        found.extend(
            names
                .filter(|name| mine(name))
                .map(|name| format!("cgroup {}", hierarchy.point.join(name).display())),
        );
    }
    for dir in [home::state().join("runtimes"), home::runtime()] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if mine(&entry.file_name().to_string_lossy()) {
                found.push(format!("directory {}", entry.path().display()));
            }
        }
    }
    let label = label::name(pid, "");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&label))
            .map(|line| format!("mount {line}")),
    );
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&[environment, command].concat()).into_owned();
        if text.contains(&label) {
            found.push(format!("process {}: {text}", entry.file_name().display()));
        }
    }
    found
}
