//! Homes with scripts of their own, and what is said there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_testkit::Ended;
use measure_core::base::home;
use tempfile::TempDir;

pub fn checkout() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    top.canonicalize().expect("the checkout")
}

/// A home with the interpreters and the store of the checkout, and scripts of its own beside them.
pub struct Home {
    pub dir: TempDir,
}

impl Home {
    pub fn new() -> Self {
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
    pub fn built() -> Option<Self> {
        let build = home::root();
        let module = build.join("store/python/py_func/function.wasm");
        if !module.is_file() || !build.join("python/native/version").is_file() {
            eprintln!("SKIPPED: Python on both sides: not built (make python)");
            return None;
        }
        let home = Self::new();
        for name in ["python", "store"] {
            home.link(name, &build.join(name));
        }
        Some(home)
    }

    /// `name` in it is what `target` is.
    pub fn link(&self, name: &str, target: &Path) {
        symlink(target, self.dir.path().join(name)).expect("linked");
    }

    pub fn script(&self, name: &str, text: &str) {
        let path = self.dir.path().join("pybench-src").join(name);
        fs::write(path, text).expect("written");
    }

    pub fn versions(&self, native: &str, wasm: &str) {
        for (side, version) in [("native", native), ("wasi", wasm)] {
            let dir = self.dir.path().join("python").join(side);
            fs::create_dir_all(&dir).expect("made");
            fs::write(dir.join("version"), version).expect("written");
        }
        // Of which the standard library is the first thing that is looked for.
        fs::create_dir_all(self.dir.path().join("python/native/lib")).expect("made");
    }

    /// A new one for each run, or the last one.
    pub fn run_dir(&self, new: bool) -> PathBuf {
        let runs = (0..).map(|i| self.dir.path().join(format!("run-{i}")));
        let mut there = runs.clone().take_while(|dir| dir.exists());
        let next = there.by_ref().count();
        let i = if new { next } else { next.saturating_sub(1) };
        self.dir.path().join(format!("run-{i}"))
    }

    pub fn csv(&self) -> PathBuf {
        self.dir.path().join("rows.csv")
    }

    pub fn run(&self, args: &str) -> Ended {
        driver_testkit::run(self.command(args))
    }

    /// `args` are words with white space between them.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_py_bench"));
        command
            .args(args.split_whitespace())
            .env("FAASM_BENCH_HOME", self.dir.path())
            .arg("--output")
            .arg(self.csv())
            .arg("--run-dir")
            .arg(self.run_dir(true));
        command
    }

    /// Benchmark and type of each row.
    pub fn rows(&self) -> Vec<(String, String)> {
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
