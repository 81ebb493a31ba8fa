#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test file uses a part of it"
)]
//! What the tests share: a store of small native functions, and the driver on it.

use std::fs;
use std::path::Path;
use std::process::Command;

use driver_testkit::{Ended, Running, functions, skipped};
use tempfile::TempDir;

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

/// A store with the demo functions and a few that misbehave; `None`, with a word why, where they
/// cannot be built.
pub fn store(test: &str) -> Option<TempDir> {
    let store = tempfile::tempdir().expect("a directory");
    let native = |id: &str| store.path().join(id).join("native");
    for demo in DEMOS {
        let target = native(&format!("demo/{demo}"));
        if !functions::compile_native(&functions::demo_source(demo), &target) {
            skipped(test, functions::NO_MUSL);
            return None;
        }
    }
    for (id, text) in SOURCES {
        let source = store.path().join("source.c");
        fs::write(&source, text).expect("written");
        assert!(functions::compile_native(&source, &native(id)), "{id}");
    }
    Some(store)
}

/// The demo functions as Wasm; `false` where they cannot be built.
pub fn compile_wasm(store: &Path) -> bool {
    DEMOS.iter().all(|demo| {
        let target = store.join("demo").join(demo).join("function.wasm");
        functions::compile_wasm(&functions::demo_source(demo), &target)
    })
}

fn command(store: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_process-driver"));
    command.arg("--store").arg(store).args(arguments);
    command
}

/// The driver, run to its end.
pub fn run(store: &Path, arguments: &[&str]) -> Ended {
    driver_testkit::run(command(store, arguments))
}

/// The driver, running.
pub fn start(store: &Path, arguments: &[&str]) -> Running {
    Running::start(command(store, arguments))
}
