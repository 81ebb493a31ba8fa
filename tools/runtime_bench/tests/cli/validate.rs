//! `validate` over directories of every kind, written here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use measure_core::base::exit::Exit;

/// A run that was kept with these sources: whole, but for the tables.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/run");

/// Of its samples.
const SEED: u64 = 8_233_242_592_626;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// A copy of the run that was kept, which was cut down: of the samples only those of rungs that its `run.json` still has.
    fn with_run() -> Self {
        let place = Self::new();
        let info = fs::read_to_string(format!("{KEPT}/run.json")).expect("seeds");
        let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
        let rungs: Vec<&str> = info["parts"]
            .as_array()
            .expect("parts")
            .iter()
            .flat_map(|part| part["rungs"].as_array().expect("rungs"))
            .filter_map(|rung| rung["description"]["rung"].as_str())
            .collect();
        for entry in fs::read_dir(KEPT).expect("seeds") {
            let from = entry.expect("seeds").path();
            fs::copy(
                &from,
                place.0.path().join(from.file_name().expect("a name")),
            )
            .expect("copied");
        }
        let samples = fs::read_to_string(format!("{KEPT}/samples.jsonl")).expect("seeds");
        let is_of_a_rung = |line: &&str| {
            let has = |rung: &&str| line.contains(&format!("\"rung\":\"{rung}\""));
            rungs.iter().any(has)
        };
        let kept: Vec<&str> = samples.lines().filter(is_of_a_rung).collect();
        assert!(!kept.is_empty(), "{rungs:?}");
        place.write("samples.jsonl", &(kept.join("\n") + "\n"));
        place
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).expect("written");
    }

    /// Replaces `from` in the file `name`.
    fn change(&self, name: &str, from: &str, to: &str) {
        let path = self.0.path().join(name);
        let text = fs::read_to_string(&path).expect("there");
        assert!(text.contains(from), "{from} in {name}");
        fs::write(&path, text.replace(from, to)).expect("written");
    }

    fn validate(&self) -> (i32, String) {
        validate(&[self.0.path()])
    }
}

fn validate(dirs: &[&Path]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
        .arg("validate")
        .args(dirs)
        .output()
        .expect("it starts");
    (output.status.code().unwrap_or(-1), said(&output))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A line of a run called `run`.
fn line(schema: u32, run: &str, metric: &str, value: i64) -> String {
    format!(
        r#"{{"schema":{schema},"run":"{run}","rung":"wasm","function":"demo/noop","measure":"start","phase":"total","metric":"{metric}","value":{value},"n":1,"workers":1,"block":1,"order":0,"seed":7}}"#
    ) + "\n"
}

#[test]
fn a_run_that_was_kept_is_whole() {
    let (code, said) = Place::with_run().validate();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(": whole\n"), "{said}");
    assert!(
        said.contains("summary.json: not there; `report` makes it"),
        "{said}"
    );
}

/// What the playbook writes of a host.
fn fleet_record(schema: u32, trouble: &str, seed: u64) -> String {
    serde_json::json!({
        "schema": schema, "host": "t14", "kind": "laptop", "key": "6b", "trouble": trouble, "seed": seed,
        "groups": ["laptops"], "seconds": 402, "packages_installed": ["docker.io"], "warnings": [],
    })
    .to_string()
}

#[test]
fn a_host_of_a_fleet_is_whole_with_its_run_and_told_why_it_has_none() {
    let place = Place::with_run();
    // Before the form was numbered it had no schema.
    for record in [
        fleet_record(1, "", SEED),
        fleet_record(1, "", SEED).replace("\"schema\":1,", ""),
    ] {
        place.write("fleet.json", &record);
        let (code, said) = place.validate();
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(": whole\n"), "{said}");
    }
    let place = Place::new();
    place.write(
        "fleet.json",
        &fleet_record(1, "not reached: no route", SEED),
    );
    let (code, said) = place.validate();
    assert_eq!(code, Exit::Failed as i32, "{said}");
    assert!(
        said.contains("fleet.json: not whole: not reached: no route"),
        "{said}"
    );
}

