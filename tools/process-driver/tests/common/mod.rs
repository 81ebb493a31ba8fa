#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test file uses a part of it"
)]
//! What the tests share: a store of small native functions, and the driver as a child process.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::contract::protocol::{Message, parse_line};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

/// A store with the demo functions and a few that misbehave; `None`, with a word why, where they
/// cannot be built.
pub fn store(test: &str) -> Option<TempDir> {
    let store = tempfile::tempdir().expect("a directory");
    let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker");
    for demo in ["noop", "park"] {
        let source = docker.join(format!("{demo}.c"));
        if !compile(store.path(), &format!("demo/{demo}"), &source) {
            eprintln!("SKIPPED: {test}: no musl-gcc; install the package musl-tools");
            return None;
        }
    }
    for (id, text) in SOURCES {
        let source = store.path().join("source.c");
        fs::write(&source, text).expect("written");
        assert!(compile(store.path(), id, &source), "{id}");
    }
    Some(store)
}

/// The demo functions as Wasm; `false` where they cannot be built.
pub fn compile_wasm(store: &Path) -> bool {
    let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker");
    ["noop", "park"].iter().all(|demo| {
        let compiler = Command::new("clang-19")
            .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-o"])
            .arg(store.join("demo").join(demo).join("function.wasm"))
            .arg(docker.join(format!("{demo}.c")))
            .stderr(Stdio::null())
            .status();
        compiler.is_ok_and(|status| status.success())
    })
}

fn compile(store: &Path, id: &str, source: &Path) -> bool {
    let directory = store.join(id);
    fs::create_dir_all(&directory).expect("made");
    let compiler = Command::new("musl-gcc")
        .args(["-static", "-O2", "-o"])
        .arg(directory.join("native"))
        .arg(source)
        .status();
    match compiler {
        Ok(status) => {
            assert!(status.success(), "musl-gcc fails on {id}");
            true
        }
        Err(_) => false,
    }
}

fn command(store: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_process-driver"));
    command.arg("--store").arg(store).args(arguments);
    command
}

/// The driver, run to its end.
pub fn run(store: &Path, arguments: &[&str]) -> Output {
    command(store, arguments).output().expect("the driver")
}

/// Its standard output, line by line.
pub fn messages(output: &Output) -> Vec<Message> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| parse_line(line).expect("a protocol line"))
        .collect()
}

/// The driver, running.
pub struct Running {
    pub child: Child,
    pub input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(store: &Path, arguments: &[&str]) -> Self {
        let mut child = command(store, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self {
            child,
            input,
            output,
        }
    }

    /// The next message; `None` at the end.
    pub fn next(&mut self) -> Option<Message> {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).expect("a line");
        (length > 0).then(|| parse_line(line.trim()).expect("a protocol line"))
    }

    /// The first message that `wanted` accepts.
    pub fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        while let Some(message) = self.next() {
            if wanted(&message) {
                return message;
            }
        }
        panic!("the driver ended early");
    }

    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open input");
        writeln!(input, "{line}").expect("said");
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("sent");
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Its exit code, once it has ended; what it still says is read meanwhile.
    pub fn code(&mut self) -> Option<i32> {
        while self.next().is_some() {}
        self.child.wait().expect("ended").code()
    }

    /// Living children of the driver.
    pub fn children(&self) -> Vec<i32> {
        let mut found = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid())).expect("tasks") {
            let path = task.expect("a task").path().join("children");
            // A task that ended meanwhile has none.
            let text = fs::read_to_string(path).unwrap_or_default();
            found.extend(
                text.split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            );
        }
        found
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already in a test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether process `pid` still runs (a zombie does not).
pub fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        state.is_some_and(|rest| !rest.starts_with('Z') && !rest.starts_with('X'))
    })
}
