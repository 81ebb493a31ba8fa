//! Twenty kills as `make soak` makes hundreds, and what the tool makes of a wrong command line.

use std::io::{BufRead, BufReader};
use std::process::{self, Output, Stdio};

use assert_cmd::Command;
use driver_testkit::skipped;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn soak(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
    command.args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn twenty_kills_leave_nothing_and_take_nothing() {
    let ran = soak(&["--kills", "20", "--quick"]);
    let (said, errors) = (text(&ran.stdout), text(&ran.stderr));
    print!("{said}");
    if ran.status.code() == Some(3) {
        return skipped("kills at random moments", errors.trim());
    }
    assert_eq!(ran.status.code(), Some(0), "{said}\n{errors}");
    assert!(said.contains("\n20 kills of "), "{said}");
    let quiet = said.lines().filter(|line| line.ends_with(": nothing left"));
    assert_eq!(quiet.count(), 20, "{said}");
}

#[test]
fn what_is_left_is_found() {
    let ran = soak(&[
        "--kills",
        "1",
        "--quick",
        "--only",
        "process-driver time 300",
        "--leave",
    ]);
    let (said, errors) = (text(&ran.stdout), text(&ran.stderr));
    if ran.status.code() == Some(3) {
        return skipped("what a kill leaves", errors.trim());
    }
    assert_eq!(ran.status.code(), Some(1), "{said}\n{errors}");
    for kind in [
        "process",
        "cgroup",
        "link",
        "mount",
        "socket",
        "file",
        "namespace",
    ] {
        assert!(said.contains(&format!("left: {kind} ")), "{kind}: {said}");
    }
    assert!(said.contains("taken from others: cgroup "), "{said}");
}

#[test]
fn a_time_too_short_to_tell_anything_is_refused() {
    let ran = soak(&["--minutes", "1"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stderr).contains("at least 2"), "{ran:?}");
}

/// By a signal to it alone, as `kill` and `timeout` send it.
#[test]
fn told_to_end_it_says_what_it_has_and_leaves_nothing() {
    let mut soak = process::Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["--minutes", "5"])
        .env("FAASM_BENCH_PROGRESS_SECONDS", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut errors = BufReader::new(soak.stderr.take().expect("piped")).lines();
    let under_way = errors.find_map(|line| {
        let line = line.expect("text");
        (line.contains("starts so far") || line.contains("needs root")).then_some(line)
    });
    let pid = Pid::from_raw(soak.id().cast_signed());
    // It may have ended.
    let _ = kill(pid, Signal::SIGTERM);
    // Read to its end, or it would block.
    let said: Vec<String> = errors.map_while(Result::ok).collect();
    let ran = soak.wait_with_output().expect("it ends");
    let printed = text(&ran.stdout);
    if ran.status.code() == Some(3) {
        return skipped("full rate", format!("{under_way:?} {said:?}"));
    }
    assert_eq!(ran.status.code(), Some(143), "{printed}\n{said:?}");
    assert!(printed.contains("told to end after"), "{printed}");
    assert!(printed.contains("process: "), "{printed}");
    assert!(printed.contains("charged to them"), "{printed}");
    let group = format!("faasm-bench.{pid}.soak");
    let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts");
    let points = mounts.lines().filter(|line| line.contains(" cgroup"));
    let left = points
        .filter_map(|line| line.split(' ').nth(1))
        .map(|point| std::path::Path::new(point).join(&group))
        .find(|dir| dir.exists());
    assert_eq!(left, None);
}
