//! A store in a temporary directory and the driver on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub use driver_testkit::PATIENCE;
use driver_testkit::{Ended, Running, skipped};
use measure_core::base::home;
use measure_core::contract::Probe;
use measure_core::contract::protocol::Message;
use tempfile::TempDir;

/// `make test` tries every program on every rung; `make check`, after each edit, every program on the rungs of [`OFTEN`] and some
/// programs on each other rung.
pub const IS_THOROUGH: bool = !cfg!(debug_assertions);

/// The rung without a seat, and the one that others are variants of.
const OFTEN: [&str; 2] = ["wasm", "faaslet"];

/// Whether the program `name` is tried on `rung`, where `always` are those that are tried on all of them.
pub fn is_tried(rung: &str, name: &str, always: &[&str]) -> bool {
    IS_THOROUGH || OFTEN.contains(&rung) || always.contains(&name)
}

pub struct Bench {
    pub home: TempDir,
}

impl Bench {
    /// With the second engine's tools, where this checkout has them.
    pub fn new() -> Self {
        let bench = Self::without_tools();
        let tools = home::root().join("wasm2c");
        if let Ok(tools) = tools.canonicalize() {
            symlink(tools, bench.home.path().join("wasm2c")).expect("a link");
        }
        bench
    }

    pub fn without_tools() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        Self { home }
    }

    /// With `demo/<name>` for each module given as text.
    pub fn with(modules: &[(&str, &str)]) -> Self {
        let bench = Self::new();
        let built = TempDir::new().expect("a temporary directory");
        let demo = built.path().join("demo");
        fs::create_dir(&demo).expect("a directory");
        for (name, wat) in modules {
            let file = demo.join(format!("{name}.wasm"));
            fs::write(file, module(wat)).expect("a file");
        }
        // At once: each start of the driver takes as long as it has one of them compiled.
        bench.ok(&format!("upload-all {}", built.path().display()));
        bench
    }

    pub fn upload(&self, name: &str, bytes: &[u8]) -> Ended {
        let file = self.home.path().join("upload.wasm");
        fs::write(&file, bytes).expect("a file");
        self.run(&format!("upload demo {name} {}", file.display()))
    }

    pub fn function_dir(&self, name: &str) -> PathBuf {
        self.home.path().join("store/demo").join(name)
    }

    /// The driver with the arguments in `line`, none of which has a space.
    pub fn command(&self, line: &str) -> Command {
        driver_at(self.home.path(), line)
    }

    pub fn run(&self, line: &str) -> Ended {
        driver_testkit::run(self.command(line))
    }

    /// Runs it, which ends well.
    #[track_caller]
    pub fn ok(&self, line: &str) -> Ended {
        let ran = self.run(line);
        ran.expect(0);
        ran
    }

    /// Runs it, which ends with `code` and says on standard error what `says` has.
    #[track_caller]
    pub fn fails(&self, code: i32, line: &str, says: &[&str]) -> Ended {
        let ran = self.run(line);
        assert_mentions(&ran.expect(code).stderr, says);
        ran
    }

    pub fn start(&self, line: &str) -> Running {
        Running::start(self.command(line))
    }
}

/// The driver with the home directory `home`.
pub fn driver_at(home: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faasm-driver"));
    command
        .env("FAASM_BENCH_HOME", home)
        .args(line.split_whitespace())
        .stdin(Stdio::null());
    command
}

/// The rungs that this host can run; of each other it says that `test` skips it.
pub fn ready_rungs(test: &str) -> Vec<String> {
    // Asked once: the answer is the host's, not the test's.
    static RUNGS: OnceLock<Vec<(String, Probe)>> = OnceLock::new();
    let rungs = RUNGS.get_or_init(|| {
        let ran = Bench::new().ok("info --json");
        let rung = |message| match message {
            Message::Rung { description, probe } => Some((description.rung, probe)),
            _ => None,
        };
        ran.messages().into_iter().filter_map(rung).collect()
    });
    let mut ready = Vec::new();
    for (rung, probe) in rungs {
        match probe {
            Probe::Ready => ready.push(rung.clone()),
            other => skipped(format!("{test} on {rung}"), format!("{other:?}")),
        }
    }
    ready
}

pub fn module(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).expect("a module")
}

#[track_caller]
pub fn assert_mentions(text: &str, what: &[&str]) {
    for what in what {
        assert!(text.contains(what), "`{what}` is not in:\n{text}");
    }
}

pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
