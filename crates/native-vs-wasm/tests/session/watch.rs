//! The host during the runs.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use measure_core::base::exit::{Exit, HasExit};
use native_vs_wasm::{RunError, Task};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::made_up::{Script, Setting, sound};

/// Lines of the records that are of measure `host`.
fn host_lines(setting: &Setting) -> Vec<String> {
    let samples = fs::read_to_string(setting.path("run/samples.jsonl")).expect("samples");
    let lines = samples
        .lines()
        .filter(|l| l.contains(r#""measure":"host""#));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_host_is_watched_while_runs_are_timed() {
    fn slow(_: &str, task: Task, _: usize) -> Result<String, RunError> {
        if matches!(task, Task::Time { .. }) {
            thread::sleep(Duration::from_millis(50));
        }
        Ok(sound(task, 20_000_000))
    }
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 6, slow), ("wasm", 6, slow)];
    setting
        .run(&["one", "two"], &columns, &[])
        .expect("a good end");
    let watched = host_lines(&setting);
    // Both are short and watched together, three times; each has its line.
    let other_cpu = watched.iter().filter(|l| l.contains("other_cpu_ns"));
    assert_eq!(other_cpu.count(), 6, "{watched:?}");
    let verdicts = watched
        .iter()
        .filter(|l| l.contains(r#""phase":"total","metric":"disturbed""#));
    assert_eq!(verdicts.count(), 6);
    let report = fs::read_to_string(setting.path("run/report.md")).expect("a report");
    assert!(report.contains("## The host meanwhile"), "{report}");
    assert!(report.contains("host: disturbed in"), "{report}");
}

/// The process that burns a processor, no child of ours.
static BURNER: Mutex<Option<i32>> = Mutex::new(None);

fn start_burner() {
    let mut burner = BURNER.lock().expect("no test panics here");
    if burner.is_none() {
        let script = "(while :; do :; done) >/dev/null 2>&1 & echo $!";
        let started = Command::new("sh").args(["-c", script]).output();
        let said = String::from_utf8(started.expect("sh").stdout).expect("a pid");
        *burner = Some(said.trim().parse().expect("a pid"));
    }
}

fn end_burner() {
    if let Some(pid) = BURNER.lock().expect("no test panics here").take() {
        let ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
        ended.expect("it was there");
    }
}

#[test]
fn what_is_made_while_the_host_is_disturbed_is_made_again() {
    fn disturbed(_: &str, task: Task, _: usize) -> Result<String, RunError> {
        if matches!(task, Task::Time { .. }) {
            start_burner();
            thread::sleep(Duration::from_millis(100));
        }
        Ok(sound(task, 20_000_000))
    }
    let setting = Setting::new();
    let columns: [(&str, u32, Script); 2] = [("native", 6, disturbed), ("wasm", 6, disturbed)];
    let outcome = setting.run(&["one"], &columns, &["--strict"]);
    end_burner();
    match outcome {
        Err(error) if error.exit() == Exit::Unavailable || error.exit() == Exit::Busy => {
            eprintln!(
                "SKIPPED: what_is_made_while_the_host_is_disturbed_is_made_again: --strict refuses this host as it is: {error}"
            );
            return;
        }
        outcome => assert_eq!(outcome.expect("a good end"), Exit::Ok),
    }
    let marks = host_lines(&setting);
    let marks = marks.iter().filter(|l| l.contains(r#""phase":"repeated""#));
    // Each third of the twelve runs, made three times at most.
    let marks = marks.count();
    assert!((4..=24).contains(&marks), "{marks} blocks were marked");
    let timed = setting.timed("one").len();
    assert_eq!(timed, 2 + 12 + marks, "calibrated, timed, and timed again");
    assert_eq!(setting.rows().len(), 12, "what was made again counts once");
    let report = fs::read_to_string(setting.path("run/report.md")).expect("a report");
    assert!(report.contains("made again"), "{report}");
}
