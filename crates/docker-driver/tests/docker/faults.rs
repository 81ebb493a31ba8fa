//! Faults on a real engine: a clear message, an exit code, the samples so far, and nothing left.

use std::collections::HashMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::common::{
    Running, as_nobody, assert_clean, can_run, driver, driver_at, left_over, processes_named, run,
    turn, wait_for, word,
};
use bollard::models::ContainerCreateBody;
use docker_driver::api::Client;
use docker_driver::container;
use measure_core::driver::protocol::Message;
use measure_core::label::LABEL;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn is_sample(line: &Message) -> bool {
    matches!(line, Message::Sample(_))
}

/// The engine's daemon, from outside of its namespaces.
fn daemon(scope: &measure_core::driver::Scope) -> Pid {
    let found = processes_named(&scope.cgroups["memory"], "dockerd");
    assert_eq!(found.len(), 1);
    Pid::from_raw(found[0])
}

#[test]
fn a_wrong_exit_code_is_a_failed_start() {
    if !can_run("a_wrong_exit_code_is_a_failed_start") {
        return;
    }
    let _turn = turn();
    for rung in ["docker-none", "docker-precreated"] {
        let ended = run(driver(&[
            "time",
            "2",
            "--rung",
            rung,
            "--function",
            "demo/fail",
        ]));
        ended.expect(4);
        for sample in ended.samples() {
            assert_eq!(sample.error.as_deref(), Some("exit code 3 of demo/fail"));
        }
        assert_eq!(ended.samples().len(), 2);
        assert_clean(ended.pid);
    }
}

#[test]
fn what_ends_by_itself_cannot_be_parked() {
    if !can_run("what_ends_by_itself_cannot_be_parked") {
        return;
    }
    let _turn = turn();
    let ended = run(driver(&[
        "hold",
        "2",
        "--rung",
        "docker-none",
        "--function",
        "demo/noop",
    ]));
    ended.expect(4);
    assert!(ended.stderr.contains("ended by itself"), "{}", ended.stderr);
    assert_clean(ended.pid);
}

