//! The real executable on real commands.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use driver_testkit::{PATIENCE, Started};
use serde_json::Value;

mod closed_pipe;
mod exports;
mod faults;
mod hyperfine;
mod measures;
mod several;

/// With the words of `arguments`.
fn measure(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure-core"));
    command
        .args(arguments.split_whitespace())
        .stdin(Stdio::null());
    command
}

/// The shell runs `script`.
fn measure_script(options: &str, script: &str) -> Command {
    let mut command = measure(options);
    command.args(["--", "sh", "-c", script]);
    command
}

fn run(arguments: &str) -> Output {
    to_its_end(measure(arguments))
}

fn run_script(options: &str, script: &str) -> Output {
    to_its_end(measure_script(options, script))
}

fn to_its_end(mut command: Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let (send, receive) = std::sync::mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    match receive.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("its output"),
        Err(_) => {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            panic!("{command:?} does not end");
        }
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `script` with JSON on standard output.
fn json(options: &str, script: &str) -> Value {
    let output = run_script(&format!("--json - {options}"), script);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A directory for what a test writes.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// For `--json`.
    fn file(&self) -> String {
        text(&self.path("out.json")).to_owned()
    }

    /// What is in [`Self::file`].
    fn kept(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).expect("kept")).expect("JSON")
    }

    /// Does nothing three times, then `what`.
    fn past_three_starts(&self, what: &str) -> String {
        let count = self.path("count");
        let count = text(&count);
        format!("echo >> {count}; [ $(wc -l < {count}) -lt 4 ] || {{ {what}; }}")
    }
}

fn metric<'a>(report: &'a Value, name: &str) -> &'a Value {
    let metrics = report["metrics"].as_array().expect("a list");
    let named = metrics.iter().find(|metric| metric["name"] == name);
    named.unwrap_or_else(|| panic!("{name} is missing"))
}

fn median(report: &Value, name: &str) -> f64 {
    let metric = metric(report, name);
    metric["summary"]["median"]
        .as_f64()
        .unwrap_or_else(|| panic!("{metric}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn end(child: Child) -> (std::process::ExitStatus, String) {
    let mut child = Started(child);
    let status = child.end();
    let mut text = String::new();
    let output = child.0.stdout.as_mut().expect("piped");
    output.read_to_string(&mut text).expect("text");
    (status, text)
}

fn counters_count() -> bool {
    use probes::perf::{Counters, Event};
    Counters::of_next_child(&[Event::Cycles]).take()[0]
        .value
        .is_ok()
}
