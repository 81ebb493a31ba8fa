//! What others' programs make of our files: a validator of JSON Schema and pandas, fetched from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_testkit::python;

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn python_with(packages: &[&str]) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{}", packages.join("-")));
    python::with_packages(&dir, packages)
}

/// What `python -c script arguments` printed; it has to end well.
fn run(python: &Path, script: &str, arguments: &[&str]) -> String {
    let output = Command::new(python)
        .args(["-c", script])
        .args(arguments)
        .output()
        .expect("python");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Says of each whole file, or line, of the arguments after the schema whether it is of that form.
const VALIDATE: &str = r#"
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in sys.argv[2:]:
    text = open(name).read()
    records = text.splitlines() if name.endswith(".jsonl") else [text]
    for record in records:
        errors = [error.message for error in validator.iter_errors(json.loads(record))]
        print("invalid" if errors else "valid", *errors[:1])
"#;

/// Runs our tool, which is to end well.
fn runtime_bench(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
        .args(arguments)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output.stdout
}

/// What `compare` writes of two runs with one row in common, in `dir`.
fn compared(dir: &Path) -> String {
    let text = |name: &str| dir.join(name).to_string_lossy().into_owned();
    for (run, ns) in [("old", 40_000), ("new", 60_000)] {
        fs::create_dir(dir.join(run)).expect("a directory");
        fs::write(dir.join(run).join("samples.jsonl"), starts("thread", ns)).expect("written");
    }
    let file = text("compare.json");
    runtime_bench(&["compare", &text("old"), &text("new"), "--json", &file]);
    file
}

/// What a rung under load and the probes in it leave, in `dir`: records of both.
fn loaded_and_probed(dir: &Path) -> [String; 2] {
    let text = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let load = [
        "load",
        "--rungs",
        "thread",
        "--rates",
        "50",
        "--duration",
        "1s",
    ];
    runtime_bench(&[&load[..], &["--output", &text("load")]].concat());
    let probes = ["isolation", "--rungs", "thread"];
    runtime_bench(&[&probes[..], &["--output", &text("probes")]].concat());
    ["load/load.jsonl", "probes/isolation.json"].map(text)
}

/// What `history` writes of the run that is kept, in `dir`.
fn history(dir: &Path) -> String {
    let kept = format!("{CHECKOUT}/tools/fuzz/seeds/run");
    runtime_bench(&["history", &kept, "--output", &dir.to_string_lossy()]);
    dir.join("history.json").to_string_lossy().into_owned()
}

/// What a playbook writes of a host that was measured, and of one on which nothing was begun, in `dir`.
fn fleet(dir: &Path) -> [String; 2] {
    let whole = r#"{"schema":1,"host":"t14","kind":"laptop","groups":["laptops"],"kernel":"6.1.0","machine":"x86_64","plan":"quick","seed":1,
        "tools_sha256":"9f","key":"6b","trouble":"","seconds":402,"packages_installed":["docker.io"],"warnings":[]}"#;
    let without = r#"{"schema":1,"host":"rack2","kind":"server","key":"6b","trouble":"not reached: no route"}"#;
    [("fleet-1.json", whole), ("fleet-2.json", without)].map(|(name, text)| {
        let file = dir.join(name);
        fs::write(&file, text).expect("written");
        file.to_string_lossy().into_owned()
    })
}

