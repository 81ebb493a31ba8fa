//! The real executable on real commands.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

mod faults;
mod measures;

const PATIENCE: Duration = Duration::from_secs(60);

fn measure_core(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure-core"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    let child = measure_core(arguments)
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
            panic!("{arguments:?} does not end");
        }
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs with JSON on standard output.
fn json(arguments: &[&str]) -> Value {
    let output = run(&[&["--json", "-"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn metric<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["metrics"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|metric| metric["name"] == name)
        .unwrap_or_else(|| panic!("{name} is missing"))
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

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Processes whose command line holds `mark`.
fn marked(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).contains(mark))
        })
        .filter(|&found| found)
        .count()
}

fn end(mut child: Child) -> (std::process::ExitStatus, String) {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            let mut text = String::new();
            let output = child.stdout.as_mut().expect("piped");
            output.read_to_string(&mut text).expect("text");
            return (status, text);
        }
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(20));
    }
}

fn counters_count() -> bool {
    use probes::perf::{Counters, Event};
    Counters::of_next_child(&[Event::Cycles]).take()[0]
        .value
        .is_ok()
}
