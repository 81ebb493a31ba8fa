//! The docker rungs on a real engine.

use std::collections::BTreeMap;
use std::fs;

use crate::common::{
    compile, driver, driver_at, ended_with, ends, ends_at, make_store, processes_named, start,
    turn, word,
};
use driver_testkit::{run, skipped};
use measure_core::base::process_tree::processes_below;
use measure_core::contract::protocol::Message;

#[test]
fn every_rung_starts_and_its_phases_sum_to_the_total() {
    let Some(_turn) = turn() else { return };
    let full = ["create", "start", "run", "remove"];
    for (rung, phases) in [
        ("docker-none", &full[..]),
        ("docker-host", &full),
        ("docker-bridge", &full),
        ("docker-precreated", &["start", "run"]),
        ("docker-unpause", &["resume", "run"]),
        ("docker-restore", &["resume", "run"]),
        ("docker-crun", &full),
        ("docker-runsc", &full),
        ("docker-small", &full),
        ("docker-large", &full),
    ] {
        let info = run(driver(&format!("info --rung {rung}")));
        if let Some((_, why)) = info.stdout.split_once("unavailable: ") {
            skipped(rung, why.trim());
            continue;
        }
        let time = format!("time 2 --warmup 1 --rung {rung}");
        ends(&time, 0).made_starts(3, phases);
    }
}

#[test]
fn workers_start_containers_side_by_side() {
    let Some(_turn) = turn() else { return };
    let samples = ends("time 6 --workers 3 --rung docker-bridge", 0).samples();
    assert_eq!(samples.len(), 6);
    let side_by_side = samples.iter().any(|a| {
        samples.iter().any(|b| {
            a.worker != b.worker && a.start_ns < b.start_ns && b.start_ns < a.start_ns + a.total_ns
        })
    });
    assert!(side_by_side);
}

