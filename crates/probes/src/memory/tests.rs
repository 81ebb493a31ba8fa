//! On real processes.

use std::path::PathBuf;
use std::process::Command;

use super::tasks::Source;
use super::*;
use measure_core::base::label;
use measure_core::contract::Scope;
use measure_core::driver_kit::cgroup::{Controller, Group};

#[path = "../../tests/support/sleepers.rs"]
mod sleepers;
use sleepers::Sleepers;

fn me() -> i32 {
    nix::unistd::getpid().as_raw()
}

fn samplers() -> Vec<Sampler> {
    let mut all = vec![Sampler::with_source(Source::Stat).expect("/proc is mounted")];
    let best = Sampler::new().expect("/proc is mounted");
    let threaded = Sampler::new().and_then(|sampler| sampler.with_threads(3));
    all.push(threaded.expect("/proc is mounted"));
    if best.source() == "stat" {
        eprintln!("SKIPPED: taskstats half of the walk tests: no CAP_NET_ADMIN or no taskstats");
    } else {
        all.push(best);
    }
    all
}

#[test]
fn every_process_of_a_tree_is_read_once() {
    let tree = Sleepers::start(5);
    for mut sampler in samplers() {
        // The child is named too: a root inside of another's tree.
        let walk = sampler.sample_trees(&[tree.root(), tree.pids[1]]);
        let mut pids: Vec<i32> = walk.processes.iter().map(|p| p.pid).collect();
        assert_eq!(pids[0], tree.root(), "parents first");
        pids.sort_unstable();
        let mut expected = tree.pids.clone();
        expected.sort_unstable();
        assert_eq!(pids, expected, "{}", sampler.source());
        assert!(walk.start_ns <= walk.found_ns && walk.found_ns <= walk.end_ns);
        assert_eq!((walk.vanished, walk.denied), (0, 0));
        for process in &walk.processes {
            let m = process.memory;
            assert!(
                m.uss_bytes <= m.pss_bytes && m.pss_bytes <= m.rss_bytes,
                "{m:?}"
            );
            assert!(m.rss_bytes > 0);
            if process.pid != tree.root() {
                assert_eq!(process.ppid, tree.root());
                assert!(
                    process.name.is("sleep") || process.name.is("sh"),
                    "{:?}",
                    process.name
                );
            }
        }
        let parts: u64 = walk.processes.iter().map(|p| p.memory.pss_bytes).sum();
        assert_eq!(walk.sum().pss_bytes, parts);
    }
}

#[test]
fn threads_read_what_one_reads() {
    let tree = Sleepers::start(100);
    let pids = |sampler: &mut Sampler| -> Vec<i32> {
        let walk = sampler.sample_trees(&[tree.root()]);
        walk.processes.iter().map(|process| process.pid).collect()
    };
    for mut sampler in samplers() {
        assert_eq!(pids(&mut sampler), tree.pids);
    }
}

#[test]
fn the_numbers_are_the_kernels() {
    let tree = Sleepers::start(1);
    let pid = tree.pids[1];
    // Sharers come and go: only between two equal readings does the long text belong to them.
    let (memory, text) = (0..1000)
        .find_map(|_| {
            let before = of_process(pid).expect("a living process");
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("readable");
            (of_process(pid) == Ok(before)).then_some((before, text))
        })
        .expect("two equal readings of a sleeping process");
    let total = |keys: &[&str]| -> u64 {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| keys.contains(key))
            .filter_map(|(_, value)| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .sum::<u64>()
            * 1024
    };
    assert_eq!(memory.rss_bytes, total(&["Rss"]));
    let private = ["Private_Clean", "Private_Dirty", "Private_Hugetlb"];
    assert_eq!(memory.uss_bytes, total(&private));
    assert_eq!(memory.swap_bytes, total(&["Swap"]));
    // Each mapping is rounded down to whole KiB.
    let mappings = text.matches("\nPss:").count() as u64;
    assert!(memory.pss_bytes - total(&["Pss"]) <= mappings * 1024);
}

#[test]
fn what_is_touched_shows() {
    let before = of_process(me()).expect("this process");
    let block = std::hint::black_box(vec![1u8; 32 << 20]);
    let after = of_process(me()).expect("this process");
    assert!(
        after.uss_bytes >= before.uss_bytes + (24 << 20),
        "{before:?} {after:?}"
    );
    drop(block);
}

#[test]
fn zombies_and_the_vanished_are_counted() {
    let tree = Sleepers::start(2);
    let mut zombie = Command::new("true").spawn().expect("true starts");
    let zombie_pid = i32::try_from(zombie.id()).expect("a pid");
    let status = format!("/proc/{zombie_pid}/stat");
    while !std::fs::read_to_string(&status).is_ok_and(|text| text.contains(" Z ")) {
        std::thread::yield_now();
    }
    for mut sampler in samplers() {
        let walk = sampler.sample_trees(&[zombie_pid, tree.root(), i32::MAX]);
        assert_eq!(walk.without_memory, 1);
        assert_eq!(walk.missing_roots, [i32::MAX]);
        assert_eq!(walk.processes.len(), 3);
        assert_eq!(
            sampler.of_process(zombie_pid),
            Err(MemoryError::WithoutMemory(zombie_pid))
        );
        assert_eq!(
            sampler.of_process(i32::MAX),
            Err(MemoryError::Gone(i32::MAX))
        );
    }
    let child = nix::unistd::Pid::from_raw(tree.pids[1]);
    nix::sys::signal::kill(child, nix::sys::signal::SIGKILL).expect("a child");
    let gone = || of_process(tree.pids[1]).is_err();
    while !gone() {
        std::thread::yield_now();
    }
    zombie.wait().expect("a child");
}

