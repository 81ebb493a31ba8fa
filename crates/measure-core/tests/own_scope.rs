//! A process in a group of its own, from outside. One test in this file: it moves the whole process.

use std::fs;
use std::thread;

use measure_core::base::label;
use measure_core::driver_kit::cgroup::{Group, OwnScope, processes};

fn own_cgroups() -> String {
    fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted")
}

#[test]
fn a_process_enters_a_group_of_its_own_and_leaves_it_as_it_was() {
    let before = own_cgroups();
    // A thread that was there before must move too.
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let waiting = thread::spawn(move || {
        let _ = gone.recv();
        fs::read_to_string("/proc/thread-self/cgroup").expect("/proc is mounted")
    });
    let own = OwnScope::enter("own-scope-test");
    let me = nix::unistd::getpid().as_raw();
    let scope = own.scope("this process");
    assert_eq!(scope.roots, [me]);
    if scope.cgroups.is_empty() {
        eprintln!(
            "SKIPPED: a_process_enters_a_group_of_its_own: {:?}",
            own.notes()
        );
        assert!(!own.notes().is_empty() && scope.includes.len() > "this process".len());
        assert_eq!(own_cgroups(), before);
        return;
    }
    let name = label::name(me, "own-scope-test");
    for (controller, dir) in &scope.cgroups {
        assert!(dir.ends_with(&name), "{}", dir.display());
        assert_eq!(processes(dir).expect("a list"), [me], "{controller}");
    }
    assert_ne!(own_cgroups(), before);
    // Groups made within it go with it.
    let nested = Group::create(
        &label::name(me, "own-scope-nested"),
        &[measure_core::driver_kit::cgroup::Controller::Cpu],
    );
    go.send(()).expect("the thread waits");
    let thread_was_in = waiting.join().expect("no panic");
    assert!(thread_was_in.contains(&name), "{thread_was_in}");
    drop(nested);
    let dirs: Vec<_> = scope.cgroups.values().cloned().collect();
    own.leave().expect("removed");
    assert_eq!(own_cgroups(), before);
    assert!(dirs.iter().all(|dir| !dir.exists()));
}
