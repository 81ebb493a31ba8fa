//! Signals: what was measured stays, nothing else does.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::home;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{Home, runs_with};

/// No machine is this slow.
const LIMIT: Duration = Duration::from_secs(180);
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

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "{what}: not in {LIMIT:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

struct Running(Child);

impl Running {
    fn start(home: &Home, args: &str) -> Self {
        let mut command = home.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }

    fn scratch(&self) -> PathBuf {
        home::runtime()
            .join("py_bench")
            .join(self.0.id().to_string())
    }

    fn end_by(mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        kill(pid, signal).expect("it runs");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("our child") {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "{signal} did not end it");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends a run of two benchmarks once the first is measured; returns what it left.
fn cut_short(signal: Signal) -> Option<(Home, PathBuf, ExitStatus)> {
    let home = Home::built()?;
    home.script("bench_zlong.py", LONG);
    let running = Running::start(&home, &format!("all {ITERATIONS} {ITERATIONS}"));
    wait_for("rows of the first benchmark", || {
        fs::read_to_string(home.csv()).is_ok_and(|text| text.contains("bench_version"))
    });
    let scratch = running.scratch();
    assert!(scratch.is_dir());
    let status = running.end_by(signal);
    wait_for("the end of its processes", || !runs_with(home.dir.path()));
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
        let running = Running::start(&home, &format!("endless {runs}"));
        let scratch = running.scratch();
        wait_for("its beginning", || scratch.join("begun").is_file());
        assert_eq!(running.end_by(Signal::SIGINT).code(), Some(130));
        wait_for("the end of its processes", || !runs_with(home.dir.path()));
        assert!(!scratch.exists());
    }
}
