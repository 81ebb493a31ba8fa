//! Whatever goes wrong with a Firecracker is that sample's failure and leaves nothing behind: a server that
//! misbehaves, broken snapshots, signals.

use std::fs;
use std::thread;

use driver_testkit::{alive, eventually, left};
use measure_core::base::exit::Exit;
use measure_core::contract::protocol::Message;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{Server, assert_failed, assert_nothing_left, assert_says, run};

#[test]
fn a_probe_shows_why_a_start_fails_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    server.misbehave("dies-at /boot-source");
    let ended = server.run("time 1 --rung firecracker");
    assert_failed(&ended, Exit::Unavailable, "exit code 7");
}

#[test]
fn a_probe_of_a_guest_that_never_speaks_has_a_limit_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    server.misbehave("mute-guest");
    let ended = server.run("--timeout 1 info --rung firecracker");
    assert_says(&ended.expect(0).stdout, &["unavailable", "not within 1 s"]);
}

/// What goes wrong, by rung, and what its sample has to say of it.
const FAULTS: [(&str, &[(&str, &str)]); 3] = [
    (
        "firecracker",
        &[
            ("dies-at spawn", "exit code 7"),
            ("hangs-at spawn", "no answer"),
            ("dies-at connect", "exit code 7"),
            ("hangs-at connect", "no answer"),
            ("dies-at /machine-config", "PUT /machine-config"),
            ("dies-at /boot-source", "PUT /boot-source"),
            ("dies-at /actions", "PUT /actions"),
            ("hangs-at /machine-config", "no answer"),
            ("hangs-at /actions", "no answer"),
            ("refuses /boot-source", "status 400: refused on purpose"),
            ("halves-answers", "no answer"),
            ("talks-nonsense", "not an answer of this API"),
            ("dies-after /actions", "a fault on purpose"),
            ("mute-guest", "`hello` was not said"),
            ("strange-guest", "Kernel panic"),
            ("lingers", "did not end after its guest"),
            ("fails", "exit code 3"),
        ],
    ),
    (
        "firecracker-jailed",
        &[
            ("dies-at spawn", "exit code 7"),
            ("hangs-at spawn", "no answer"),
            ("dies-at /actions", "PUT /actions"),
            ("mute-guest", "`hello` was not said"),
            ("lingers", "did not end after its guest"),
        ],
    ),
    (
        "firecracker-restore",
        &[
            ("dies-at /snapshot/load", "PUT /snapshot/load"),
            ("hangs-at /snapshot/load", "no answer"),
            ("refuses /snapshot/load", "status 400: refused on purpose"),
        ],
    ),
];

#[test]
fn whatever_goes_wrong_is_that_samples_failure_and_leaves_nothing_on_the_double() {
    // Side by side, as most of them wait for their timeout.
    thread::scope(|scope| {
        for (rung, faults) in FAULTS {
            for (fault, words) in faults {
                scope.spawn(move || {
                    if let Some(server) = Server::double_for(rung, fault) {
                        fails(&server, rung, words, |_| server.misbehave(fault));
                    }
                });
            }
        }
    });
}

/// Prepares well, then breaks something of this driver, and starts once.
fn fails(server: &Server, rung: &str, words: &str, break_it: impl FnOnce(i32)) {
    let time = "--memory-mib 4 --timeout 10 time 1 --gated --rung";
    let mut driver = server.start(&format!("{time} {rung}"));
    driver.until(|m| *m == Message::Ready);
    let directories = left::directories_of(driver.pid());
    assert!(!directories.is_empty(), "{rung}: nothing to leave behind");
    break_it(driver.pid());
    driver.go();
    let ended = driver.end();
    ended.expect(Exit::StartFailed as i32);
    assert_eq!(ended.batch().failed, 1);
    let error = ended.samples()[0].error.clone().unwrap_or_default();
    assert!(error.contains(words), "wanted `{words}`: {error}");
    assert_nothing_left(ended.pid);
}

#[test]
fn a_half_written_snapshot_is_refused_on_the_double() {
    for (name, words) in [("snapshot", "state from file"), ("memory", "guest memory")] {
        let Some(server) = Server::double() else {
            return;
        };
        fails(&server, "firecracker-restore", words, |pid| {
            let directories = left::directories_of(pid);
            let mut paths = directories.iter().map(|directory| directory.join(name));
            let path = paths.find(|path| path.is_file()).expect("a snapshot");
            let length = fs::metadata(&path).expect("a file").len();
            let file = fs::File::options().write(true).open(&path).expect("opened");
            file.set_len(length / 2).expect("cut");
        });
    }
}

#[test]
fn a_start_that_fails_does_not_end_the_batch_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    let mut driver = server.start("time 1 --gated --rung firecracker");
    driver.until(|m| *m == Message::Ready);
    for (behaviour, failed) in [("fails", 1), ("", 0)] {
        server.misbehave(behaviour);
        driver.go();
        let Message::Batch(batch) = driver.until(|m| matches!(m, Message::Batch(_))) else {
            unreachable!()
        };
        assert_eq!(batch.failed, failed, "{behaviour}");
    }
    driver.end().expect(Exit::StartFailed as i32);
}

#[test]
fn a_signal_ends_a_start_that_hangs_and_a_hold_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    for (signal, exit) in [
        (Signal::SIGINT, Exit::Interrupted),
        (Signal::SIGTERM, Exit::Terminated),
    ] {
        server.misbehave("");
        let mut held = server.hold(2, "firecracker");
        let mut timed = server.start("--timeout 3600 time 1 --gated --rung firecracker");
        timed.until(|m| *m == Message::Ready);
        server.misbehave("mute-guest");
        timed.go();
        eventually("the start is under way", || !timed.children().is_empty());
        for driver in [&mut held, &mut timed] {
            driver.signal(signal);
            assert_eq!(driver.code(), Some(exit as i32));
            assert_nothing_left(driver.pid());
        }
    }
}

on_both!("firecracker-restore" => a_kill_leaves_no_monitor_and_clean_removes_the_files);

fn a_kill_leaves_no_monitor_and_clean_removes_the_files(server: &Server) {
    let mut driver = server.hold(2, "firecracker-restore");
    let monitors = driver.children();
    assert_eq!(monitors.len(), 2);
    assert!(!left::directories_of(driver.pid()).is_empty());
    driver.signal(Signal::SIGKILL);
    driver.code();
    eventually("its monitors end", || !monitors.iter().any(|&p| alive(p)));
    run("clean").expect(0);
    assert_nothing_left(driver.pid());
}

#[test]
fn a_held_monitor_that_dies_is_told_on_the_double() {
    let Some(server) = Server::double() else {
        return;
    };
    let driver = server.hold(2, "firecracker");
    let victim = Pid::from_raw(driver.children()[0]);
    kill(victim, Signal::SIGKILL).expect("killed");
    let ended = driver.end();
    ended.expect(Exit::StartFailed as i32);
    let last = ended.messages().pop();
    assert!(
        matches!(&last, Some(Message::Failed { error, .. }) if error.contains("firecracker")),
        "{last:?}"
    );
    assert_nothing_left(ended.pid);
}
