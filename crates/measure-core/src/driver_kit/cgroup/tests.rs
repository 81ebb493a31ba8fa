//! On the real hierarchies, as root; what needs no rights runs on texts.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::orphans::orphans_below;
use super::*;
use crate::base::label::{self, Owner};

const V1: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/mem\\040ory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
nonsense
";
const V2: &str =
    "41 31 0:38 /box /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn v1_controllers_have_their_own_mounts() {
    let found =
        Hierarchies::from_mounted(MountedHierarchy::parse(V1)).with_v2_controllers(&["hugetlb"]);
    let mount = |c| found.mount(c).and_then(Path::to_str);
    assert_eq!(mount(Controller::Cpu), Some("/sys/fs/cgroup/cpu,cpuacct"));
    assert_eq!(mount(Controller::Cpuacct), mount(Controller::Cpu));
    assert_eq!(mount(Controller::Memory), Some("/sys/fs/cgroup/mem ory"));
    assert_eq!(mount(Controller::Blkio), None, "hybrid v2 without io");
    assert_eq!(mount(Controller::Unified), Some("/sys/fs/cgroup/unified"));
    assert!(!found.is_v2(Controller::Cpu));
    let own = "4:memory:/a/b\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/u\n";
    let group = |c| found.group_in(own, c);
    assert_eq!(
        group(Controller::Memory).as_deref(),
        Some(Path::new("/sys/fs/cgroup/mem ory/a/b"))
    );
    assert_eq!(
        group(Controller::Unified).as_deref(),
        Some(Path::new("/sys/fs/cgroup/unified/u"))
    );
    assert_eq!(group(Controller::Pids), None);
}

#[test]
fn on_v2_controllers_map_onto_the_one_tree() {
    let found = Hierarchies::from_mounted(MountedHierarchy::parse(V2))
        .with_v2_controllers(&["cpu", "io", "memory"]);
    for controller in [Controller::Cpu, Controller::Memory, Controller::Blkio] {
        assert_eq!(found.mount(controller), Some(Path::new("/sys/fs/cgroup")));
        assert!(found.is_v2(controller));
    }
    assert_eq!(found.mount(Controller::Pids), None, "not offered");
    let group = |own| found.group_in(own, Controller::Memory);
    assert_eq!(
        group("0::/box/a\n").as_deref(),
        Some(Path::new("/sys/fs/cgroup/a"))
    );
    assert_eq!(group("0::/elsewhere\n"), None, "outside of the mount");
    assert_eq!(group("0::/box/../x\n"), None, "outside of the namespace");
}

#[test]
fn foreign_names_are_refused() {
    for name in [
        "docker",
        "faasm-bench",
        "../faasm-bench.1.x",
        "faasm-bench.1.x/../../docker",
        "/faasm-bench.1.x",
    ] {
        let refused = Group::create(name, &[Controller::Cpu]);
        assert!(matches!(refused, Err(CgroupError::Name(_))), "{name}");
    }
}

proptest! {
    #[test]
    fn no_mountinfo_panics(text in "\\PC{0,300}") {
        let _ = Hierarchies::from_mounted(MountedHierarchy::parse(&text));
    }

    #[test]
    fn a_group_never_lies_outside_of_its_mount(path in "[a-z/.]{0,40}") {
        let found = Hierarchies::from_mounted(MountedHierarchy::parse(V1));
        if let Some(dir) = found.group_in(&format!("0::/{path}"), Controller::Unified) {
            prop_assert!(dir.starts_with("/sys/fs/cgroup/unified"));
            prop_assert!(!dir.components().any(|c| c.as_os_str() == ".."));
        }
    }
}

/// A new group, or the visible reason why this host does not let the test have one.
fn group(test: &str, what: &str, controllers: &[Controller]) -> Option<Group> {
    match Group::create(
        &label::name(nix::unistd::getpid().as_raw(), what),
        controllers,
    ) {
        Ok(group) => Some(group),
        Err(why) => {
            assert!(
                !matches!(why, CgroupError::Io { .. } | CgroupError::Exists { .. }),
                "{why}"
            );
            eprintln!("SKIPPED: {test}: {why}");
            None
        }
    }
}

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        let child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("sleep starts"))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const COUNTED: [Controller; 2] = [Controller::Cpuacct, Controller::Memory];

#[test]
fn a_process_joins_and_is_moved_out_on_removal() {
    let Some(group) = group("a_process_joins", "process", &COUNTED) else {
        return;
    };
    let sleeper = Sleeper::start();
    group.add_process(sleeper.pid()).expect("joins");
    assert_eq!(group.processes().expect("a list"), [sleeper.pid()]);
    let dirs = group.dirs();
    assert!(dirs.contains_key("cpuacct") && dirs.contains_key("memory"));
    group.remove().expect("removed with a process inside");
    assert!(dirs.values().all(|dir| !dir.exists()));
    let pid = sleeper.pid();
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "not killed");
}