/// What is done to a run, and what is said of it.
type Fault = (fn(&Place), &'static str);

#[test]
fn what_is_torn_newer_or_foreign_is_told_with_its_place() {
    let faults: [Fault; 16] = [
        (
            |place| {
                let path = place.0.path().join("samples.jsonl");
                let text = fs::read_to_string(&path).expect("there");
                fs::write(&path, text.trim_end()).expect("written");
            },
            "samples.jsonl: the last line is torn",
        ),
        (
            |place| place.change("samples.jsonl", "\"schema\":2", "\"schema\":9"),
            "samples.jsonl:1: schema 9, this tool knows up to 2",
        ),
        (
            |place| place.change("samples.jsonl", "\"value\":", "\"valeu\":"),
            "samples.jsonl:1: not a record",
        ),
        (
            |place| place.write("load.jsonl", "{\"schema\":9}\n"),
            "load.jsonl:1: schema 9",
        ),
        (
            |place| place.write("load.jsonl", "{\"schema\":1}\n"),
            "load.jsonl:1: not a record",
        ),
        (
            |place| place.write("load.jsonl", "{\"schema\":1,\"run"),
            "load.jsonl: the last line is torn",
        ),
        (
            |place| place.change("environment.json", "\"schema\": 1", "\"schema\": 7"),
            "environment.json: schema 7, this tool knows up to 1",
        ),
        (
            |place| place.write("run.json", "{\"schema\": 2, \"run\": \"x\", \"parts\": [}"),
            "run.json",
        ),
        (
            |place| {
                place.write(
                    "summary.json",
                    r#"{"schema":1,"run":"another","commands":[],"measured_on":"","tables":{}}"#,
                )
            },
            "summary.json: is of another run, another",
        ),
        (
            |place| place.write("samples.jsonl", ""),
            "samples.jsonl: holds no sample",
        ),
        (
            |place| {
                place.write(
                    "samples.jsonl",
                    &(line(2, "a", "wall_ns", 5) + &line(2, "b", "wall_ns", -5)),
                )
            },
            "line 2 has a value below zero",
        ),
        (
            |place| place.write("fleet.json", &fleet_record(1, "not done within 60 s", SEED)),
            "fleet.json: not whole: not done within 60 s",
        ),
        (
            |place| place.write("fleet.json", &fleet_record(2, "", SEED)),
            "fleet.json: schema 2, this tool knows up to 1",
        ),
        (
            |place| place.write("fleet.json", &fleet_record(1, "", 8)),
            "fleet.json: says seed 8, the samples have 8233242592626",
        ),
        (
            |place| place.write("fleet.json", r#"{"host":"t14","kind":"laptop","key":"6b"}"#),
            "fleet.json:1: not a record: missing field `trouble`",
        ),
        (
            |place| place.write("fleet.json", r#"{"host":"t14","kind":"lap"#),
            "fleet.json:1: not a record: EOF",
        ),
    ];
    for (spoil, says) in faults {
        let place = Place::with_run();
        spoil(&place);
        let (code, said) = place.validate();
        assert_eq!(code, Exit::Failed as i32, "{says}: {said}");
        assert!(said.contains(says), "{says}: {said}");
        assert!(
            !says.starts_with("samples.jsonl:1:") || said.contains(": 1 fault\n"),
            "{said}"
        );
    }
}

#[test]
fn samples_of_an_earlier_version_are_a_run_and_unknown_words_a_note() {
    let place = Place::new();
    place.write(
        "samples.jsonl",
        &(line(1, "old", "wall_ns", 5) + &line(1, "old", "joule_ns", 6)),
    );
    let (code, said) = place.validate();
    assert_eq!(code, 0, "{said}");
    for words in [
        "schema 1, written by an earlier version",
        "`joule_ns`",
        "environment.json: not there",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_is_no_run_ends_with_a_code_of_its_own_and_the_others_are_told() {
    let (empty, run) = (Place::new(), Place::with_run());
    let missing = Path::new("/no/such/run");
    for none in [empty.0.path(), missing] {
        let (code, said) = validate(&[none, run.0.path()]);
        assert_eq!(code, Exit::Usage as i32, "{said}");
        assert!(said.contains("is no run's directory"), "{said}");
        assert!(said.contains(": whole"), "{said}");
    }
}

#[test]
fn a_clock_that_was_set_back_is_a_fault_and_a_file_left_over_a_note() {
    let place = Place::with_run();
    place.write(".report.md.abc.tmp", "half");
    let path = place.0.path().join("environment.json");
    let text = fs::read_to_string(&path).expect("there");
    let mut environment: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    environment["after"] = environment["before"].clone();
    environment["before"]["unix_seconds"] = 99_999_999_999_u64.into();
    fs::write(&path, environment.to_string()).expect("written");
    let (code, said) = place.validate();
    assert_eq!(code, Exit::Failed as i32, "{said}");
    for words in [
        "before it began",
        "days from now",
        ".report.md.abc.tmp: left by a writer that was killed",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_run_of_samples_alone_keeps_its_name_in_the_tables() {
    let place = Place::with_run();
    fs::remove_file(place.0.path().join("run.json")).expect("there");
    let made = Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
        .arg("report")
        .arg(place.0.path())
        .output()
        .expect("it starts");
    assert!(made.status.success(), "{}", said(&made));
    let (code, said) = place.validate();
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("summary.json"), "{said}");
    let summary = fs::read_to_string(place.0.path().join("summary.json")).expect("made");
    assert!(!summary.contains("\"run\": \"\""), "{summary}");
}
