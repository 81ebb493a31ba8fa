//! Signals: what was measured stays, nothing else does.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use driver_testkit::{Started, eventually, marked};
use measure_core::base::home;
use nix::sys::signal::Signal;

use crate::common::Home;

const ITERATIONS: usize = 10;

/// Takes a second each time it is timed.
const LONG: &str = "\"\"\"Sleeps.\"\"\"
import time
from pybench import own, plan
def nap():
    if plan.digest is None:
        time.sleep(1)
    return 1
own('long', nap)
";

/// Says that it has begun, then never ends.
const ENDLESS: &str = "\"\"\"Never ends.\"\"\"
import os
from pybench import own
def spin():
    open(os.path.join(os.environ['TMPDIR'], 'begun'), 'w').close()
    while True:
        pass
own('endless', spin)
";

fn start(home: &Home, args: &str) -> Started {
    let mut command = home.command(args);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Started(command.spawn().expect("it starts"))
}

fn scratch(running: &Started) -> PathBuf {
    home::runtime()
        .join("py_bench")
        .join(running.pid().to_string())
}

fn end_by(mut running: Started, signal: Signal) -> ExitStatus {
    running.signal(signal);
    running.end()
}

/// Whether a process runs with `home` in its command line.
fn runs_with(home: &Home) -> bool {
    marked(&home.dir.path().to_string_lossy()) > 0
}

/// Ends a run of two benchmarks once the first is measured; returns what it left.
fn cut_short(signal: Signal) -> Option<(Home, PathBuf, ExitStatus)> {
    let home = Home::built()?;
    home.script("bench_zlong.py", LONG);
    let running = start(&home, &format!("all {ITERATIONS} {ITERATIONS}"));
    eventually("rows of the first benchmark", || {
        fs::read_to_string(home.csv()).is_ok_and(|text| text.contains("bench_version"))
    });
    let scratch = scratch(&running);
    assert!(scratch.is_dir());
    let status = end_by(running, signal);
    eventually("the end of its processes", || !runs_with(&home));
    let rows = home.rows();
    for side in ["native", "wasm"] {
        let ours = |row: &&(String, String)| row.0 == "bench_version" && row.1 == side;
        // The first time through the list is a third of the runs.
        assert!(
            rows.iter().filter(ours).count() >= ITERATIONS / 3,
            "{rows:?}"
        );
    }
    let samples = fs::read_to_string(home.run_dir(false).join("samples.jsonl"));
    assert!(samples.expect("samples").contains("bench_version"));
    Some((home, scratch, status))
}

#[test]
fn an_interrupted_run_keeps_its_rows_and_leaves_nothing() {
    let Some((home, scratch, status)) = cut_short(Signal::SIGINT) else {
        return;
    };
    assert_eq!(status.code(), Some(130));
    assert!(!scratch.exists());
    let report = home.run_dir(false).join("report.md");
    let report = fs::read_to_string(report).expect("a report");
    assert!(report.contains("ended early by SIGINT"), "{report}");
}

#[test]
fn a_terminated_run_keeps_its_rows_and_leaves_nothing() {
    let Some((_, scratch, status)) = cut_short(Signal::SIGTERM) else {
        return;
    };
    assert_eq!(status.code(), Some(143));
    assert!(!scratch.exists());
}

#[test]
fn a_killed_run_keeps_its_rows_and_the_next_removes_what_it_left() {
    let Some((home, scratch, status)) = cut_short(Signal::SIGKILL) else {
        return;
    };
    assert_eq!(status.code(), None);
    home.run(&format!("report {}", home.run_dir(false).display()))
        .assert_ended(0, &["version"]);
    home.run("dump version native").assert_ended(0, &[]);
    assert!(!scratch.exists());
}

#[test]
fn a_benchmark_that_never_ends_does_not_outlive_a_signal() {
    for runs in ["1 0", "0 1"] {
        let Some(home) = Home::built() else { return };
        home.script("bench_endless.py", ENDLESS);
        let running = start(&home, &format!("endless {runs}"));
        let scratch = scratch(&running);
        eventually("its beginning", || scratch.join("begun").is_file());
        assert_eq!(end_by(running, Signal::SIGINT).code(), Some(130));
        eventually("the end of its processes", || !runs_with(&home));
        assert!(!scratch.exists());
    }
}
