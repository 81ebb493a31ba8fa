//! Whatever goes wrong with a Firecracker is that sample's failure and leaves nothing behind: a server that
//! misbehaves, broken snapshots, signals.

mod common;
#[macro_use]
#[path = "common/on_both.rs"]
mod on_both;

use std::fs;
use std::path::PathBuf;
use std::thread;

use common::{Running, Server, batch, code, directories, errors, eventually, run, samples, with};
use measure_core::base::exit::Exit;
use measure_core::contract::protocol::Message;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

#[test]
fn a_probe_shows_why_a_start_fails_on_the_double() {
    let server = Server::double();
    server.misbehave("dies-at /boot-source");
    let output = run(&with(&server, &["time", "1", "--rung", "firecracker"]));
    assert_eq!(code(&output), Exit::Unavailable as i32);
    assert!(
        errors(&output).contains("exit code 7"),
        "{}",
        errors(&output)
    );
}

#[test]
fn a_probe_of_a_guest_that_never_speaks_has_a_limit_on_the_double() {
    let server = Server::double();
    server.misbehave("mute-guest");
    let info = ["--timeout", "1", "info", "--rung", "firecracker"];
    let output = run(&with(&server, &info));
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("unavailable"), "{text}");
    assert!(text.contains("not within 1 s"), "{text}");
}

/// What goes wrong, on which rung, and what its sample has to say of it.
const FAULTS: [(&str, &str, &str); 25] = [
    ("firecracker", "dies-at spawn", "exit code 7"),
    ("firecracker", "hangs-at spawn", "no answer"),
    ("firecracker", "dies-at connect", "exit code 7"),
    ("firecracker", "hangs-at connect", "no answer"),
    (
        "firecracker",
        "dies-at /machine-config",
        "PUT /machine-config",
    ),
    ("firecracker", "dies-at /boot-source", "PUT /boot-source"),
    ("firecracker", "dies-at /actions", "PUT /actions"),
    ("firecracker", "hangs-at /machine-config", "no answer"),
    ("firecracker", "hangs-at /actions", "no answer"),
    (
        "firecracker",
        "refuses /boot-source",
        "status 400: refused on purpose",
    ),
    ("firecracker", "halves-answers", "no answer"),
    ("firecracker", "talks-nonsense", "not an answer of this API"),
    ("firecracker", "dies-after /actions", "a fault on purpose"),
    ("firecracker", "mute-guest", "`hello` was not said"),
    ("firecracker", "strange-guest", "Kernel panic"),
    ("firecracker", "lingers", "did not end after its guest"),
    ("firecracker", "fails", "exit code 3"),
    ("firecracker-jailed", "dies-at spawn", "exit code 7"),
    ("firecracker-jailed", "hangs-at spawn", "no answer"),
    ("firecracker-jailed", "dies-at /actions", "PUT /actions"),
    ("firecracker-jailed", "mute-guest", "`hello` was not said"),
    (
        "firecracker-jailed",
        "lingers",
        "did not end after its guest",
    ),
    (
        "firecracker-restore",
        "dies-at /snapshot/load",
        "PUT /snapshot/load",
    ),
    (
        "firecracker-restore",
        "hangs-at /snapshot/load",
        "no answer",
    ),
    (
        "firecracker-restore",
        "refuses /snapshot/load",
        "status 400: refused on purpose",
    ),
];

#[test]
fn whatever_goes_wrong_is_that_samples_failure_and_leaves_nothing_on_the_double() {
    // Side by side, as most of them wait for their timeout.
    thread::scope(|scope| {
        for (rung, fault, words) in FAULTS {
            if rung == "firecracker-jailed" && !geteuid().is_root() {
                eprintln!("SKIPPED: {rung}, {fault}: the jailer needs root");
                continue;
            }
            scope.spawn(move || fails(rung, words, |server, _| server.misbehave(fault)));
        }
    });
}

/// Prepares well, then breaks something, and starts once.
fn fails(rung: &str, words: &str, break_it: impl FnOnce(&Server, Pid)) {
    let server = Server::double();
    let options = [
        "--memory-mib",
        "4",
        "--timeout",
        "10",
        "time",
        "1",
        "--gated",
        "--rung",
        rung,
    ];
    let mut driver = Running::start(&with(&server, &options));
    driver.until(|m| *m == Message::Ready);
    let pid = driver.pid();
    assert!(
        !directories(pid).is_empty(),
        "{rung}: nothing to leave behind"
    );
    break_it(&server, pid);
    driver.say("");
    driver.input = None;
    let (exit, said) = driver.rest();
    assert_eq!(exit, Some(Exit::StartFailed as i32), "{rung}, {words}");
    assert_eq!(batch(&said).failed, 1);
    let error = samples(&said)[0].error.clone().unwrap_or_default();
    assert!(error.contains(words), "wanted `{words}`: {error}");
    assert_eq!(server.processes(pid), Vec::<i32>::new(), "{words}");
    assert_eq!(directories(pid), Vec::<PathBuf>::new(), "{words}");
}

