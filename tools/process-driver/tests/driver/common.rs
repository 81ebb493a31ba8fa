#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test file uses a part of it"
)]
//! What the tests share: a store of small native functions, and the driver on it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use driver_testkit::{Ended, Running, functions, skipped};
use tempfile::TempDir;

pub const DRIVER: &str = env!("CARGO_BIN_EXE_process-driver");

/// Functions beside the demo ones, by name and source.
const SOURCES: [(&str, &str); 4] = [
    ("test/three", "int main(void) { return 3; }"),
    ("test/abort", "int main(void) { __builtin_trap(); }"),
    (
        "test/forever",
        "int main(void) { volatile int i; for (;;) i = 0; }",
    ),
    (
        "test/deaf",
        "#include <unistd.h>\nint main(void) { for (;;) pause(); }",
    ),
];

const DEMOS: [&str; 2] = ["noop", "park"];

/// A store with the demo functions and a few that misbehave, and the driver on it.
pub struct Bench {
    store: TempDir,
    /// Options before each command.
    options: Vec<OsString>,
}

impl Bench {
    /// `None`, with a word why, where the functions cannot be built.
    pub fn new() -> Option<Self> {
        let bench = Self::empty();
        let native = |id: &str| bench.path().join(id).join("native");
        for demo in DEMOS {
            let target = native(&format!("demo/{demo}"));
            if !functions::compile_native(&functions::demo_source(demo), &target) {
                skipped("native functions", functions::NO_MUSL);
                return None;
            }
        }
        for (id, text) in SOURCES {
            let source = bench.path().join("source.c");
            fs::write(&source, text).expect("written");
            assert!(functions::compile_native(&source, &native(id)), "{id}");
        }
        Some(bench)
    }

    /// Without any function.
    pub fn empty() -> Self {
        let store = tempfile::tempdir().expect("a directory");
        let options = vec!["--store".into(), store.path().into()];
        Self { store, options }
    }

    /// With the user's file `entries` of runtimes.
    pub fn with_runtimes(mut self, entries: &str) -> Self {
        let path = self.path().join("runtimes.toml");
        fs::write(&path, entries).expect("written");
        self.options.extend(["--runtimes".into(), path.into()]);
        self
    }

    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// The demo functions as Wasm; `false` where they cannot be built.
    pub fn compile_wasm(&self) -> bool {
        DEMOS.iter().all(|demo| {
            let target = self.path().join("demo").join(demo).join("function.wasm");
            functions::compile_wasm(&functions::demo_source(demo), &target)
        })
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(DRIVER);
        command.args(&self.options).args(words.split_whitespace());
        command
    }

    /// The driver, run to its end.
    pub fn run(&self, words: &str) -> Ended {
        driver_testkit::run(self.command(words))
    }

    /// The driver, running.
    pub fn start(&self, words: &str) -> Running {
        Running::start(self.command(words))
    }
}
