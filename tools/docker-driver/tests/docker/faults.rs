//! Faults on a real engine: a clear message, an exit code, the samples so far, and nothing left.

use std::fs;
use std::process::Command;

use crate::common::{
    DRIVER, as_nobody, daemon, driver, driver_at, ended_with, ends, ends_at, home, make_store,
    processes_named, start, turn,
};
use driver_testkit::{eventually, functions, run};
use measure_core::contract::protocol::Message;
use nix::sys::signal::{Signal, kill};

#[test]
fn a_wrong_exit_code_is_a_failed_start() {
    let Some(_turn) = turn() else { return };
    for rung in ["docker-none", "docker-precreated"] {
        let ended = ends(&format!("time 2 --rung {rung} --function demo/fail"), 4);
        for sample in ended.samples() {
            assert_eq!(sample.error.as_deref(), Some("exit code 3 of demo/fail"));
        }
        assert_eq!(ended.samples().len(), 2);
    }
}

#[test]
fn what_ends_by_itself_cannot_be_parked() {
    let Some(_turn) = turn() else { return };
    let ended = ends("hold 2 --rung docker-none --function demo/noop", 4);
    ended.says("ended by itself");
}

#[test]
fn wrong_command_lines_say_what_there_is() {
    for (words, text) in [
        ("time 1 --rung docker-nome", "did you mean `docker-none`?"),
        ("time 0 --rung docker-none", "it must be 1 to"),
        ("time 1 --rung docker-none --workers 99999", "at most 1000"),
        ("hold 1000000 --rung docker-none", "it must be 1 to"),
        ("build-image --base alpin", "did you mean `alpine`?"),
        ("info --api-timeout 0", "it must be 1 to"),
        ("time 1 --rung docker-none --function noop", "user/function"),
    ] {
        run(driver(words)).expect(2).says(text);
    }
    let Some(_turn) = turn() else { return };
    let ended = ends("time 1 --rung docker-none --function demo/nop", 2);
    ended.says("did you mean `demo/noop`?");
}

#[test]
fn help_teaches() {
    let text = run(driver("--help")).stdout;
    for wanted in ["EXAMPLES:", "EXIT CODES:", "--docker-host", "build-image"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert!(!text.contains("engine-init"), "{text}");
    // The hidden command is of no use to anyone but the driver, and harmless.
    run(driver("engine-init")).expect(3);
}

#[test]
fn what_the_host_lacks_is_said_with_its_cure() {
    let unavailable = |command: &mut Command, why: &str, mend: &str| {
        let text = run(command).stdout;
        for words in ["unavailable: ", why, mend] {
            assert!(text.contains(words), "{words}: {text}");
        }
    };
    const INFO: &str = "info --rung docker-none";
    let info = INFO.split(' ');
    // A user who can read the executable but not do much with it.
    let open = tempfile::Builder::new()
        .permissions(mode(0o755))
        .tempdir()
        .unwrap();
    let copy = open.path().join("docker-driver");
    functions::copy_program(DRIVER, &copy);
    let mut nobody = Command::new(&copy);
    nobody.args(info.clone()).current_dir(open.path());
    unavailable(as_nobody(&mut nobody), "needs root", "--docker-host");
    let Some(_turn) = turn() else { return };
    // The store is empty: there is nothing to make an image of.
    let empty = tempfile::tempdir().unwrap();
    unavailable(
        &mut driver_at(empty.path(), INFO),
        "no native build of demo/noop",
        "make build-noop",
    );
    ends_at(empty.path(), "time 1 --rung docker-none", 3);
    // A mount namespace in which something is missing.
    let within = |script: &str| {
        let mut hidden = Command::new("unshare");
        hidden
            .args(["--mount", "sh", "-c", &format!("{script} && exec \"$@\"")])
            .args(["sh", DRIVER])
            .args(info.clone())
            .env("FAASM_BENCH_HOME", home());
        hidden
    };
    for part in ["dockerd", "iptables", "runc"] {
        unavailable(
            &mut within(&format!(
                "mount --bind /dev/null $(readlink -f $(command -v {part}))"
            )),
            &format!("{part} is not installed"),
            "apt-get install docker.io iptables",
        );
    }
    let mut no_cgroups = within("umount -R -l /sys/fs/cgroup");
    unavailable(&mut no_cgroups, "no cgroup hierarchy", "mount");
    // Root without the right to make namespaces.
    let mut weak = Command::new("setpriv");
    weak.args(["--bounding-set", "-sys_admin", DRIVER])
        .args(info.clone())
        .env("FAASM_BENCH_HOME", home());
    unavailable(&mut weak, "namespace", "CAP_SYS_ADMIN");
}

fn mode(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

#[test]
fn a_daemon_that_does_not_come_up_is_quoted() {
    let Some(_turn) = turn() else { return };
    // The real daemon, given what it refuses.
    let dir = tempfile::tempdir().unwrap();
    let wrapper = dir.path().join("dockerd");
    functions::write_script(
        "exec /usr/sbin/dockerd --storage-driver=nonesuch \"$@\"",
        &wrapper,
    );
    let path = format!(
        "{}:{}",
        dir.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = driver("time 1 --rung docker-none");
    command.env("PATH", path);
    ended_with(run(command), 3)
        .says("did not come up")
        .says("nonesuch");
}

#[test]
fn a_damaged_image_names_its_cure() {
    let Some(_turn) = turn() else { return };
    let home = tempfile::tempdir().unwrap();
    make_store(home.path());
    run(driver_at(home.path(), "build-image --base local")).expect(0);
    let archive = home.path().join("image/faasm-noop.tar");
    fs::write(&archive, &fs::read(&archive).unwrap()[..5000]).unwrap();
    // Engines that have it already do not need the archive.
    run(driver("clean")).expect(0);
    ends_at(home.path(), "time 1 --rung docker-none", 1).says("make build-noop");
}

#[test]
fn a_daemon_that_dies_in_mid_run_loses_no_sample() {
    let Some(_turn) = turn() else { return };
    let mut timer = start("time 1000 --workers 2 --rung docker-none");
    let scope = timer.scope();
    for _ in 0..2 {
        timer.until_sample();
    }
    kill(daemon(&scope), Signal::SIGKILL).unwrap();
    let ended = ended_with(timer.end(), 7);
    assert!(ended.samples().iter().filter(|s| s.error.is_none()).count() >= 2);
    ended.says("the engine is gone");
    assert!(matches!(
        ended.messages().last(),
        Some(Message::Failed { exit: 7, .. })
    ));
}

#[test]
fn a_daemon_that_dies_under_parked_containers_takes_them_along() {
    let Some(_turn) = turn() else { return };
    let mut holder = start("hold 2 --rung docker-none");
    let scope = holder.scope();
    holder.until_parked();
    kill(daemon(&scope), Signal::SIGKILL).unwrap();
    eventually("the end of the engine", || {
        processes_named(&scope.cgroups["memory"], "park").is_empty()
    });
    ended_with(holder.end(), 7);
}

#[test]
fn a_daemon_that_hangs_is_reported() {
    let Some(_turn) = turn() else { return };
    let mut timer = start("time 1000 --rung docker-host --api-timeout 3");
    let scope = timer.scope();
    timer.until_sample();
    kill(daemon(&scope), Signal::SIGSTOP).unwrap();
    ended_with(timer.end(), 7).says("within 3 s");
}
