//! The emulated Linux guest: a real boot of a real kernel, which takes seconds.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use common::{
    Running, alive, check, code, command, directories, errors, messages, samples, unavailable,
    write_script,
};
use measure_core::base::exit::Exit;
use measure_core::base::home;
use measure_core::contract::protocol::Message;
use nix::unistd::Pid;
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

/// A home for an emulator that is this shell script.
fn emulator(script: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    for file in ["microvm/vmlinux", "microvm/init", "store/demo/noop/native"] {
        let path = home.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, "looked at by nobody").expect("written");
    }
    write_script(&home.path().join("bin/qemu-system-x86_64"), script);
    home
}

#[test]
fn an_emulator_that_fails_or_hangs_is_that_samples_failure_and_leaves_nothing() {
    let faults = [
        ("echo no such machine >&2; exit 3", "no such machine"),
        ("echo hello; echo exit 7; exit 0", "exit code 7"),
        ("echo hello; exit 0", "how the function ended"),
        ("echo Kernel panic; sleep 1000; :", "Kernel panic"),
        (
            "sh -c 'sleep 1000; :' $0 & sleep 1000; :",
            "`hello` was not said",
        ),
        (
            "echo hello; echo exit 0; sleep 1000; :",
            "did not end after its guest",
        ),
    ];
    thread::scope(|scope| {
        for (script, words) in faults {
            scope.spawn(move || {
                let home = emulator(script);
                let path = home.path().join("bin");
                let time = ["--timeout", "10", "time", "1", "--rung", "qemu-tcg"];
                let driver = command(&time)
                    .env(home::HOME_VARIABLE, home.path())
                    .env("PATH", format!("{}:/usr/bin:/bin", path.display()))
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .expect("the driver");
                let pid = Pid::from_raw(driver.id().cast_signed());
                let output = driver.wait_with_output().expect("it ends");
                assert_eq!(code(&output), Exit::StartFailed as i32, "{script}");
                let said = messages(&output);
                let error = samples(&said)[0].error.clone().unwrap_or_default();
                assert!(error.contains(words), "{script}: {error}");
                assert_eq!(directories(pid), Vec::<PathBuf>::new(), "{script}");
                assert_eq!(naming(&path), Vec::<i32>::new(), "{script}");
            });
        }
    });
}

/// Processes with `path` in their command line.
fn naming(path: &Path) -> Vec<i32> {
    let path = path.to_string_lossy();
    let names = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&*path) && alive(*pid)
    };
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(names).collect()
}
