//! Engines of someone else's.

use std::collections::HashMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{daemon, driver, ended_with, ends, processes_named, start, turn, word};
use bollard::models::ContainerCreateBody;
use docker_driver::api::Client;
use docker_driver::container;
use driver_testkit::{run, skipped};
use measure_core::base::label::LABEL;
use measure_core::contract::Scope;
use nix::mount::{MntFlags, umount2};
use probes::memory::Sampler;

#[test]
fn an_engine_elsewhere_that_is_absent_or_refuses_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let deaf = dir.path().join("deaf.sock");
    let listener = UnixListener::bind(&deaf).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for url in [
        &*format!("unix://{}/none.sock", dir.path().display()),
        &format!("unix://{}", deaf.display()),
        "tcp://127.0.0.1:1",
        "ftp://x",
    ] {
        let words = format!("--docker-host {url} time 1 --rung docker-none");
        run(driver(&words))
            .expect(3)
            .says("no docker engine answers at");
    }
}

/// Of the engine at `host`, whose own scope is `engine`: our containers in a group of ours, daemons and shims in theirs.
fn its_containers_are_in_the_scope(host: &str, engine: &Scope) {
    let mut holder = start(&format!(
        "--docker-host {host} hold 2 --gated --rung docker-none"
    ));
    let scope = holder.scope();
    holder.until_ready();
    let containers = &scope.cgroups["memory"];
    let daemons = &scope.more_cgroups[0]["memory"];
    assert!(daemons.starts_with(&engine.cgroups["memory"]), "{scope:?}");
    assert_eq!(processes_named(containers, "park"), Vec::<i32>::new());
    let before = cpu_ns(&scope);
    holder.go();
    assert_eq!(holder.until_parked(), 2);
    let parked = processes_named(containers, "park");
    assert_eq!(parked.len(), 2);
    assert_eq!(processes_named(daemons, "containerd-shim").len(), 2);
    let walk = Sampler::new().unwrap().sample_scope(&scope);
    let weighed = |name: &str| {
        let of_name = walk.processes.iter().filter(|p| p.name.is(name));
        of_name.count()
    };
    assert_eq!((weighed("park"), weighed("dockerd")), (2, 1), "{walk:?}");
    assert_eq!(weighed("containerd-shim"), 2, "{walk:?}");
    // Each start takes a shim and several runs of runc, milliseconds each, none of which is left but the shim.
    assert!(cpu_ns(&scope) > before + 2 * 5_000_000);
    let ended = ended_with(holder.end(), 0);
    assert!(!containers.exists(), "{ended:?}");
}

fn cpu_ns(scope: &Scope) -> u64 {
    let dirs = probes::cpu_time::groups_of_scope(scope).expect("all of its work is counted");
    assert_eq!(dirs.len(), 2, "{dirs:?}");
    dirs.into_iter()
        .map(|dir| probes::cgroup::cpu_ns(dir).unwrap())
        .sum()
}

#[test]
fn an_engine_whose_daemon_shares_our_group_has_no_cpu_time_but_all_memory() {
    let Some(_turn) = turn() else { return };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("podman.sock");
    let url = format!("unix://{}", socket.display());
    let state = |what: &str| dir.path().join(what).display().to_string();
    let service = Command::new("podman")
        .args(["--root", &state("root"), "--runroot", &state("run")])
        .args([
            "--cgroup-manager",
            "cgroupfs",
            "system",
            "service",
            "--time",
            "0",
            &url,
        ])
        .stderr(Stdio::null())
        .spawn();
    let Ok(service) = service else {
        return skipped(
            "podman as an engine elsewhere",
            "podman is not installed, apt-get install podman",
        );
    };
    let _service = Service {
        child: service,
        storage: dir.path().join("root/overlay"),
    };
    let begun = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no podman");
        thread::sleep(Duration::from_millis(20));
    }
    let tried = run(driver(&format!(
        "--docker-host {url} time 1 --rung docker-none"
    )));
    if tried.code == Some(4) && tried.stderr.contains("setrlimit") {
        // Podman raises limits that a host may not let it raise.
        return skipped("podman as an engine elsewhere", tried.stderr.trim());
    }
    tried.expect(0);
    let mut holder = start(&format!("--docker-host {url} hold 2 --rung docker-none"));
    let scope = holder.scope();
    assert_eq!(holder.until_parked(), 2);
    assert!(
        probes::cpu_time::groups_of_scope(&scope).is_none(),
        "{scope:?}"
    );
    assert!(
        scope.includes.contains("start it as a service"),
        "{}",
        scope.includes
    );
    let walk = Sampler::new().unwrap().sample_scope(&scope);
    for (name, count) in [("park", 2), ("conmon", 2), ("podman", 1)] {
        let found = walk.processes.iter().filter(|p| p.name.is(name));
        assert_eq!(found.count(), count, "{name}: {walk:?}");
    }
    ended_with(holder.end(), 0);
}

/// Podman's service, which ends with its test.
struct Service {
    child: Child,
    /// Which it has mounted upon itself, and leaves.
    storage: PathBuf,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = umount2(&self.storage, MntFlags::MNT_DETACH);
    }
}

#[test]
fn an_engine_elsewhere_keeps_its_other_containers() {
    let Some(_turn) = turn() else { return };
    // One driver's engine is another's foreign engine.
    let mut holder = start("hold 1 --gated --rung docker-none");
    let scope = holder.scope();
    holder.until_ready();
    let (host, image) = (
        word(&scope.includes, "unix://"),
        word(&scope.includes, "sha256:"),
    );
    let client = Client::connect(host, Duration::from_secs(30)).unwrap();
    let create = |name: &str, label: Option<&str>| {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            labels: label.map(|pid| HashMap::from([(LABEL.to_owned(), pid.to_owned())])),
            ..ContainerCreateBody::default()
        };
        client
            .run(container::create(&client.api, body, name))
            .unwrap()
    };
    let exists = |id: &str| {
        client
            .call("inspect", client.api.docker.inspect_container(id, None))
            .is_ok()
    };
    let stranger = create("stranger", None);
    let orphan = create("orphan", Some(&i32::MAX.to_string()));
    let there = |words: &str| ends(&format!("--docker-host {host} {words}"), 0);
    let ended = there("time 2 --rung docker-none");
    assert_eq!(ended.says("stranger").samples().len(), 2);
    let includes = &ended.scope().includes;
    assert!(
        includes.contains("foreign") && includes.contains("our containers"),
        "{includes}"
    );
    let roots = &ended.scope().roots;
    assert_eq!(roots[..], [daemon(&scope).as_raw()]);
    its_containers_are_in_the_scope(host, &scope);
    assert!(exists(&stranger) && exists(&orphan));
    there("clean");
    assert!(exists(&stranger) && !exists(&orphan));
    // A name that is taken is the engine's refusal, and ours to remove is only what we made.
    client
        .run(container::remove(&client.api, &stranger, true))
        .unwrap();
    drop(client);
    ended_with(holder.end(), 0);
}
