//! `compare` over records of every kind, written here: no host is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_testkit::Ended;
use measure_core::base::exit::Exit;

/// A directory of runs.
struct Runs(tempfile::TempDir);

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, samples: &str) {
        let dir = self.path(name);
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join("samples.jsonl"), samples).expect("written");
    }

    fn compare(&self, more: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        command.arg("compare").args(["old", "new"]).args(more);
        driver_testkit::run(command.current_dir(self.0.path()))
    }
}

/// Seven processes of three starts each around `ns`, one per cent apart.
fn starts(schema: u32, rung: &str, function: &str, measure: &str, ns: u64) -> String {
    let mut lines = String::new();
    for process in 1..=7 {
        for order in 0..3 {
            let value = ns + ns / 100 * (process + order) % 7;
            let process = if schema == 1 {
                String::new()
            } else {
                format!(r#""process":{process},"#)
            };
            lines += &format!(
                r#"{{"schema":{schema},"run":"r","rung":"{rung}","function":"{function}","measure":"{measure}","phase":"total","metric":"wall_ns","value":{value},"n":1,"workers":1,{process}"block":1,"order":{order},"seed":7}}"#
            );
            lines.push('\n');
        }
    }
    lines
}

fn isolated(rung: &str, ns: u64) -> String {
    starts(2, rung, "demo/noop", "isolated", ns)
}

#[test]
fn a_slower_row_is_said_in_three_forms_and_ends_with_a_code_if_asked_to() {
    let runs = Runs::new();
    runs.write(
        "old",
        &(isolated("thread", 50_000) + &isolated("wasm", 80_000)),
    );
    runs.write(
        "new",
        &(isolated("thread", 60_000) + &isolated("wasm", 80_000)),
    );
    let output = runs.compare(&["--csv", "rows.csv", "--json", "rows.json"]);
    output.assert_ended(0, &["| thread", "slower", "no difference", "1.20"]);
    let csv = fs::read_to_string(runs.path("rows.csv")).expect("a CSV");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let json = fs::read_to_string(runs.path("rows.json")).expect("JSON");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["rows"][0]["verdict"], "slower");

    let failed = runs.compare(&["--fail-on", "slower"]);
    failed.expect(Exit::Slower as i32);
    // A margin beyond the difference takes it away.
    let wide = runs.compare(&["--fail-on", "slower", "--margin", "50"]);
    wide.expect(0);
    let absurd = runs.compare(&["--margin", "NaN"]);
    absurd.expect(Exit::Usage as i32);
}

#[test]
fn old_runs_are_read_and_not_held_against_a_design() {
    let runs = Runs::new();
    let pooled = |ns| starts(1, "thread", "demo/noop", "start", ns);
    runs.write("old", &pooled(50_000));
    runs.write("new", &isolated("thread", 50_000));
    let refused = runs.compare(&[]);
    refused.assert_ended(Exit::Usage as i32, &["schema 1, which pooled"]);
    // Two old ones: the same quantity, but of one process each.
    runs.write("new", &pooled(90_000));
    let output = runs.compare(&["--fail-on", "slower"]);
    output.assert_ended(0, &["pooled (schema 1)", "cannot tell"]);
}

#[test]
fn what_is_not_the_same_is_refused_with_the_reason() {
    let cases = [
        (
            isolated("wasm", 80_000),
            "no row in common: `thread` is in one run only",
        ),
        (
            starts(2, "thread", "demo/sieve", "isolated", 1000),
            "ran another function in each run",
        ),
        (
            starts(2, "thread", "demo/noop", "back-to-back", 1000),
            "was measured isolated in one run only",
        ),
        (
            starts(2, "native", "polybench/2mm", "run", 1000),
            "a run of poly_bench or py_bench",
        ),
        (String::new(), "holds no start that went well"),
    ];
    for (samples, why) in cases {
        let runs = Runs::new();
        runs.write("old", &isolated("thread", 50_000));
        runs.write("new", &samples);
        let output = runs.compare(&[]);
        output.assert_ended(Exit::Usage as i32, &[why]);
    }
}

#[test]
fn a_torn_run_is_compared_and_a_broken_a_newer_and_a_missing_one_are_not() {
    let runs = Runs::new();
    runs.write("old", &isolated("thread", 50_000));
    let whole = isolated("thread", 50_000);
    runs.write("new", &whole[..whole.len() - 20]);
    let torn = runs.compare(&[]);
    torn.assert_ended(0, &["last line is torn"]);

    runs.write("new", &whole.replace(r#""schema":2"#, r#""schema":99"#));
    let newer = runs.compare(&[]);
    newer.assert_ended(Exit::Failed as i32, &["use the version that wrote it"]);

    runs.write("new", "what is this\n");
    let foreign = runs.compare(&[]);
    foreign.assert_ended(Exit::Failed as i32, &["not a record"]);

    remove(&runs.path("new"));
    let missing = runs.compare(&[]);
    missing.assert_ended(Exit::Failed as i32, &["samples.jsonl"]);
    assert!(!runs.path("new").exists());
}

fn remove(dir: &Path) {
    fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn blocks_that_were_made_again_do_not_count() {
    let runs = Runs::new();
    let disturbed = isolated("thread", 90_000).replace(r#""block":1"#, r#""block":5"#);
    let mark = r#"{"schema":2,"run":"r","rung":"thread","function":"demo/noop","measure":"host","phase":"repeated","metric":"disturbed","value":1,"n":1,"workers":1,"process":1,"block":5,"order":0,"seed":7}"#;
    runs.write("old", &isolated("thread", 50_000));
    runs.write(
        "new",
        &format!("{disturbed}{mark}\n{}", isolated("thread", 50_000)),
    );
    let output = runs.compare(&["--fail-on", "slower"]);
    output.assert_ended(0, &["no difference"]);
}
