//! The Firecracker rungs, on the real driver: what a start does when all goes well, and what is refused.

mod common;
#[macro_use]
#[path = "common/on_both.rs"]
mod on_both;

use std::fs;
use std::path::{Path, PathBuf};

use common::{
    Running, Server, alive, check, code, command, directories, errors, run, unavailable, with,
};
use measure_core::base::exit::Exit;
use measure_core::base::home;
use measure_core::contract::protocol::Message;
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

on_both!(
    starts_have_phases_that_sum,
    held_guests_stay_until_standard_input_closes,
    only_what_blocks_can_be_held,
);

fn starts_have_phases_that_sum(server: &Server) {
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
        check(&run(&with(server, &arguments)), 6, names);
    }
}

fn held_guests_stay_until_standard_input_closes(server: &Server) {
    for rung in ["firecracker", "firecracker-restore"] {
        let arguments = with(server, &["--memory-mib", "16", "hold", "3", "--rung", rung]);
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

fn only_what_blocks_can_be_held(server: &Server) {
    let hold = [
        "hold",
        "1",
        "--rung",
        "firecracker",
        "--function",
        "demo/noop",
    ];
    let output = run(&with(server, &hold));
    assert_eq!(code(&output), Exit::StartFailed as i32);
    assert!(
        errors(&output).contains("instead of staying blocked"),
        "{}",
        errors(&output)
    );
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
fn linux_guests_boot_from_an_initrd_or_a_disk_on_the_double() {
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
fn linux_boots_on_real_firecracker() {
    let test = "linux_boots_on_real_firecracker";
    let Some(server) = Server::real(test) else {
        return;
    };
    if let Some(why) = unavailable("firecracker-linux", &with(&server, &[])) {
        return eprintln!("SKIPPED: {test}: real Firecracker: {why}");
    }
    let time = ["time", "2", "--rung", "firecracker-linux"];
    check(&run(&with(&server, &time)), 2, &LINUX);
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