#[test]
fn a_half_written_snapshot_is_refused_on_the_double() {
    for (name, words) in [("snapshot", "state from file"), ("memory", "guest memory")] {
        let halve = |_: &Server, pid| {
            let find = |directory: PathBuf| Some(directory.join(name)).filter(|p| p.is_file());
            let path = directories(pid)
                .into_iter()
                .find_map(find)
                .expect("a snapshot");
            let length = fs::metadata(&path).expect("a file").len();
            let file = fs::File::options().write(true).open(&path).expect("opened");
            file.set_len(length / 2).expect("cut");
        };
        fails("firecracker-restore", words, halve);
    }
}

#[test]
fn a_start_that_fails_does_not_end_the_batch_on_the_double() {
    let server = Server::double();
    let options = ["time", "1", "--gated", "--rung", "firecracker"];
    let mut driver = Running::start(&with(&server, &options));
    driver.until(|m| *m == Message::Ready);
    for (behaviour, failed) in [("fails", 1), ("", 0)] {
        server.misbehave(behaviour);
        driver.say("");
        let Message::Batch(batch) = driver.until(|m| matches!(m, Message::Batch(_))) else {
            unreachable!()
        };
        assert_eq!(batch.failed, failed, "{behaviour}");
    }
    driver.input = None;
    assert_eq!(driver.code(), Some(Exit::StartFailed as i32));
}

#[test]
fn a_signal_ends_a_start_that_hangs_and_a_hold_on_the_double() {
    let server = Server::double();
    let options = [
        "--timeout",
        "3600",
        "time",
        "1",
        "--gated",
        "--rung",
        "firecracker",
    ];
    for (signal, exit) in [
        (Signal::SIGINT, Exit::Interrupted),
        (Signal::SIGTERM, Exit::Terminated),
    ] {
        server.misbehave("");
        let mut held = Running::start(&with(&server, &["hold", "2", "--rung", "firecracker"]));
        held.until(|m| matches!(m, Message::Parked { .. }));
        let mut timed = Running::start(&with(&server, &options));
        timed.until(|m| *m == Message::Ready);
        server.misbehave("mute-guest");
        timed.say("");
        let pid = timed.pid();
        eventually("the start is under way", || {
            !server.processes(pid).is_empty()
        });
        for driver in [&mut held, &mut timed] {
            driver.signal(signal);
            assert_eq!(driver.code(), Some(exit as i32));
            assert_eq!(server.processes(driver.pid()), Vec::<i32>::new());
            assert_eq!(directories(driver.pid()), Vec::<PathBuf>::new());
        }
    }
}

on_both!(a_kill_leaves_no_monitor_and_clean_removes_the_files,);

fn a_kill_leaves_no_monitor_and_clean_removes_the_files(server: &Server) {
    let hold = [
        "--memory-mib",
        "4",
        "hold",
        "2",
        "--rung",
        "firecracker-restore",
    ];
    let mut driver = Running::start(&with(server, &hold));
    driver.until(|m| matches!(m, Message::Parked { .. }));
    let pid = driver.pid();
    assert_eq!(server.processes(pid).len(), 2);
    assert!(!directories(pid).is_empty());
    driver.signal(Signal::SIGKILL);
    driver.child.wait().expect("ended");
    eventually("its monitors end", || server.processes(pid).is_empty());
    let output = run(&["clean"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert_eq!(directories(pid), Vec::<PathBuf>::new());
}

#[test]
fn a_held_monitor_that_dies_is_told_on_the_double() {
    let server = Server::double();
    let hold = ["hold", "2", "--rung", "firecracker"];
    let mut driver = Running::start(&with(&server, &hold));
    driver.until(|m| matches!(m, Message::Parked { .. }));
    let victim = server.processes(driver.pid())[0];
    kill(Pid::from_raw(victim), Signal::SIGKILL).expect("killed");
    driver.input = None;
    let (exit, said) = driver.rest();
    assert_eq!(exit, Some(Exit::StartFailed as i32));
    assert!(
        matches!(said.last(), Some(Message::Failed { error, .. }) if error.contains("firecracker")),
        "{said:?}"
    );
    assert_eq!(server.processes(driver.pid()), Vec::<i32>::new());
}
