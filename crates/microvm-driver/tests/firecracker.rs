//! The Firecracker rungs, on the real driver: what a start does when all goes well, and that whatever goes wrong is
//! that sample's failure and leaves nothing behind.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use common::{
    Running, Server, alive, batch, check, code, command, directories, errors, eventually, run,
    samples,
};
use measure_core::driver::protocol::Message;
use measure_core::exit::Exit;
use measure_core::home;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const BOOT: [&str; 6] = [
    "spawn",
    "api-ready",
    "configure",
    "start",
    "first-output",
    "exit",
];
const RESTORE: [&str; 5] = ["spawn", "api-ready", "restore", "first-output", "exit"];
const LINUX: [&str; 7] = [
    "spawn",
    "api-ready",
    "configure",
    "start",
    "first-output",
    "run",
    "exit",
];

fn with<'a>(server: &'a Server, arguments: &[&'a str]) -> Vec<&'a str> {
    let path = server.path.to_str().expect("a path");
    [&["--firecracker", path], arguments].concat()
}

#[test]
fn starts_have_phases_that_sum() {
    for server in Server::all() {
        for (rung, names) in [
            ("firecracker", &BOOT[..]),
            ("firecracker-restore", &RESTORE),
        ] {
            let arguments = [
                "--memory-mib",
                "16",
                "time",
                "6",
                "--workers",
                "2",
                "--rung",
                rung,
            ];
            check(&run(&with(&server, &arguments)), 6, names);
        }
    }
}

#[test]
fn held_guests_stay_until_standard_input_closes() {
    for server in Server::all() {
        for rung in ["firecracker", "firecracker-restore"] {
            let arguments = with(
                &server,
                &["--memory-mib", "16", "hold", "3", "--rung", rung],
            );
            let mut driver = Running::start(&arguments);
            driver.until(|m| matches!(m, Message::Parked { workers: 3 }));
            let monitors = server.processes(driver.pid());
            assert_eq!(monitors.len(), 3, "{rung}");
            driver.input = None;
            assert_eq!(driver.code(), Some(0), "{rung}");
            assert!(!monitors.into_iter().any(alive));
            assert_eq!(directories(driver.pid()), Vec::<PathBuf>::new());
        }
    }
}

#[test]
fn only_what_blocks_can_be_held() {
    for server in Server::all() {
        let hold = [
            "hold",
            "1",
            "--rung",
            "firecracker",
            "--function",
            "demo/noop",
        ];
        let output = run(&with(&server, &hold));
        assert_eq!(code(&output), Exit::StartFailed as i32);
        assert!(
            errors(&output).contains("instead of staying blocked"),
            "{}",
            errors(&output)
        );
    }
}

/// A home with what a Linux guest needs, as far as the in-repo server looks at it.
fn linux_home() -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    for (path, content) in [
        ("microvm/vmlinux", "\x7fELF, a kernel"),
        ("microvm/init", "init"),
        ("store/demo/noop/native", "noop"),
        ("store/demo/park/native", "park"),
    ] {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, content).expect("written");
    }
    home
}

#[test]
fn linux_guests_boot_from_an_initrd_or_a_disk() {
    let server = Server::double();
    let home = linux_home();
    let kernel = home.path().join("microvm/vmlinux");
    let (kernel, init) = (
        kernel.to_str().expect("a path"),
        home.path().join("microvm/init"),
    );
    let init = init.to_str().expect("a path");
    let starts: [(&[&str], &str, &[&str]); 4] = [
        (&[], "firecracker-linux", &LINUX),
        (&["--kernel", kernel], "firecracker", &LINUX),
        (
            &["--kernel", kernel, "--rootfs", init],
            "firecracker",
            &LINUX,
        ),
        (
            &["--kernel", kernel, "--initrd", init],
            "firecracker-restore",
            &[
                "spawn",
                "api-ready",
                "restore",
                "first-output",
                "run",
                "exit",
            ],
        ),
    ];
    for (options, rung, names) in starts {
        let arguments = [options, &["time", "2", "--rung", rung]].concat();
        let output = command(&with(&server, &arguments))
            .env(home::HOME_VARIABLE, home.path())
            .output()
            .expect("the driver");
        check(&output, 2, names);
    }
}

