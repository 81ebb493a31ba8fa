//! `history` over folders of runs, written here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use measure_core::base::exit::Exit;
use serde_json::{Value, json};

/// A run as schema 1 wrote it.
const SCHEMA_1: &str = include_str!("data/schema-1.jsonl");
const HEADER: &str = "Runtime,Function,Design,MedianNs,MedianLowNs,MedianHighNs\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A run of the day `day` whose tables were made.
    fn run(&self, day: u32, host: &str, commit: &str, ns: f64) -> PathBuf {
        let dir = self.path().join(format!("202611{day:02}T120000Z-{host}"));
        fs::create_dir(&dir).expect("made");
        fs::write(dir.join("samples.jsonl"), "").expect("written");
        let rows = ["wasm", "faaslet"].map(|rung| {
            format!(
                "{rung},demo/noop,isolated,{ns},{},{}\n",
                ns * 0.98,
                ns * 1.02
            )
        });
        fs::write(
            dir.join("runtime-bench-starts.csv"),
            HEADER.to_owned() + &rows.concat(),
        )
        .expect("written");
        let environment = json!({
            "schema": 1,
            "cpu": { "cpu_model": { "value": "a CPU" } },
            "system": { "kernel": { "value": if day < 15 { "6.1" } else { "6.2" } } },
            "run": { "host": { "value": host }, "git_revision": { "value": commit }, "git_modified": { "value": false } },
            "engines": {},
            "before": { "unix_seconds": 1_793_534_400 + u64::from(day - 1) * 86_400, "average": { "unknown": "?" }, "cpu": null, "swapped_pages": null, "watched": null },
            "after": null,
        });
        fs::write(dir.join("environment.json"), environment.to_string()).expect("written");
        dir
    }

    fn history(&self, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
            .args(["history", "."])
            .args(more)
            .current_dir(self.path())
            .output()
            .expect("it starts")
    }

    fn json(&self, more: &[&str]) -> Value {
        let output = self.history(more);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let text = fs::read(self.path().join("history.json")).expect("written");
        serde_json::from_slice(&text).expect("JSON")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_slow_down_is_found_between_its_revisions_and_what_else_differs_is_named() {
    let folder = Folder::new();
    for day in 1..=28 {
        let ns = if day < 15 { 1000.0 } else { 1300.0 } * (1.0 + f64::from(day % 4) / 400.0);
        folder.run(day, "one", &format!("c{day:039}"), ns);
        folder.run(day, "two", "same", 500.0);
    }
    let history = folder.json(&[]);
    assert_eq!(
        history["machines"].as_object().map(serde_json::Map::len),
        Some(2)
    );
    let changed: Vec<&Value> = history["series"]
        .as_array()
        .expect("series")
        .iter()
        .filter(|s| s["changes"].as_array().is_some_and(|c| !c.is_empty()))
        .collect();
    assert_eq!(changed.len(), 2, "both rows of one machine: {changed:?}");
    let change = &changed[0]["changes"][0];
    let run = |place: &Value| {
        &history["runs"][place
            .as_u64()
            .and_then(|p| usize::try_from(p).ok())
            .expect("a place")]["run"]
    };
    assert_eq!(run(&change["last_before"]), "20261114T120000Z-one");
    assert_eq!(run(&change["first_after"]), "20261115T120000Z-one");
    assert!(
        change["ratio"]
            .as_f64()
            .is_some_and(|r| (r - 1.3).abs() < 0.01),
        "{change}"
    );
    assert!(change["differs"].to_string().contains("kernel"), "{change}");
    let page = fs::read_to_string(folder.path().join("history.html")).expect("a page");
    let output = said(&folder.history(&["--only", "wasm"]));
    for words in ["x1.30", "20261114T120000Z-one (c00000000000)", "none"] {
        assert!(output.contains(words), "{words}: {output}");
    }
    assert!(!output.contains("faaslet"), "{output}");
    assert!(page.contains("kernel: 6.1 -&gt; 6.2"));
}

#[test]
fn old_torn_newer_and_foreign_directories_are_read_or_said() {
    let folder = Folder::new();
    for day in 1..=3 {
        folder.run(day, "one", "c", 1000.0);
    }
    let with_samples = |name: &str, samples: &str| {
        fs::create_dir(folder.path().join(name)).expect("made");
        fs::write(folder.path().join(name).join("samples.jsonl"), samples).expect("written");
    };
    with_samples("20261123T101500Z-host", SCHEMA_1);
    with_samples("20261123T111500Z-torn", &SCHEMA_1[..SCHEMA_1.len() - 30]);
    let newer = SCHEMA_1.replace("\"schema\":1", "\"schema\":99");
    with_samples("20261123T121500Z-newer", &newer);
    with_samples("no-time", SCHEMA_1);
    fs::create_dir(folder.path().join("notes")).expect("made");
    std::os::unix::fs::symlink("20261101T120000Z-one", folder.path().join("latest"))
        .expect("linked");
    let history = folder.json(&[]);
    assert_eq!(
        history["runs"].as_array().map(Vec::len),
        Some(5),
        "{}",
        history["runs"]
    );
    assert!(history.to_string().contains("pooled (schema 1)"));
    let notes = history["notes"].to_string();
    for words in ["schema 99", "use the version that wrote it", "no-time"] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    let since = folder.json(&["--since", "2026-11-03"]);
    assert_eq!(since["runs"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_run_of_a_machine_whose_clock_is_ahead_is_named() {
    let folder = Folder::new();
    folder.run(1, "one", "c", 1000.0);
    let ahead = folder.run(2, "two", "c", 1000.0);
    let file = ahead.join("environment.json");
    let text = fs::read_to_string(&file).expect("written");
    let mut environment: Value = serde_json::from_str(&text).expect("JSON");
    environment["before"]["unix_seconds"] = json!(4_000_000_000_u64);
    fs::write(&file, environment.to_string()).expect("written");
    let output = said(&folder.history(&[]));
    let words = "begun after now: 20261102T120000Z-two:";
    assert!(output.contains(words), "{output}");
}

#[test]
fn what_cannot_be_a_history_is_refused_with_the_reason() {
    let folder = Folder::new();
    let refused = |more: &[&str], words: &str| {
        let output = folder.history(more);
        assert_eq!(
            output.status.code(),
            Some(Exit::Usage as i32),
            "{}",
            said(&output)
        );
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    };
    refused(&[], "is no run and holds none");
    folder.run(1, "one", "c", 1000.0);
    refused(&["--since", "yesterday"], "--since takes a day");
    refused(&["--since", "2026-11-20"], "none of 1 runs");
    refused(&["--margin", "NaN"], "--margin");
    refused(&["--only", "docker"], "no row has one of the words");
    let output = folder.history(&["--output", "/proc/nowhere"]);
    assert_eq!(
        output.status.code(),
        Some(Exit::Output as i32),
        "{}",
        said(&output)
    );
}
