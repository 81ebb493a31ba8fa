//! What `make check` and `make test` say at their end, by `tools/count-tests`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What the tool prints for `log`, line by line, and its exit code.
fn count(log: &str) -> (Vec<String>, Option<i32>) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("test.log");
    fs::write(&file, log).expect("written");
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/count-tests");
    let output = Command::new(tool).arg(&file).output().expect("awk");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("text");
    (
        text.lines().map(str::to_owned).collect(),
        output.status.code(),
    )
}

const SKIPS: &str = "
running 3 tests
test works ... ok
test lacks::docker ... ok
test talks ... ok

successes:

---- lacks::docker stdout ----
SKIPPED: lacks::docker: no docker: install it
SKIPPED: its other half: no docker: install it

---- talks stdout ----
a line that says SKIPPED: but not first


successes:
    lacks::docker
    talks
    works

test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

const FAILS: &str = "
SKIPPED: in a child: it says so past the harness
running 2 tests
CONFORMANCE: in-repo server
CONFORMANCE: in-repo server

successes:

---- half stdout ----
SKIPPED: half: no root


successes:
    half

failures:

---- breaks stdout ----
SKIPPED: breaks, first part: no root

thread 'breaks' panicked at tests/a.rs:1:1:


failures:
    breaks

test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn a_test_that_skipped_its_work_is_not_counted_as_passed() {
    let (lines, code) = count(SKIPS);
    assert_eq!(
        lines,
        [
            "SKIPPED: lacks::docker: no docker: install it  [lacks::docker]",
            "SKIPPED: its other half: no docker: install it  [lacks::docker]",
            "2 passed, 0 failed, 1 skipped",
        ]
    );
    assert_eq!(code, Some(0));
}

#[test]
fn a_failure_is_a_failure_whatever_it_skipped_and_ignored_is_skipped() {
    let (lines, code) = count(&format!("{SKIPS}{FAILS}"));
    assert_eq!(lines[0], "CONFORMANCE: in-repo server");
    assert_eq!(
        lines.iter().filter(|l| l.contains("CONFORMANCE")).count(),
        1
    );
    assert!(
        lines.contains(&"SKIPPED: in a child: it says so past the harness".to_owned()),
        "{lines:?}"
    );
    assert_eq!(
        lines.last().expect("a line"),
        "2 passed, 1 failed, 4 skipped"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn counting_nothing_is_no_success() {
    let (lines, code) = count("error: could not compile `x`\n");
    assert_eq!(lines, ["0 passed, 0 failed, 0 skipped"]);
    assert_eq!(code, Some(1));
}