#[test]
fn options_that_fit_nothing_are_usage_errors() {
    let wrong: [(&[&str], &str); 7] = [
        (
            &[
                "--kernel",
                "/k",
                "--initrd",
                "/i",
                "--rootfs",
                "/r",
                "time",
                "1",
                "--rung",
                "firecracker",
            ],
            "one root",
        ),
        (
            &["--rootfs", "/x", "time", "1", "--rung", "firecracker"],
            "need a --kernel",
        ),
        (
            &["--memory-mib", "1", "time", "1", "--rung", "firecracker"],
            "it must be 4 to",
        ),
        (
            &["--timeout", "0", "time", "1", "--rung", "firecracker"],
            "it must be 1 to",
        ),
        (
            &["time", "1", "--rung", "firecraker"],
            "did you mean `firecracker`?",
        ),
        (
            &["time", "1", "--rung", "kvm-flt"],
            "did you mean `kvm-flat`?",
        ),
        (
            &["time", "1", "--rung", "firecracker", "--function", "noop"],
            "user/function",
        ),
    ];
    for (arguments, words) in wrong {
        let output = run(arguments);
        assert_eq!(code(&output), Exit::Usage as i32, "{arguments:?}");
        assert!(errors(&output).contains(words), "{}", errors(&output));
    }
    let server = Server::double();
    let arguments = [
        "time",
        "1",
        "--rung",
        "firecracker",
        "--function",
        "polybench/poly_3mm",
    ];
    let output = run(&with(&server, &arguments));
    assert_eq!(code(&output), Exit::Usage as i32);
    assert!(errors(&output).contains("--kernel"), "{}", errors(&output));
}

#[test]
fn a_missing_firecracker_is_told_with_the_way_to_one() {
    let output = command(&["info", "--rung", "firecracker"])
        .env("PATH", "/nonexistent")
        .output()
        .expect("the driver");
    assert_eq!(code(&output), 0);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("firecracker is not on PATH"), "{text}");
    assert!(text.contains("ansible/firecracker.yml"), "{text}");
    let arguments = [
        "--firecracker",
        "/nonexistent/fc",
        "time",
        "1",
        "--rung",
        "firecracker",
    ];
    let output = run(&arguments);
    assert_eq!(code(&output), Exit::Unavailable as i32);
    assert!(
        errors(&output).contains("/nonexistent/fc"),
        "{}",
        errors(&output)
    );
}

#[test]
fn a_probe_shows_why_a_start_fails() {
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

/// What goes wrong, on which rung, and what its sample has to say of it.
const FAULTS: [(&str, &str, &str); 20] = [
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
fn whatever_goes_wrong_is_that_samples_failure_and_leaves_nothing() {
    // Side by side, as most of them wait for their timeout.
    thread::scope(|scope| {
        for (rung, fault, words) in FAULTS {
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
        "8",
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
fn a_half_written_snapshot_is_refused() {
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
fn a_start_that_fails_does_not_end_the_batch() {
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
fn a_signal_ends_a_start_that_hangs_and_a_hold() {
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

#[test]
fn a_kill_leaves_no_monitor_and_clean_removes_the_files() {
    for server in Server::all() {
        let hold = [
            "--memory-mib",
            "4",
            "hold",
            "2",
            "--rung",
            "firecracker-restore",
        ];
        let mut driver = Running::start(&with(&server, &hold));
        driver.until(|m| matches!(m, Message::Parked { .. }));
        let pid = driver.pid();
        assert_eq!(server.processes(pid).len(), 2);
        driver.signal(Signal::SIGKILL);
        driver.child.wait().expect("ended");
        eventually("its monitors end", || server.processes(pid).is_empty());
        assert!(!directories(pid).is_empty());
        let output = run(&["clean"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        assert_eq!(directories(pid), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_held_monitor_that_dies_is_told() {
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

#[test]
fn an_initrd_is_written_for_a_function() {
    let home = linux_home();
    let file = home.path().join("noop.cpio");
    let write = |function: &str, file: &Path| {
        let path = file.to_str().expect("a path");
        command(&["initrd", path, "--function", function])
            .env(home::HOME_VARIABLE, home.path())
            .output()
            .expect("the driver")
    };
    assert_eq!(code(&write("demo/noop", &file)), 0);
    let bytes = fs::read(&file).expect("written");
    assert!(bytes.starts_with(b"070701"));
    let output = write("demo/nope", &file);
    assert_eq!(code(&output), Exit::Usage as i32);
    assert!(
        errors(&output).contains("make functions"),
        "{}",
        errors(&output)
    );
}
