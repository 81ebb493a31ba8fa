//! A store in a temporary directory and the driver on it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use measure_core::contract::protocol::{BatchEnd, Message, StartSample, parse_line};
use tempfile::TempDir;

/// Everything that a test waits for has happened by then, on however slow a host.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bench {
    pub home: TempDir,
}

/// What one run of the driver did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
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

    pub fn upload(&self, name: &str, bytes: &[u8]) -> Ran {
        let file = self.home.path().join("upload.wasm");
        fs::write(&file, bytes).expect("a file");
        self.run(&["upload", "demo", name, file.to_str().expect("a path")])
    }

    pub fn function_dir(&self, name: &str) -> PathBuf {
        self.home.path().join("store/demo").join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faasm-driver"));
        command
            .env("FAASM_BENCH_HOME", self.home.path())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("the driver").into()
    }

    pub fn spawn(&self, args: &[&str]) -> Running {
        spawn(self.command(args))
    }
}

/// A driver at work, its standard input held open.
pub fn spawn(mut command: Command) -> Running {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the driver");
    let lines = BufReader::new(child.stdout.take().expect("standard output"));
    Running { child, lines }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    pub fn messages(&self) -> Vec<Message> {
        self.stdout
            .lines()
            .map(|line| parse_line(line).expect("a protocol line"))
            .collect()
    }

    pub fn samples(&self) -> Vec<StartSample> {
        let sample = |message| match message {
            Message::Sample(sample) => Some(sample),
            _ => None,
        };
        self.messages().into_iter().filter_map(sample).collect()
    }

    pub fn batch(&self) -> BatchEnd {
        let batch = |message| match message {
            Message::Batch(batch) => Some(batch),
            _ => None,
        };
        self.messages()
            .into_iter()
            .find_map(batch)
            .expect("a batch")
    }
}

/// A driver at work.
pub struct Running {
    pub child: Child,
    pub lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id().try_into().expect("a process id")
    }

    /// Reads lines until one is as wanted.
    pub fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let mut line = String::new();
            let n = self.lines.read_line(&mut line).expect("a line");
            assert!(n > 0, "the driver ended early");
            let message = parse_line(line.trim()).expect("a protocol line");
            if wanted(&message) {
                return message;
            }
        }
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("a signal");
    }

    /// Its exit code; `None` if a signal killed it. Drains its output so that it cannot block.
    pub fn end(mut self) -> (Option<i32>, Vec<Message>) {
        drop(self.child.stdin.take());
        let begun = Instant::now();
        let rest = self
            .lines
            .lines()
            .map_while(Result::ok)
            .map(|line| parse_line(&line).expect("a protocol line"))
            .collect();
        let status = self.child.wait().expect("an end");
        assert!(begun.elapsed() < PATIENCE, "it did not end");
        (status.code(), rest)
    }
}

/// Directories of cgroups that carry the label of process `pid`.
pub fn cgroups_of(pid: i32) -> Vec<PathBuf> {
    let label = format!("faasm-bench.{pid}.");
    let mut found = Vec::new();
    let mut look = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = look.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten().filter(|e| e.path().is_dir()) {
            if entry.file_name().to_string_lossy().starts_with(&label) {
                found.push(entry.path());
            } else if dir.components().count() < 6 {
                look.push(entry.path());
            }
        }
    }
    found
}

/// The rungs that this host can run.
pub fn ready_rungs(test: &str) -> Vec<String> {
    let ran = Bench::new().run(&["info", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ready = |message| match message {
        Message::Rung {
            description,
            probe: measure_core::contract::Probe::Ready,
        } => Some(description.rung),
        Message::Rung { description, probe } => {
            eprintln!("SKIPPED: {test} on {}: {probe:?}", description.rung);
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