/// In each of which some processes of a tree that churns come and go. Unoptimised a walk takes longer, and meets more of them.
const WALKS: u32 = if cfg!(debug_assertions) { 25 } else { 200 };

#[test]
fn a_tree_that_churns_does_not_end_the_walk() {
    let churn = "while :; do sleep 0.001 & sleep 0.002 & sleep 0.001; wait; done";
    let mut shell = Command::new("sh")
        .args(["-c", churn])
        .spawn()
        .expect("sh starts");
    let root = i32::try_from(shell.id()).expect("a pid");
    for mut sampler in samplers() {
        let mut series = Series::default();
        for _ in 0..WALKS {
            let walk = sampler.sample_trees(&[root]);
            assert!(
                walk.missing_roots.is_empty() && walk.denied == 0,
                "{walk:?}"
            );
            series.push(&walk);
        }
        let peak = series.peak().expect("points");
        assert_eq!(
            peak.memory.pss_bytes,
            series.maxima().expect("points").pss_bytes
        );
        assert!(
            series
                .points
                .iter()
                .all(|p| p.memory.pss_bytes <= peak.memory.pss_bytes)
        );
    }
    shell.kill().expect("a child");
    shell.wait().expect("a child");
}

#[test]
fn a_scope_is_its_roots_and_its_groups_with_the_client_apart() {
    let tree = Sleepers::start(2);
    let apart = Sleepers::start(1);
    let mut scope = Scope {
        roots: vec![tree.root()],
        client: Some(tree.pids[2]),
        ..Scope::default()
    };
    let mut sampler = Sampler::new().expect("/proc is mounted");
    let walk = sampler.sample_scope(&scope);
    assert_eq!(walk.processes.len(), 2);
    assert_eq!(walk.client.map(|c| c.pid), Some(tree.pids[2]));

    let group = match Group::create(&label::name(me(), "scope"), &[Controller::Memory]) {
        Ok(group) => group,
        Err(why) => {
            eprintln!("SKIPPED: groups half of a_scope_is_its_roots_and_its_groups: {why}");
            return;
        }
    };
    for pid in [apart.root(), apart.pids[1], tree.pids[1]] {
        group.add_process(pid).expect("joins");
    }
    scope.cgroups = group.dirs();
    // The second of the two that hold the same work is gone: the first will do.
    scope
        .cgroups
        .insert("zzz".into(), PathBuf::from("/nonexistent"));
    let walk = sampler.sample_scope(&scope);
    assert_eq!(walk.processes.len(), 4, "{walk:?}");
    assert!(walk.reasons.is_empty());
    scope.roots.clear();
    scope.client = None;
    let walk = sampler.sample_scope(&scope);
    assert_eq!(walk.processes.len(), 3, "{walk:?}");
    // With a group beside it, and with whoever started what is in them: this test.
    let beside = Group::create(&label::name(me(), "beside"), &[Controller::Memory]);
    let beside = beside.expect("as the first was made");
    beside.add_process(tree.pids[2]).expect("joins");
    scope.more_cgroups.push(beside.dirs());
    let walk = sampler.sample_scope(&scope);
    assert_eq!(walk.processes.len(), 4, "{walk:?}");
    scope.starters = true;
    let walk = sampler.sample_scope(&scope);
    assert!(
        walk.processes.iter().any(|process| process.pid == me()),
        "{walk:?}"
    );
    let walk = sampler.sample_trees_and_groups(&[], &[&PathBuf::from("/nonexistent")]);
    assert!(walk.processes.is_empty() && walk.reasons.len() == 1);
}

#[test]
fn processes_are_found_by_name() {
    let tree = Sleepers::start(1);
    for mut sampler in samplers() {
        let found = sampler.find("sleep");
        assert!(found.contains(&tree.pids[1]));
        assert!(sampler.find("no-such-name-here").is_empty());
    }
}

#[test]
fn memory_shared_with_the_parent_is_counted_once() {
    extern "C" fn sleep_for_ever(_: *mut libc::c_void) -> libc::c_int {
        loop {
            // SAFETY: takes nothing and touches no memory.
            unsafe { libc::pause() };
        }
    }
    // u128 for the alignment that a stack needs.
    let mut stack = vec![0u128; 4 << 10];
    // SAFETY: the child runs in this address space on a stack of its own, calls nothing but pause and
    // never returns; it is killed and waited for before the stack goes.
    let child = unsafe {
        libc::clone(
            sleep_for_ever,
            stack.as_mut_ptr_range().end.cast(),
            libc::CLONE_VM | libc::SIGCHLD,
            std::ptr::null_mut(),
        )
    };
    assert!(child > 0, "{}", std::io::Error::last_os_error());
    let child = nix::unistd::Pid::from_raw(child);
    let forked = Sleepers::start(1);
    let walks: Vec<Walk> = samplers()
        .iter_mut()
        .map(|sampler| sampler.sample_trees(&[me()]))
        .collect();
    nix::sys::signal::kill(child, nix::sys::signal::SIGKILL).expect("a child");
    nix::sys::wait::waitpid(child, None).expect("a child");
    drop(stack);
    for walk in walks {
        let has = |pid| walk.processes.iter().any(|p| p.pid == pid);
        // Other tests start processes meanwhile, which share for a moment too.
        assert!(walk.sharing >= 1, "{walk:?}");
        assert!(has(me()) && !has(child.as_raw()) && has(forked.root()));
    }
}
