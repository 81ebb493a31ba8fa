//! A store in a temporary directory and the driver on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use driver_testkit::PATIENCE;
use driver_testkit::{Ended, Running, skipped};
use measure_core::contract::Probe;
use measure_core::contract::protocol::Message;
use tempfile::TempDir;

pub struct Bench {
    pub home: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        Self { home }
    }

    /// With `demo/<name>` for each module given as text.
    pub fn with(modules: &[(&str, &str)]) -> Self {
        let bench = Self::new();
        for (name, wat) in modules {
            let ran = bench.upload(name, &wat::parse_str(wat).expect("a module"));
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        bench
    }

    pub fn upload(&self, name: &str, bytes: &[u8]) -> Ended {
        let file = self.home.path().join("upload.wasm");
        fs::write(&file, bytes).expect("a file");
        self.run(&["upload", "demo", name, file.to_str().expect("a path")])
    }

    pub fn function_dir(&self, name: &str) -> PathBuf {
        self.home.path().join("store/demo").join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        driver_at(self.home.path(), args)
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        driver_testkit::run(self.command(args))
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }
}

/// The driver with the home directory `home`.
pub fn driver_at(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faasm-driver"));
    command
        .env("FAASM_BENCH_HOME", home)
        .args(args)
        .stdin(Stdio::null());
    command
}

/// The rungs that this host can run.
pub fn ready_rungs(test: &str) -> Vec<String> {
    let ran = Bench::new().run(&["info", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ready = |message| match message {
        Message::Rung {
            description,
            probe: Probe::Ready,
        } => Some(description.rung),
        Message::Rung { description, probe } => {
            skipped(
                format!("{test} on {}", description.rung),
                format!("{probe:?}"),
            );
            None
        }
        _ => None,
    };
    ran.messages().into_iter().filter_map(ready).collect()
}

pub fn assert_mentions(text: &str, what: &[&str]) {
    for what in what {
        assert!(text.contains(what), "`{what}` is not in:\n{text}");
    }
}

pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
