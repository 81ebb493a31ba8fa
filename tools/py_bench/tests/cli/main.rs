//! The executable itself: on the built interpreters where they are there, and what it says where something is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn checkout() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    top.canonicalize().expect("the checkout")
}

/// A home with the interpreters and the store of the checkout, and scripts of its own beside them.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let scripts = dir.path().join("pybench-src");
        fs::create_dir(&scripts).expect("made");
        for name in [
            "pybench.py",
            "pyperf.py",
            "digest.py",
            "event_loop.py",
            "bench_version.py",
            "absent.tsv",
        ] {
            let from = checkout().join("pybench-src").join(name);
            fs::copy(from, scripts.join(name)).expect("copied");
        }
        Self { dir }
    }

    /// With both interpreters, or `None` where they are not built.
    fn built() -> Option<Self> {
        let build = checkout().join("build");
        let module = build.join("store/python/py_func/function.wasm");
        if !module.is_file() || !build.join("python/native/version").is_file() {
            eprintln!("SKIPPED: Python on both sides: not built (make python)");
            return None;
        }
        let home = Self::new();
        for name in ["python", "store"] {
            std::os::unix::fs::symlink(build.join(name), home.dir.path().join(name))
                .expect("linked");
        }
        Some(home)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.dir.path().join("pybench-src").join(name);
        fs::write(path, text).expect("written");
    }

    fn versions(&self, native: &str, wasm: &str) {
        for (side, version) in [("native", native), ("wasi", wasm)] {
            let dir = self.dir.path().join("python").join(side);
            fs::create_dir_all(&dir).expect("made");
            fs::write(dir.join("version"), version).expect("written");
        }
    }

    /// A new one for each run, or the last one.
    fn run_dir(&self, new: bool) -> PathBuf {
        let runs = (0..).map(|i| self.dir.path().join(format!("run-{i}")));
        let mut there = runs.clone().take_while(|dir| dir.exists());
        let next = there.by_ref().count();
        let i = if new { next } else { next.saturating_sub(1) };
        self.dir.path().join(format!("run-{i}"))
    }

    fn csv(&self) -> PathBuf {
        self.dir.path().join("rows.csv")
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_py_bench"))
            .args(args)
            .env("FAASM_BENCH_HOME", self.dir.path())
            .arg("--output")
            .arg(self.csv())
            .arg("--run-dir")
            .arg(self.run_dir(true))
            .output()
            .expect("it runs")
    }

    /// Benchmark and type of each row.
    fn rows(&self) -> Vec<(String, String)> {
        let mut reader = csv::Reader::from_path(self.csv()).expect("rows");
        let rows = reader.records().map(|row| row.expect("a row"));
        rows.map(|row| {
            let us: f64 = row[2].parse().expect("microseconds");
            assert!(us > 0.0);
            (row[0].to_owned(), row[1].to_owned())
        })
        .collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn both_sides_run_agree_and_leave_a_row_a_run() {
    let Some(home) = Home::built() else { return };
    let output = home.run(&["bench_version.py", "2", "1", "--reuse", "--seed", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("native iterations: 2, Wasm iterations: 1"));
    let mut rows = home.rows();
    rows.sort();
    let types: Vec<&str> = rows.iter().map(|row| row.1.as_str()).collect();
    assert_eq!(
        types,
        ["native", "native", "native-reuse", "wasm", "wasm-reuse"]
    );
    assert!(rows.iter().all(|row| row.0 == "bench_version"));
    let report = home.run_dir(false).join("report.md");
    let report = fs::read_to_string(report).expect("a report");
    assert!(report.contains("digest"), "{report}");
}

#[test]
fn what_computes_something_else_on_one_side_is_not_timed() {
    let Some(home) = Home::built() else { return };
    home.script(
        "bench_width.py",
        "\"\"\"Differs.\"\"\"\nimport sys\nfrom pybench import own\nown('width', lambda: sys.maxsize)\n",
    );
    let output = home.run(&["width", "1", "1"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(
        said(&output).contains("where the reference wrote"),
        "{}",
        said(&output)
    );
}

#[test]
fn exceptions_and_syntax_errors_are_shown_and_earlier_rows_kept() {
    let Some(home) = Home::built() else { return };
    home.script("bench_wrong.py", "\"\"\"Fails.\"\"\"\nfrom pybench import own\ndef inner():\n    raise ValueError('the reason')\nown('wrong', inner)\n");
    home.script("bench_zyntax.py", "\"\"\"Fails.\"\"\"\ndef f(:\n");
    let output = home.run(&["all", "1", "1"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("ValueError: the reason"), "{text}");
    assert!(text.contains("SyntaxError"), "{text}");
    assert!(home.rows().iter().all(|row| row.0 == "bench_version"));
    assert_eq!(home.rows().len(), 2);
    for side in ["native", "wasm"] {
        let output = home.run(&["dump", "wrong", side]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(
            said(&output).contains("ValueError"),
            "{side}: {}",
            said(&output)
        );
    }
}

#[test]
fn limits_of_time_and_memory_end_a_benchmark() {
    let Some(home) = Home::built() else { return };
    home.script("bench_endless.py", "\"\"\"Never ends.\"\"\"\nfrom pybench import own\ndef f():\n    while True: pass\nown('endless', f)\n");
    home.script("bench_greedy.py", "\"\"\"Wants much.\"\"\"\nfrom pybench import own\nown('greedy', lambda: len(bytearray(900 << 20)))\n");
    for (native, wasm) in [("1", "0"), ("0", "1")] {
        let output = home.run(&["endless", native, wasm, "--timeout", "2"]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains("--timeout"), "{}", said(&output));
        let output = home.run(&["greedy", native, wasm, "--memory-limit", "300"]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains("MemoryError"), "{}", said(&output));
    }
}

#[test]
fn names_and_versions_are_checked_before_anything_runs() {
    let home = Home::new();
    for (args, code, says) in [
        (&["versoin", "1", "1"][..], 2, "did you mean `version`?"),
        (
            &["tornado_http", "1", "1"],
            3,
            "WASI has no listening sockets",
        ),
        (&["version", "one", "1"], 2, "no number"),
        (&["version", "0", "0"], 2, "nothing to do"),
        (&["version", "1", "1"], 3, "make python"),
        (&["version"], 2, "it takes a benchmark"),
    ] {
        let output = home.run(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            said(&output)
        );
        assert!(said(&output).contains(says), "{args:?}: {}", said(&output));
    }
    home.versions("3.13.5\n", "3.11.2\n");
    let output = home.run(&["version", "1", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said(&output).contains("CPython 3.13.5, the Wasm one 3.11.2"),
        "{}",
        said(&output)
    );
    home.versions("3.13.5\n", "3.13.5\n");
    let output = home.run(&["version", "1", "1", "--also", "wasm-obt"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let output = home.run(&["version", "1", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("is missing"), "{}", said(&output));
}

#[test]
fn the_list_names_what_runs_and_why_others_do_not() {
    let output = Command::new(env!("CARGO_BIN_EXE_py_bench"))
        .arg("list")
        .env("FAASM_BENCH_HOME", checkout().join("build"))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let text = said(&output);
    for name in ["richards", "pathlib", "tornado_http", "not run"] {
        assert!(text.contains(name), "{text}");
    }
}
