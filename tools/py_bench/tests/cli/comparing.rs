//! Both sides compared.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::process::Command;

use measure_core::base::home;
use measure_core::base::programs::on_path;

use crate::common::Home;

#[test]
fn both_sides_run_agree_and_leave_a_row_a_run() {
    let Some(home) = Home::built() else { return };
    home.run("bench_version.py 2 1 --reuse --seed 1")
        .assert_ended(0, &["native iterations: 2, Wasm iterations: 1"]);
    let mut rows = home.rows();
    rows.sort();
    let types: Vec<&str> = rows.iter().map(|row| row.1.as_str()).collect();
    assert_eq!(
        types,
        [
            "native",
            "native",
            "native-reuse",
            "native-reuse",
            "wasm",
            "wasm-reuse"
        ]
    );
    assert!(rows.iter().all(|row| row.0 == "bench_version"));
    let report = home.run_dir(false).join("report.md");
    let report = fs::read_to_string(report).expect("a report");
    for told in [
        "digest",
        "wasm-reuse/native-reuse",
        "Iteration by iteration",
    ] {
        assert!(report.contains(told), "no `{told}`: {report}");
    }
    let curve = home.run_dir(false).join("pybench-curve.csv");
    let curve = fs::read_to_string(curve).expect("iterations");
    assert_eq!(curve.lines().count(), 1 + 3 * 20, "{curve}");
}

#[test]
fn another_engine_runs_the_same_interpreter() {
    let Some(home) = Home::built() else { return };
    if on_path("node").is_none() {
        eprintln!("SKIPPED: Python by node: node is not installed: apt-get install nodejs");
        return;
    }
    home.run("bench_version.py 1 1 --columns native,node --seed 1")
        .assert_ended(0, &[]);
    assert!(home.rows().iter().any(|row| row.1 == "node"));
    let report = home.run_dir(false).join("report.md");
    let report = fs::read_to_string(report).expect("a report");
    assert!(report.contains("node has the same digest"), "{report}");
}

#[test]
fn the_second_engine_runs_the_same_interpreter() {
    let Some(home) = Home::built() else { return };
    let build = home::root();
    if !build.join("wasm2c").is_dir() {
        eprintln!("SKIPPED: the second engine for Python: not installed (make wasm2c)");
        return;
    }
    // Compiled once: it takes minutes.
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o755);
    private.create(build.join("by-c")).expect("made");
    for name in ["wasm2c", "by-c"] {
        home.link(name, &build.join(name));
    }
    // Files of the library are read, a temporary one is written.
    home.script(
        "bench_files.py",
        "\"\"\"Reads and writes.\"\"\"\nimport json, os, tempfile\nfrom pybench import own\n\n\
         def work():\n    \
             with tempfile.NamedTemporaryFile('w+') as file:\n        \
                 file.write(json.dumps(list(range(100))))\n        \
                 file.seek(0)\n        \
                 return sum(json.load(file)), sorted(os.listdir(os.path.dirname(os.__file__)))[:50]\n\n\
         own('files', work)\n",
    );
    home.run("files 1 1 --also wasm-wasm2c --seed 1")
        .assert_ended(0, &[]);
    let mut types: Vec<String> = home.rows().into_iter().map(|row| row.1).collect();
    types.sort();
    assert_eq!(types, ["native", "wasm", "wasm-wasm2c"]);
    // A traceback is shown, and the loop that never ends is ended.
    home.script(
        "bench_broken.py",
        "\"\"\"Fails.\"\"\"\nfrom pybench import own\nown('broken', lambda: [][1])\n",
    );
    home.run("dump broken wasm-wasm2c")
        .assert_ended(4, &["IndexError"]);
    home.script(
        "bench_endless.py",
        "\"\"\"Never ends.\"\"\"\nfrom pybench import own\n\ndef work():\n    while True: pass\n\nown('endless', work)\n",
    );
    home.run("dump endless wasm-wasm2c --timeout 5")
        .assert_ended(4, &["after 5s"]);
}

#[test]
fn what_computes_something_else_on_one_side_is_not_timed() {
    let Some(home) = Home::built() else { return };
    home.script(
        "bench_width.py",
        "\"\"\"Differs.\"\"\"\nimport sys\nfrom pybench import own\nown('width', lambda: sys.maxsize)\n",
    );
    home.run("width 1 1")
        .assert_ended(4, &["where the reference wrote"]);
}

#[test]
fn the_list_names_what_runs_and_why_others_do_not() {
    let text = list();
    for name in ["richards", "pathlib", "tornado_http", "not run"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn every_benchmark_of_the_suite_is_in_the_list() {
    let manifest = home::root().join("python/suite/pyperformance/data-files/benchmarks/MANIFEST");
    let Ok(manifest) = fs::read_to_string(&manifest) else {
        eprintln!("SKIPPED: the suite's own list: not built (make python)");
        return;
    };
    let lines = manifest.lines().skip_while(|line| *line != "[benchmarks]");
    // A heading, then a name and where its description lies.
    let suite: BTreeSet<&str> = lines
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "name" && !name.starts_with('#'))
        .collect();
    assert!(suite.len() > 90, "{suite:?}");
    let list = list();
    let listed: BTreeSet<&str> = list
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let missing: Vec<&&str> = suite.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn list() -> String {
    let mut list = Command::new(env!("CARGO_BIN_EXE_py_bench"));
    list.arg("list").env("FAASM_BENCH_HOME", home::root());
    driver_testkit::run(list).assert_ended(0, &[]).said()
}