#[test]
fn limits_are_set() {
    let Some(group) = group("limits_are_set", "limits", &[Controller::Cpu]) else {
        return;
    };
    group.set_cpu_quota(Some(50_000), 100_000).expect("quota");
    let dir = group.dir(Controller::Cpu).expect("made");
    let read = |file| fs::read_to_string(dir.join(file)).map(|text| text.trim().to_owned());
    let set = read("cpu.cfs_quota_us").map_or_else(
        |_| read("cpu.max").expect("v2") == "50000 100000",
        |quota| quota == "50000",
    );
    assert!(set);
    group.set_cpu_quota(None, 100_000).expect("lifted");
    assert!(group.set_cpu_quota(Some(1), 1).is_err(), "refused");
}

#[test]
fn a_name_in_use_is_refused_and_a_dead_namesakes_group_is_taken_over() {
    let Some(first) = group("a_name_in_use", "twice", &[Controller::Pids]) else {
        return;
    };
    let dir = first.dir(Controller::Pids).expect("made").to_path_buf();
    let name = label::name(nix::unistd::getpid().as_raw(), "twice");
    let second = Group::create(&name, &[Controller::Pids]);
    assert!(matches!(second, Err(CgroupError::Exists { .. })));
    assert!(dir.exists(), "a failed creation removes nothing");
    first.remove().expect("removed");
    fs::create_dir(&dir).expect("as a dead process with our id would leave it");
    let third = Group::create(&name, &[Controller::Pids]).expect("taken over");
    drop(third);
    assert!(!dir.exists(), "drop removes");
}

#[test]
fn groups_within_groups_go_too() {
    let Some(outer) = group("groups_within_groups", "outer", &[Controller::Freezer]) else {
        return;
    };
    let name = label::name(nix::unistd::getpid().as_raw(), "outer/inner");
    let inner = Group::create(&name, &[Controller::Freezer]).expect("made");
    let sleeper = Sleeper::start();
    inner.add_process(sleeper.pid()).expect("joins");
    assert_eq!(outer.processes().expect("a list"), [sleeper.pid()]);
    let dir = inner.dir(Controller::Freezer).expect("made").to_path_buf();
    outer.remove().expect("removed");
    assert!(!dir.exists());
    inner.remove().expect("already gone is no error");
}

#[test]
fn orphans_are_removed_with_their_processes_and_nothing_else() {
    let Some(living) = group("orphans_are_removed", "living", &COUNTED) else {
        return;
    };
    let mut dead = Command::new("true").spawn().expect("true starts");
    let dead_pid = i32::try_from(dead.id()).expect("a pid");
    dead.wait().expect("ends");
    let base = living.dir(Controller::Memory).and_then(Path::parent);
    let base = base.expect("made below a mount");
    let orphan = base.join(label::name(dead_pid, "left"));
    let foreign = base.join(format!("foreign-{dead_pid}"));
    fs::create_dir_all(orphan.join("container")).expect("made");
    fs::create_dir(&foreign).expect("made");
    let mut inside = Sleeper::start();
    let pid = inside.pid().to_string();
    fs::write(orphan.join("container/cgroup.procs"), pid).expect("joins");
    let removed = remove_orphans();
    let foreign_stayed = fs::remove_dir(&foreign).is_ok();
    assert!(
        removed.contains(&orphan.display().to_string()),
        "{removed:?}"
    );
    assert!(!orphan.exists() && foreign_stayed);
    assert!(living.dir(Controller::Memory).expect("made").exists());
    let deadline = Instant::now() + Duration::from_secs(10);
    while inside.0.try_wait().expect("a child").is_none() {
        assert!(Instant::now() < deadline, "the process inside was killed");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn orphans_are_found_wherever_drivers_make_groups_and_not_among_what_a_living_one_made() {
    let tree = tempfile::tempdir().expect("a directory");
    let mine = label::name_of(Owner::this_process(), "soak");
    let gone = |what: &str| label::name(i32::MAX, what);
    let orphans = [
        gone("at-the-top"),
        format!("user.slice/session.scope/{}", gone("in-a-session")),
        format!("{mine}/{}", gone("in-one-that-lives")),
        format!("{mine}/{mine}/{}", gone("deeper")),
    ];
    for dir in &orphans {
        fs::create_dir_all(tree.path().join(dir).join("7")).expect("made");
        fs::create_dir_all(tree.path().join(dir).join(gone("within"))).expect("made");
    }
    fs::create_dir_all(tree.path().join(&mine).join("1").join(gone("of-a-worker"))).expect("made");
    let mut found = orphans_below(tree.path());
    let mut expected = orphans.map(|dir| tree.path().join(dir)).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn bind_mounts_of_a_hierarchy_count_once() {
    let text = "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
        32 25 0:26 /x /mnt rw - cgroup cgroup rw,cpu,cpuacct\n\
        33 25 0:28 / / rw - ext4 /dev/vda rw\nnonsense\n";
    let found = MountedHierarchy::parse(text);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].point, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
    assert!(found[0].options.contains("cpuacct"));
    assert!(found[1].v2);
}