#[test]
fn records_are_of_the_form_that_their_schema_states_and_others_are_not() {
    let Some(python) = python_with(&["jsonschema"]) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let bad = dir.path().join("bad.jsonl");
    let lines = [
        r#"{"schema":2,"run":"r","rung":"wasm"}"#,
        r#"{"schema":"two","run":"r","rung":"wasm","function":"f","measure":"start","phase":"total","metric":"wall_ns","value":1,"n":1,"workers":1,"block":1,"order":0,"seed":7}"#,
    ];
    fs::write(&bad, lines.join("\n")).expect("written");
    let seed = |name: &str| format!("{CHECKOUT}/tools/fuzz/seeds/run/{name}");
    let [load, isolation] = loaded_and_probed(dir.path());
    let [measured, without] = fleet(dir.path());
    for (record, file) in [
        ("sample", seed("samples.jsonl")),
        ("load", load),
        ("isolation", isolation),
        ("compare", compared(dir.path())),
        ("fleet", measured),
        ("fleet", without),
        (
            "sample",
            format!("{CHECKOUT}/tools/fuzz/seeds/comparison/samples.jsonl"),
        ),
        ("run", seed("run.json")),
        ("environment", seed("environment.json")),
        ("summary", format!("{CHECKOUT}/docs/reference/quick.json")),
        ("history", history(dir.path())),
    ] {
        let schema = dir.path().join(format!("{record}.schema.json"));
        fs::write(&schema, runtime_bench(&["schema", record])).expect("written");
        let schema = schema.to_string_lossy().into_owned();
        let said = run(&python, VALIDATE, &[&schema, &file]);
        assert!(said.lines().count() > 0, "{file}");
        assert!(
            said.lines().all(|line| line == "valid"),
            "{record}, {file}: {said}"
        );
        if record == "sample" {
            let said = run(&python, VALIDATE, &[&schema, &bad.to_string_lossy()]);
            assert!(
                said.lines().all(|line| line.starts_with("invalid")),
                "{said}"
            );
            assert_eq!(said.lines().count(), 2, "{said}");
        }
    }
}

#[test]
fn what_measure_core_writes_is_of_the_form_that_it_states() {
    let Some(python) = python_with(&["jsonschema"]) else {
        return;
    };
    let tool = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name("measure-core");
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (schema, bad) = (file("schema.json"), file("bad.json"));
    let said = |arguments: &[&str]| {
        let output = Command::new(&tool).args(arguments).output();
        let output = output.unwrap_or_else(|e| panic!("{}: {e} (make build)", tool.display()));
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    };
    fs::write(&schema, said(&["--schema"])).expect("written");
    fs::write(&bad, r#"{"schema": 1, "runs": "six"}"#).expect("written");
    for commands in [&["--", "true"][..], &["true a", "sh -c true"]] {
        let written = file("report.json");
        said(&[&["-n", "6", "--json", &written], commands].concat());
        let verdict = run(&python, VALIDATE, &[&schema, &written]);
        assert_eq!(verdict.trim(), "valid", "{commands:?}");
    }
    let verdict = run(&python, VALIDATE, &[&schema, &bad]);
    assert!(verdict.starts_with("invalid"), "{verdict}");
}

/// Seven processes of three isolated starts each around `ns`.
fn starts(rung: &str, ns: u64) -> String {
    let mut lines = String::new();
    for process in 1..=7 {
        for order in 0..3 {
            let value = ns + 10 * (process + order);
            lines += &format!(
                r#"{{"schema":2,"run":"r","rung":"{rung}","function":"demo/noop","measure":"isolated","phase":"total","metric":"wall_ns","value":{value},"n":1,"workers":1,"process":{process},"block":1,"order":{order},"seed":7}}"#
            );
            lines.push('\n');
        }
    }
    lines
}

#[test]
fn the_twenty_lines_of_pandas_of_the_page_work() {
    let page = fs::read_to_string(format!("{CHECKOUT}/docs/reading-results.md")).expect("the page");
    let (_, from) = page.split_once("```python\n").expect("a script");
    let (script, _) = from.split_once("```").expect("its end");
    assert!(script.lines().count() <= 25, "about twenty lines");
    let Some(python) = python_with(&["pandas"]) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let samples = starts("process", 300_000) + &starts("docker-none", 200_000_000);
    fs::write(dir.path().join("samples.jsonl"), samples).expect("written");
    let said = run(&python, script, &[&dir.path().to_string_lossy()]);
    for words in ["isolated", "process", "docker-none", "300.", "7"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
