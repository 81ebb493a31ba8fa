//! Faults on a real engine: a clear message, an exit code, the samples so far, and nothing left.

use std::fs;
use std::process::Command;

use crate::common::{
    as_nobody, assert_clean, can_run, daemon, driver, driver_at, is_sample, processes_named, start,
    turn,
};
use driver_testkit::{eventually, run};
use measure_core::contract::protocol::Message;
use nix::sys::signal::{Signal, kill};

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
    let mut timer = start(&["time", "1000", "--workers", "2", "--rung", "docker-none"]);
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
        ended.messages().last(),
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
    let mut holder = start(&["hold", "2", "--rung", "docker-none"]);
    let scope = holder.scope();
    holder.until(|line| matches!(line, Message::Parked { .. }));
    kill(daemon(&scope), Signal::SIGKILL).unwrap();
    eventually("the end of the engine", || {
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
    let mut timer = start(&[
        "time",
        "1000",
        "--rung",
        "docker-host",
        "--api-timeout",
        "3",
    ]);
    let scope = timer.scope();
    timer.until(is_sample);
    kill(daemon(&scope), Signal::SIGSTOP).unwrap();
    let ended = timer.end();
    ended.expect(7);
    assert!(ended.stderr.contains("within 3 s"), "{}", ended.stderr);
    assert_clean(ended.pid);
}