#[test]
fn wrong_command_lines_say_what_there_is() {
    for (arguments, text) in [
        (
            &["time", "1", "--rung", "docker-nome"][..],
            "did you mean `docker-none`?",
        ),
        (&["time", "0", "--rung", "docker-none"], "it must be 1 to"),
        (
            &["time", "1", "--rung", "docker-none", "--workers", "99999"],
            "at most 1000",
        ),
        (
            &["hold", "1000000", "--rung", "docker-none"],
            "it must be 1 to",
        ),
        (
            &["build-image", "--base", "alpin"],
            "did you mean `alpine`?",
        ),
        (&["info", "--api-timeout", "0"], "it must be 1 to"),
        (
            &["time", "1", "--rung", "docker-none", "--function", "noop"],
            "user/function",
        ),
    ] {
        let output = driver(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(text), "{arguments:?}: {stderr}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    }
    if can_run("wrong_command_lines_say_what_there_is") {
        let _turn = turn();
        let ended = run(driver(&[
            "time",
            "1",
            "--rung",
            "docker-none",
            "--function",
            "demo/nop",
        ]));
        ended.expect(2);
        assert!(
            ended.stderr.contains("did you mean `demo/noop`?"),
            "{}",
            ended.stderr
        );
        assert_clean(ended.pid);
    }
}

#[test]
fn help_teaches() {
    let output = driver(&["--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for wanted in ["EXAMPLES:", "EXIT CODES:", "--docker-host", "build-image"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(!text.contains("engine-init"), "{text}");
    // The hidden command is of no use to anyone but the driver, and harmless.
    let output = driver(&["engine-init"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn what_the_host_lacks_is_said_with_its_cure() {
    let unavailable = |command: &mut Command, why: &str, mend: &str| {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("unavailable: "),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains(why) && text.contains(mend), "{text}");
    };
    let info = ["info", "--rung", "docker-none"];
    // A user who can read the executable but not do much with it.
    let open = tempfile::Builder::new()
        .permissions(mode(0o755))
        .tempdir()
        .unwrap();
    let copy = open.path().join("docker-driver");
    fs::copy(crate::common::DRIVER, &copy).unwrap();
    let mut nobody = Command::new(&copy);
    nobody.args(info).current_dir(open.path());
    unavailable(as_nobody(&mut nobody), "needs root", "--docker-host");
    if !can_run("what_the_host_lacks_is_said_with_its_cure") {
        return;
    }
    // The store is empty: there is nothing to make an image of.
    let empty = tempfile::tempdir().unwrap();
    unavailable(
        &mut driver_at(empty.path(), &info),
        "no native build of demo/noop",
        "make build-noop",
    );
    let ended = run(driver_at(
        empty.path(),
        &["time", "1", "--rung", "docker-none"],
    ));
    ended.expect(3);
    // A mount namespace in which a part of the engine is no executable.
    for part in ["dockerd", "iptables", "runc"] {
        let mut hidden = Command::new("unshare");
        hidden
            .args(["--mount", "sh", "-c"])
            .arg(format!(
                "mount --bind /dev/null $(readlink -f $(command -v {part})) && exec \"$@\""
            ))
            .args(["sh", crate::common::DRIVER])
            .args(info)
            .env("FAASM_BENCH_HOME", crate::common::home());
        unavailable(
            &mut hidden,
            &format!("{part} is not installed"),
            "apt-get install docker.io iptables",
        );
    }
    let mut no_cgroups = Command::new("unshare");
    no_cgroups
        .args([
            "--mount",
            "sh",
            "-c",
            "umount -R -l /sys/fs/cgroup && exec \"$@\"",
        ])
        .args(["sh", crate::common::DRIVER])
        .args(info)
        .env("FAASM_BENCH_HOME", crate::common::home());
    unavailable(&mut no_cgroups, "no cgroup hierarchy", "mount");
    // Root without the right to make namespaces.
    let mut weak = Command::new("setpriv");
    weak.args(["--bounding-set", "-sys_admin", crate::common::DRIVER])
        .args(info)
        .env("FAASM_BENCH_HOME", crate::common::home());
    unavailable(&mut weak, "namespace", "CAP_SYS_ADMIN");
}

fn mode(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

#[test]
fn a_daemon_that_does_not_come_up_is_quoted() {
    if !can_run("a_daemon_that_does_not_come_up_is_quoted") {
        return;
    }
    let _turn = turn();
    // The real daemon, given what it refuses.
    let dir = tempfile::tempdir().unwrap();
    let wrapper = dir.path().join("dockerd");
    fs::write(
        &wrapper,
        "#!/bin/sh\nexec /usr/sbin/dockerd --storage-driver=nonesuch \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(&wrapper, mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        dir.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = driver(&["time", "1", "--rung", "docker-none"]);
    command.env("PATH", path);
    let ended = run(command);
    ended.expect(3);
    assert!(ended.stderr.contains("did not come up"), "{}", ended.stderr);
    assert!(ended.stderr.contains("nonesuch"), "{}", ended.stderr);
    assert_clean(ended.pid);
}

#[test]
fn a_damaged_image_names_its_cure() {
    if !can_run("a_damaged_image_names_its_cure") {
        return;
    }
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    crate::common::make_store(home.path());
    let built = driver_at(home.path(), &["build-image", "--base", "local"])
        .status()
        .unwrap();
    assert!(built.success());
    let archive = home.path().join("image/faasm-noop.tar");
    fs::write(&archive, &fs::read(&archive).unwrap()[..5000]).unwrap();
    // Engines that have it already do not need the archive.
    assert!(driver(&["clean"]).status().unwrap().success());
    let ended = run(driver_at(
        home.path(),
        &["time", "1", "--rung", "docker-none"],
    ));
    ended.expect(1);
    assert!(ended.stderr.contains("make build-noop"), "{}", ended.stderr);
    assert_clean(ended.pid);
}

#[test]
fn a_daemon_that_dies_in_mid_run_loses_no_sample() {
    if !can_run("a_daemon_that_dies_in_mid_run_loses_no_sample") {
        return;
    }
    let _turn = turn();
    let mut timer = Running::start(driver(&[
        "time",
        "1000",
        "--workers",
        "2",
        "--rung",
        "docker-none",
    ]));
    let scope = timer.scope();
    for _ in 0..2 {
        timer.until(is_sample);
    }
    kill(daemon(&scope), Signal::SIGKILL).unwrap();
    let ended = timer.end();
    ended.expect(7);
    assert!(ended.samples().iter().filter(|s| s.error.is_none()).count() >= 2);
    assert!(
        ended.stderr.contains("the engine is gone"),
        "{}",
        ended.stderr
    );
    assert!(matches!(
        ended.lines.last(),
        Some(Message::Failed { exit: 7, .. })
    ));
    assert_clean(ended.pid);
}

#[test]
fn a_daemon_that_dies_under_parked_containers_takes_them_along() {
    if !can_run("a_daemon_that_dies_under_parked_containers_takes_them_along") {
        return;
    }
    let _turn = turn();
    let mut holder = Running::start(driver(&["hold", "2", "--rung", "docker-none"]));
    let scope = holder.scope();
    holder.until(|line| matches!(line, Message::Parked { .. }));
    kill(daemon(&scope), Signal::SIGKILL).unwrap();
    wait_for("the end of the engine", || {
        processes_named(&scope.cgroups["memory"], "park").is_empty()
    });
    let ended = holder.end();
    ended.expect(7);
    assert_clean(ended.pid);
}

#[test]
fn a_daemon_that_hangs_is_reported() {
    if !can_run("a_daemon_that_hangs_is_reported") {
        return;
    }
    let _turn = turn();
    let mut timer = Running::start(driver(&[
        "time",
        "1000",
        "--rung",
        "docker-host",
        "--api-timeout",
        "3",
    ]));
    let scope = timer.scope();
    timer.until(is_sample);
    kill(daemon(&scope), Signal::SIGSTOP).unwrap();
    let ended = timer.end();
    ended.expect(7);
    assert!(ended.stderr.contains("within 3 s"), "{}", ended.stderr);
    assert_clean(ended.pid);
}

#[test]
fn signals_at_any_moment_leave_nothing() {
    if !can_run("signals_at_any_moment_leave_nothing") {
        return;
    }
    let _turn = turn();
    // From before the engine is there to well into the starts.
    for (index, delay_ms) in [5, 60, 150, 300, 500, 800, 1100, 1500, 2000, 2600]
        .into_iter()
        .enumerate()
    {
        let (signal, code) = [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)][index % 2];
        let command = [&["time", "1000"][..], &["hold", "8"]][(index / 2) % 2];
        let timer = Running::start(driver(&[command, &["--rung", "docker-bridge"]].concat()));
        thread::sleep(Duration::from_millis(delay_ms));
        timer.signal(signal);
        let ended = timer.end();
        // Within the first milliseconds the signal finds no handler yet.
        if delay_ms > 50 {
            assert_eq!(
                ended.status.code(),
                Some(code),
                "{delay_ms} ms: {}",
                ended.stderr
            );
        }
        assert_clean(ended.pid);
    }
}

#[test]
fn a_signal_during_the_build_of_the_image_leaves_nothing() {
    if !can_run("a_signal_during_the_build_of_the_image_leaves_nothing") {
        return;
    }
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    crate::common::make_store(home.path());
    let mut child = driver_at(home.path(), &["build-image", "--base", "local"])
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(400));
    let pid = child.id().cast_signed();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    assert_clean(pid);
    assert!(!home.path().join("image/faasm-noop.json").exists());
}

#[test]
fn a_killed_driver_takes_its_engine_along_and_the_next_run_tidies_up() {
    if !can_run("a_killed_driver_takes_its_engine_along_and_the_next_run_tidies_up") {
        return;
    }
    let _turn = turn();
    let kill_one = || {
        let mut holder = Running::start(driver(&["hold", "2", "--rung", "docker-bridge"]));
        let scope = holder.scope();
        holder.until(|line| matches!(line, Message::Parked { .. }));
        holder.signal(Signal::SIGKILL);
        let pid = holder.pid();
        let _ = holder.end();
        wait_for("the death of the engine", || {
            !left_over(pid)
                .iter()
                .any(|what| what.starts_with("process"))
        });
        (pid, scope)
    };
    let (pid, scope) = kill_one();
    assert!(
        scope.cgroups["memory"].exists(),
        "the kernel does not remove groups"
    );
    let next = run(driver(&["time", "1", "--rung", "docker-none"]));
    next.expect(0);
    assert_clean(pid);
    assert_clean(next.pid);
    let (pid, _) = kill_one();
    let clean = driver(&["clean"]).output().unwrap();
    let text = String::from_utf8_lossy(&clean.stdout);
    assert!(text.contains(&format!("faasm-bench.{pid}.")), "{text}");
    assert_clean(pid);
}

#[test]
fn clean_leaves_a_running_engine_alone() {
    if !can_run("clean_leaves_a_running_engine_alone") {
        return;
    }
    let _turn = turn();
    let mut timer = Running::start(driver(&["time", "1", "--gated", "--rung", "docker-none"]));
    let scope = timer.scope();
    assert!(driver(&["clean"]).status().unwrap().success());
    let ping = Client::connect(word(&scope.includes, "unix://"), Duration::from_secs(5));
    assert!(ping.is_ok(), "{ping:?}");
    timer.go();
    timer.until(is_sample);
    let ended = timer.end();
    ended.expect(0);
    assert_clean(ended.pid);
}

#[test]
fn an_engine_elsewhere_that_is_absent_or_refuses_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let deaf = dir.path().join("deaf.sock");
    let listener = UnixListener::bind(&deaf).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for (url, text) in [
        (
            format!("unix://{}/none.sock", dir.path().display()),
            "no docker engine answers at",
        ),
        (
            format!("unix://{}", deaf.display()),
            "no docker engine answers at",
        ),
        (
            "tcp://127.0.0.1:1".to_owned(),
            "no docker engine answers at",
        ),
        ("ftp://x".to_owned(), "no docker engine answers at"),
    ] {
        let ended = run(driver(&[
            "--docker-host",
            &url,
            "time",
            "1",
            "--rung",
            "docker-none",
        ]));
        ended.expect(3);
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
}

#[test]
fn an_engine_elsewhere_keeps_its_other_containers() {
    if !can_run("an_engine_elsewhere_keeps_its_other_containers") {
        return;
    }
    let _turn = turn();
    // One driver's engine is another's foreign engine.
    let mut holder = Running::start(driver(&["hold", "1", "--gated", "--rung", "docker-none"]));
    let scope = holder.scope();
    holder.until(|line| matches!(line, Message::Ready));
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
    let ended = run(driver(&[
        "--docker-host",
        host,
        "time",
        "2",
        "--rung",
        "docker-none",
    ]));
    ended.expect(0);
    assert_eq!(ended.samples().len(), 2);
    assert!(ended.stderr.contains("stranger"), "{}", ended.stderr);
    let includes = &ended.scope().includes;
    assert!(
        includes.contains("foreign") && includes.contains("not in it"),
        "{includes}"
    );
    let roots = &ended.scope().roots;
    assert_eq!(roots[..], [daemon(&scope).as_raw()]);
    let parked = run(driver(&[
        "--docker-host",
        host,
        "hold",
        "2",
        "--rung",
        "docker-none",
    ]));
    parked.expect(0);
    assert!(exists(&stranger) && exists(&orphan));
    let clean = driver(&["--docker-host", host, "clean"]).output().unwrap();
    assert!(
        clean.status.success(),
        "{}",
        String::from_utf8_lossy(&clean.stderr)
    );
    assert!(exists(&stranger) && !exists(&orphan));
    // A name that is taken is the engine's refusal, and ours to remove is only what we made.
    client
        .run(container::remove(&client.api, &stranger, true))
        .unwrap();
    drop(client);
    let ended = holder.end();
    ended.expect(0);
    assert_clean(ended.pid);
}
