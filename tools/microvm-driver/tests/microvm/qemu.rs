//! The emulated Linux guest: a real boot of a real kernel, which takes seconds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use driver_testkit::{Ended, alive, functions, run as run_command, skipped};
use measure_core::base::exit::Exit;
use measure_core::base::home;
use tempfile::TempDir;

use crate::common::{assert_failed, assert_nothing_left, assert_starts, driver, hold, lacks};

const PHASES: &str = "spawn first-output run exit";

/// A home with the guest's files and a function that ends with exit code 3; else says what is missing.
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
        symlink(home::root().join(file), &path).expect("a link");
        if !path.exists() {
            let why = format!("there is no {file}; make functions microvm-guest");
            skipped("qemu-tcg", why);
            return None;
        }
    }
    let source = home.path().join("three.c");
    fs::write(&source, "int main(void) { return 3; }").expect("written");
    let three = home.path().join("store/test/three/native");
    if !functions::compile_native(&source, &three) {
        skipped("qemu-tcg", functions::NO_MUSL);
        return None;
    }
    Some(home)
}

#[test]
fn linux_boots_runs_functions_and_parks_them() {
    if let Some(why) = lacks("qemu-tcg", driver("")) {
        return skipped("qemu-tcg", why);
    }
    let Some(home) = home() else { return };
    // Generous: an emulated kernel on a busy host.
    let time = |function: &str| {
        let words = "--timeout 600 time 1 --rung qemu-tcg --function";
        let mut command = driver(&format!("{words} {function}"));
        run_command(command.env(home::HOME_VARIABLE, home.path()))
    };
    thread::scope(|scope| {
        scope.spawn(|| assert_starts(&time("demo/noop"), 1, PHASES));
        scope.spawn(|| {
            let words = "test/three ended with exit code 3";
            assert_failed(&time("test/three"), Exit::StartFailed, words);
        });
        scope.spawn(|| {
            let held = hold(driver("--timeout 600 hold 1 --rung qemu-tcg"));
            held.end().expect(0);
        });
    });
}

/// One start by an emulator that is the shell script at `bin` in `home`.
fn emulated_by(script: &str, home: &Path, bin: &Path) -> Ended {
    for file in ["microvm/vmlinux", "microvm/init", "store/demo/noop/native"] {
        let path = home.join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, "looked at by nobody").expect("written");
    }
    functions::write_script(script, &bin.join("qemu-system-x86_64"));
    let mut command = driver("--timeout 10 time 1 --rung qemu-tcg");
    command.env(home::HOME_VARIABLE, home);
    run_command(command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())))
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
                let home = tempfile::tempdir().expect("a directory");
                let bin = home.path().join("bin");
                let ended = emulated_by(script, home.path(), &bin);
                ended.expect(Exit::StartFailed as i32);
                let error = ended.samples()[0].error.clone().unwrap_or_default();
                assert!(error.contains(words), "{script}: {error}");
                assert_nothing_left(ended.pid);
                assert_eq!(naming(&bin), Vec::<i32>::new(), "{script}");
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