#[test]
fn parked_containers_are_blocked_in_their_main_and_end_well() {
    let Some(_turn) = turn() else { return };
    for rung in ["docker-none", "docker-bridge", "docker-unpause"] {
        let mut holder = start(&format!("hold 3 --gated --rung {rung}"));
        let scope = holder.scope();
        holder.until_ready();
        let group = &scope.cgroups["memory"];
        assert_eq!(processes_named(group, "park").len(), 0);
        // One engine holds them all, so they may come a few at a time.
        holder.say(r#"{"workers":1}"#);
        assert_eq!(holder.until_parked(), 1);
        assert_eq!(processes_named(group, "park").len(), 1);
        holder.go();
        assert_eq!(holder.until_parked(), 3);
        let parked = processes_named(group, "park");
        assert_eq!(parked.len(), 3);
        for pid in parked {
            // The blocking call of main: read(0, ...).
            let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
            assert!(call.starts_with("0 0x0 "), "{call}");
            // Of the tree below the engine's init.
            assert!(processes_below(&scope.roots).contains(&pid));
        }
        assert_eq!(processes_named(group, "containerd-shim").len(), 3);
        assert_eq!(processes_named(group, "dockerd").len(), 1);
        let ended = ended_with(holder.end(), 0);
        assert_eq!(ended.messages().last(), Some(&Message::Ended));
    }
}

/// CPU time of the living processes of a group, by /proc/PID/schedstat of every thread.
fn living_cpu_ns(dir: &std::path::Path) -> u64 {
    let threads = |pid: i32| {
        fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
    };
    let of_thread = |dir: std::path::PathBuf| {
        let text = fs::read_to_string(dir.join("schedstat")).unwrap_or_default();
        text.split_whitespace()
            .next()
            .and_then(|ns| ns.parse::<u64>().ok())
            .unwrap_or(0)
    };
    ["dockerd", "containerd", "engine-init"]
        .iter()
        .flat_map(|name| processes_named(dir, name))
        .flat_map(threads)
        .map(|thread| of_thread(thread.path()))
        .sum()
}

#[test]
fn the_scope_counts_processes_that_have_exited() {
    let Some(_turn) = turn() else { return };
    let mut timer = start("time 3 --gated --rung docker-none");
    let scope = timer.scope();
    let Some(group) = scope.cgroups.get("cpuacct") else {
        skipped(
            "the_scope_counts_processes_that_have_exited",
            "no cpuacct group",
        );
        return;
    };
    timer.until_ready();
    let before = (probes::cgroup::cpu_ns(group).unwrap(), living_cpu_ns(group));
    timer.go();
    timer.until_batch();
    let after = (probes::cgroup::cpu_ns(group).unwrap(), living_cpu_ns(group));
    let (all, living) = (after.0 - before.0, after.1.saturating_sub(before.1));
    // Each start has a shim and several runs of runc, none of which is left: milliseconds each.
    assert!(
        all > living + 3 * 10_000_000,
        "all {all} ns, of the living {living} ns"
    );
    // The v2 tree, which perf counts by, holds the same work.
    if let Some(unified) = scope.cgroups.get("unified") {
        let stat = probes::cgroup::cpu_ns(unified).unwrap();
        let total = probes::cgroup::cpu_ns(group).unwrap();
        assert!(
            stat.abs_diff(total) * 10 < total,
            "unified {stat} ns, cpuacct {total} ns"
        );
    }
    assert_eq!(scope.client, Some(timer.pid()));
    ended_with(timer.end(), 0);
}

#[test]
fn two_drivers_side_by_side_have_an_engine_each() {
    let Some(_turn) = turn() else { return };
    let begin = || start("time 2 --gated --rung docker-bridge");
    let (mut first, mut second) = (begin(), begin());
    let scopes = [first.scope(), second.scope()];
    assert_ne!(scopes[0].roots, scopes[1].roots);
    assert_ne!(
        word(&scopes[0].includes, "unix://"),
        word(&scopes[1].includes, "unix://")
    );
    first.go();
    second.go();
    for driver in [first, second] {
        assert_eq!(ended_with(driver.end(), 0).samples().len(), 2);
    }
}

#[test]
fn the_host_network_is_left_alone() {
    let Some(_turn) = turn() else { return };
    let state = || -> BTreeMap<&str, String> {
        // Engines alone make these; other tests make namespaces and veth pairs of other names.
        let devices = fs::read_dir("/sys/class/net").unwrap().flatten();
        let docker: Vec<_> = devices
            .map(|d| d.file_name())
            .filter(|name| name.to_string_lossy().starts_with("docker"))
            .collect();
        let rules = std::process::Command::new("iptables-save").output();
        let rules = rules.map_or_else(
            |e| e.to_string(),
            |o| String::from_utf8_lossy(&o.stdout).into_owned(),
        );
        BTreeMap::from([
            ("devices", format!("{docker:?}")),
            ("docker rules", rules.matches("DOCKER").count().to_string()),
            (
                "forwarding",
                fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(),
            ),
        ])
    };
    let before = state();
    let mut holder = start("hold 1 --rung docker-bridge");
    holder.until_parked();
    assert_eq!(state(), before);
    ended_with(holder.end(), 0);
    assert_eq!(state(), before);
}

/// Runs `$@` where `/etc` has no `docker` and `/opt` is empty, and lists what of either is there afterwards.
const ON_A_HOST_WITHOUT_DOCKER: &str = r#"
set -eu
mount -t tmpfs tmpfs "$PLACE"
mkdir "$PLACE/etc" "$PLACE/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$PLACE/etc,workdir=$PLACE/work" /etc || exit 77
rm -rf /etc/docker
mount -t tmpfs tmpfs /opt
"$@"
ls -d /etc/docker /opt/* >&2 || :
"#;

#[test]
fn the_engine_leaves_no_file_outside_of_its_own_places() {
    let Some(_turn) = turn() else { return };
    let place = tempfile::tempdir().unwrap();
    let line = driver("time 1 --rung docker-none");
    let mut without = std::process::Command::new("unshare");
    without
        .args(["--mount", "sh", "-c", ON_A_HOST_WITHOUT_DOCKER, "sh"])
        .arg(line.get_program())
        .args(line.get_args())
        .envs(line.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("PLACE", place.path());
    let ended = run(without);
    if ended.code == Some(77) {
        return skipped(
            "what an engine leaves",
            "no overlay above /etc, as this host is one already",
        );
    }
    ended.expect(0);
    assert!(
        !ended.stderr.contains("/etc/docker\n") && !ended.stderr.contains("/opt/containerd\n"),
        "{ended:?}"
    );
}

#[test]
fn the_image_is_built_once_and_anew_when_a_function_changes() {
    let Some(_turn) = turn() else { return };
    let home = tempfile::tempdir().unwrap();
    make_store(home.path());
    let build = || ends_at(home.path(), "build-image --base local", 0).stdout;
    let first = build();
    assert!(first.contains("base local musl + busybox"), "{first}");
    assert_eq!(build(), first);
    // An image that has to be loaded: the engine that built it may not be the one that runs it.
    let ended = ends_at(home.path(), "time 1 --rung docker-host", 0);
    let image = word(&first, "sha256:");
    assert!(ended.scope().includes.contains(image));
    compile(home.path(), "fail", "int main(void) { return 4; }\n");
    let second = build();
    assert_ne!(word(&second, "sha256:"), image);
}

#[test]
fn an_image_on_another_base_is_not_the_one_that_was_asked_for() {
    let Some(_turn) = turn() else { return };
    let home = tempfile::tempdir().unwrap();
    make_store(home.path());
    let local = ends_at(home.path(), "build-image --base local", 0).stdout;
    let alpine = run(driver_at(home.path(), "build-image --base alpine"));
    if alpine.code == Some(0) {
        assert!(alpine.stdout.contains("base alpine:3"), "{alpine:?}");
        let again = ends_at(home.path(), "build-image --base local", 0).stdout;
        assert!(again.contains("base local musl"), "{again}");
    } else {
        // Neither a registry nor an engine here has it: that is said, and what was there stays.
        alpine.expect(3).says("no alpine:3").says("--base local");
        assert_eq!(ends_at(home.path(), "build-image", 0).stdout, local);
    }
}

#[test]
fn the_base_has_a_shell_and_its_tools() {
    let Some(_turn) = turn() else { return };
    let base = docker_driver::image::base::make_base().unwrap();
    let mut archive = tar::Archive::new(base.tar.as_slice());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    for wanted in ["bin/busybox", "bin/sh", "etc/passwd", "tmp/", "usr/bin/awk"] {
        assert!(names.iter().any(|n| n == wanted), "{wanted} in {names:?}");
    }
    assert!(
        names.iter().any(|n| n.starts_with("lib/ld-musl-")),
        "{names:?}"
    );
    assert_eq!(
        docker_driver::image::base::make_base().unwrap().digest,
        base.digest
    );
}

#[test]
fn a_small_image_holds_the_functions_alone_and_a_large_one_its_files_and_the_next_engine_has_them()
{
    let Some(_turn) = turn() else { return };
    run(driver("clean")).expect(0);
    let mut images = Vec::new();
    // Twice each: made, and found in the store.
    for (rung, large) in [
        ("docker-small", false),
        ("docker-large", true),
        ("docker-small", false),
        ("docker-large", true),
    ] {
        let mut holder = start(&format!("hold 1 --rung {rung}"));
        let scope = holder.scope();
        holder.until_parked();
        let parked = processes_named(&scope.cgroups["memory"], "park");
        assert_eq!(parked.len(), 1, "{rung}");
        let root = std::path::PathBuf::from(format!("/proc/{}/root", parked[0]));
        assert!(!root.join("bin").exists(), "{rung}");
        assert!(root.join("function/demo/noop").is_file(), "{rung}");
        assert_eq!(root.join("data/63/4095").is_file(), large, "{rung}");
        images.push(word(&scope.includes, "sha256:").to_owned());
        ended_with(holder.end(), 0);
    }
    // An image that is made anew has another time in it, and so another id.
    assert_eq!(images[..2], images[2..]);
    assert_ne!(images[0], images[1]);
    run(driver("clean")).expect(0);
}
