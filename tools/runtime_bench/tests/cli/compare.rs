//! `compare` over records of every kind, written here: no host is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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

    fn compare(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        command.arg("compare").args(["old", "new"]).args(more);
        command
            .current_dir(self.0.path())
            .output()
            .expect("it starts")
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

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
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
    assert_eq!(code(&output), 0, "{}", said(&output));
    let page = said(&output);
    for words in ["| thread", "slower", "no difference", "1.20"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let csv = fs::read_to_string(runs.path("rows.csv")).expect("a CSV");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let json = fs::read_to_string(runs.path("rows.json")).expect("JSON");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["rows"][0]["verdict"], "slower");

    let failed = runs.compare(&["--fail-on", "slower"]);
    assert_eq!(code(&failed), Exit::Slower as i32, "{}", said(&failed));
    // A margin beyond the difference takes it away.
    let wide = runs.compare(&["--fail-on", "slower", "--margin", "50"]);
    assert_eq!(code(&wide), 0, "{}", said(&wide));
    let absurd = runs.compare(&["--margin", "NaN"]);
    assert_eq!(code(&absurd), Exit::Usage as i32, "{}", said(&absurd));
}

#[test]
fn old_runs_are_read_and_not_held_against_a_design() {
    let runs = Runs::new();
    let pooled = |ns| starts(1, "thread", "demo/noop", "start", ns);
    runs.write("old", &pooled(50_000));
    runs.write("new", &isolated("thread", 50_000));
    let refused = runs.compare(&[]);
    assert_eq!(code(&refused), Exit::Usage as i32, "{}", said(&refused));
    assert!(
        said(&refused).contains("schema 1, which pooled"),
        "{}",
        said(&refused)
    );
    // Two old ones: the same quantity, but of one process each.
    runs.write("new", &pooled(90_000));
    let output = runs.compare(&["--fail-on", "slower"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let page = said(&output);
    assert!(
        page.contains("pooled (schema 1)") && page.contains("cannot tell"),
        "{page}"
    );
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
        assert_eq!(code(&output), Exit::Usage as i32, "{}", said(&output));
        assert!(said(&output).contains(why), "{why}: {}", said(&output));
    }
}

#[test]
fn a_torn_run_is_compared_and_a_broken_a_newer_and_a_missing_one_are_not() {
    let runs = Runs::new();
    runs.write("old", &isolated("thread", 50_000));
    let whole = isolated("thread", 50_000);
    runs.write("new", &whole[..whole.len() - 20]);
    let torn = runs.compare(&[]);
    assert_eq!(code(&torn), 0, "{}", said(&torn));
    assert!(said(&torn).contains("last line is torn"), "{}", said(&torn));

    runs.write("new", &whole.replace(r#""schema":2"#, r#""schema":99"#));
    let newer = runs.compare(&[]);
    assert_eq!(code(&newer), Exit::Failed as i32, "{}", said(&newer));
    assert!(
        said(&newer).contains("use the version that wrote it"),
        "{}",
        said(&newer)
    );

    runs.write("new", "what is this\n");
    let foreign = runs.compare(&[]);
    assert_eq!(code(&foreign), Exit::Failed as i32, "{}", said(&foreign));
    assert!(
        said(&foreign).contains("not a sample"),
        "{}",
        said(&foreign)
    );

    remove(&runs.path("new"));
    let missing = runs.compare(&[]);
    assert_eq!(code(&missing), Exit::Failed as i32, "{}", said(&missing));
    assert!(
        said(&missing).contains("samples.jsonl"),
        "{}",
        said(&missing)
    );
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
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(said(&output).contains("no difference"), "{}", said(&output));
}
