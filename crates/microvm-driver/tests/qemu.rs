//! The emulated Linux guest: a real boot of a real kernel, which takes seconds.

mod common;

use std::fs;
use std::process::Command;
use std::thread;

use common::{Running, check, code, command, errors, unavailable};
use measure_core::driver::protocol::Message;
use measure_core::exit::Exit;
use measure_core::home;
use tempfile::TempDir;

const PHASES: [&str; 4] = ["spawn", "first-output", "run", "exit"];
/// Generous: an emulated kernel on a busy host.
const TIMEOUT: &str = "600";

/// A home with the guest's files and a function that ends with exit code 3.
fn home() -> Option<TempDir> {
    let home = tempfile::tempdir().expect("a directory");
    for file in [
        "microvm/vmlinux",
        "microvm/init",
        "store/demo/noop/native",
        "store/demo/park/native",
    ] {
        let path = home.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::os::unix::fs::symlink(home::root().join(file), &path).expect("a link");
        if !path.exists() {
            eprintln!("SKIPPED: qemu-tcg: there is no {file}; make functions microvm-guest");
            return None;
        }
    }
    let three = home.path().join("store/test/three");
    fs::create_dir_all(&three).expect("made");
    let source = three.join("three.c");
    fs::write(&source, "int main(void) { return 3; }").expect("written");
    let compiled = Command::new("musl-gcc")
        .args(["-static", "-o"])
        .arg(three.join("native"))
        .arg(&source)
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: qemu-tcg: no musl-gcc; install the package musl-tools");
        return None;
    }
    Some(home)
}

#[test]
fn linux_boots_runs_functions_and_parks_them() {
    if let Some(why) = unavailable("qemu-tcg", &[]) {
        eprintln!("SKIPPED: qemu-tcg: {why}");
        return;
    }
    let Some(home) = home() else { return };
    let time = |function: &str| {
        let arguments = [
            "--timeout",
            TIMEOUT,
            "time",
            "1",
            "--rung",
            "qemu-tcg",
            "--function",
            function,
        ];
        command(&arguments)
            .env(home::HOME_VARIABLE, home.path())
            .output()
            .expect("the driver")
    };
    thread::scope(|scope| {
        scope.spawn(|| check(&time("demo/noop"), 1, &PHASES));
        scope.spawn(|| {
            let output = time("test/three");
            assert_eq!(code(&output), Exit::StartFailed as i32);
            assert!(
                errors(&output).contains("test/three ended with exit code 3"),
                "{}",
                errors(&output)
            );
        });
        scope.spawn(|| {
            let mut held =
                Running::start(&["--timeout", TIMEOUT, "hold", "1", "--rung", "qemu-tcg"]);
            held.until(|m| matches!(m, Message::Parked { workers: 1 }));
            held.input = None;
            assert_eq!(held.code(), Some(0));
        });
    });
}
