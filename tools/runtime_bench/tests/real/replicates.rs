//! Driver processes as replicates: what becomes of a rung when some of them fail, and when the host is disturbed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use measure_core::base::exit::Exit;
use measure_core::contract::run_info::{ProcessInfo, RunInfo};

use crate::tool::{
    Place, Running, code, ended, is_busy, prints, run, samples, says, stderr, stdout, tool,
    wait_until,
};

/// A copy of the tool beside a `process-driver` that counts its `time` commands and does `script` (in which `$n` is that number) before it becomes
/// the real one.
fn with_double(dir: &Path, script: &str) -> PathBuf {
    let real = Path::new(env!("CARGO_BIN_EXE_runtime_bench"));
    let alone = dir.join("runtime_bench");
    fs::copy(real, &alone).expect("copied");
    let driver = real.with_file_name("process-driver");
    let driver = driver.display();
    let double = dir.join("process-driver");
    let text = format!(
        "#!/bin/sh\nn=0\nif [ \"$1\" = time ]; then n=$(($(cat '{dir}/count' 2>/dev/null || echo 0) + 1)); echo $n >'{dir}/count'; fi\n{script}\nexec '{driver}' \"$@\"\n",
        dir = dir.display(),
        script = script.replace("REAL", &format!("'{driver}'")),
    );
    fs::write(&double, text).expect("written");
    fs::set_permissions(&double, fs::Permissions::from_mode(0o755)).expect("chmod");
    alone
}

/// Four processes of `thread` by a double.
fn four_processes(alone: &Path, out: &Path) -> std::process::Output {
    Command::new(alone)
        .args([
            "time",
            "--rungs",
            "thread",
            "--iterations",
            "5",
            "--isolated",
            "1",
        ])
        .args([
            "--idle",
            "1",
            "--workers",
            "1",
            "--repetitions",
            "4",
            "--output",
        ])
        .arg(out)
        .output()
        .expect("it starts")
}

fn processes(out: &Path) -> Vec<ProcessInfo> {
    let text = fs::read_to_string(out.join("run.json")).expect("run.json");
    let info: RunInfo = serde_json::from_str(&text).expect("its own form");
    info.parts[0].rungs[0].processes.clone()
}

/// The process numbers of isolated starts.
fn measured(out: &Path) -> Vec<u32> {
    let samples = samples(out);
    let isolated = samples
        .iter()
        .filter(|s| s.measure.as_str() == "isolated" && s.phase == "total");
    isolated.map(|s| s.process).collect()
}

#[test]
fn a_process_that_dies_is_replaced_and_said() {
    let test = "a_process_that_dies_is_replaced_and_said";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let alone = with_double(
        place.dir.path(),
        "if [ $n = 2 ]; then echo 'double: gives up' >&2; exit 9; fi",
    );
    let output = four_processes(&alone, &place.out);
    if is_busy(test, &output) {
        return;
    }
    ended(&output, Exit::EngineLost);
    says(&output, "driver process 2 was lost");
    says(&output, "double: gives up");
    assert_eq!(
        measured(&place.out),
        [1, 3, 4, 5],
        "the others count, and there are as many"
    );
    let processes = processes(&place.out);
    assert_eq!(
        processes.iter().map(|p| p.process).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert!(
        processes[1]
            .died
            .as_ref()
            .is_some_and(|why| why.contains("gives up"))
    );
    assert!(processes[1].left_out > 0 && processes[0].left_out == 0);
    assert!(processes[0].opened_ns > 0);
    assert_eq!(processes[0].starts.get("back-to-back"), Some(&5));
    let paddings: std::collections::BTreeSet<u32> = processes
        .iter()
        .map(|p| p.environment_padding_bytes)
        .collect();
    assert!(paddings.len() > 1, "environments differ: {paddings:?}");
    let report = fs::read_to_string(place.out.join("report.md")).expect("a report");
    assert!(report.contains("driver process 2 was lost"), "{report}");
}

#[test]
fn a_rung_that_keeps_dying_is_given_up() {
    let test = "a_rung_that_keeps_dying_is_given_up";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let alone = with_double(place.dir.path(), "if [ $n -ge 2 ]; then exit 9; fi");
    let output = four_processes(&alone, &place.out);
    if is_busy(test, &output) {
        return;
    }
    ended(&output, Exit::EngineLost);
    assert_eq!(
        processes(&place.out).len(),
        3,
        "one, and two that were lost"
    );
    assert_eq!(measured(&place.out), [1], "what was measured is kept");
}

#[test]
fn a_clock_that_is_not_ours_is_said() {
    let test = "a_clock_that_is_not_ours_is_said";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let steps =
        "if [ $n -ge 1 ]; then REAL \"$@\" | sed -u 's/\"start_ns\":/\"start_ns\":9/'; exit; fi";
    let alone = with_double(place.dir.path(), steps);
    let output = four_processes(&alone, &place.out);
    if is_busy(test, &output) {
        return;
    }
    ended(&output, Exit::Failed);
    says(&output, "CLOCK_MONOTONIC stepped");
}

#[test]
fn a_rung_is_compared_with_itself() {
    let test = "a_rung_is_compared_with_itself";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let output = run(&[
        "aa",
        "--rungs",
        "thread",
        "--repetitions",
        "1",
        "--output",
        place.out_text(),
    ]);
    // Two comparisons cannot be too many that differ by chance: both do with a probability of 0.0025.
    let differ = stdout(&output).contains("2 of 2 comparisons");
    assert_eq!(code(&output), i32::from(differ), "{}", stderr(&output));
    prints(&output, "of 2 comparisons");
    assert_eq!(processes(&place.out).len(), 20, "ten on either side");
}

#[test]
fn what_is_made_while_the_host_is_disturbed_is_made_again() {
    let test = "what_is_made_while_the_host_is_disturbed_is_made_again";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let child = tool()
        .args([
            "time",
            "--strict",
            "--rungs",
            "thread",
            "--iterations",
            "5",
            "--isolated",
            "10",
        ])
        .args(["--workers", "1", "--repetitions", "3", "--output"])
        .arg(&place.out)
        .spawn()
        .expect("the tool starts");
    let mut running = Running(child);
    let begun = wait_until(Duration::from_secs(60), || {
        let text = fs::read_to_string(place.out.join("samples.jsonl")).unwrap_or_default();
        text.contains("\"isolated\"") || running.0.try_wait().is_ok_and(|s| s.is_some())
    });
    if !begun || running.0.try_wait().is_ok_and(|s| s.is_some()) {
        eprintln!(
            "SKIPPED: {test}: --strict refuses this host as it is: {}",
            stderr(&running.end())
        );
        return;
    }
    let burner = Running(
        Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .expect("sh"),
    );
    let output = running.end();
    drop(burner);
    ended(&output, Exit::Ok);
    let samples = samples(&place.out);
    let repeated = samples
        .iter()
        .filter(|s| s.measure.as_str() == "host" && s.phase == "repeated");
    assert!(repeated.count() > 0, "no block was marked");
    let text = fs::read_to_string(place.out.join("run.json")).expect("run.json");
    assert!(text.contains("the host was disturbed in"), "{text}");
}
