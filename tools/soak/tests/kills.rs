//! Twenty kills as `make soak` makes hundreds, and what the tool makes of a wrong command line.

use std::process::Output;

use assert_cmd::Command;
use driver_testkit::skipped;

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
