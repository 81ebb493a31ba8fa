//! What the tests share: the servers that speak Firecracker's API, and the driver as a child process.

#![expect(dead_code, reason = "each test program uses its own part of this")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::home;
use measure_core::contract::protocol::{BatchEnd, Message, StartSample, parse_line};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const DRIVER: &str = env!("CARGO_BIN_EXE_microvm-driver");
const DOUBLE: &str = env!("CARGO_BIN_EXE_firecracker-double");

/// Who answers.
pub struct Server {
    /// For messages.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Runs real guests.
    pub is_real: bool,
    directory: TempDir,
}

impl Server {
    /// The in-repo server, under a name of this test's own.
    pub fn double() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("firecracker");
        for name in ["firecracker", "jailer"] {
            symlink(DOUBLE, directory.path().join(name)).expect("a link");
        }
        Self {
            name: "in-repo server".into(),
            path,
            is_real: false,
            directory,
        }
    }

    /// The real Firecracker, where `$FIRECRACKER` or PATH has one that can run a guest here; else says why `test`
    /// goes without.
    pub fn real(test: &str) -> Option<Self> {
        Self::find_real()
            .inspect_err(|why| eprintln!("SKIPPED: {test}: real Firecracker: {why}"))
            .ok()
    }

    fn find_real() -> Result<Self, String> {
        let named = env::var_os("FIRECRACKER").filter(|v| !v.is_empty());
        let on_path = env::var_os("PATH").into_iter().flat_map(|path| {
            let directories: Vec<_> = env::split_paths(&path).collect();
            directories.into_iter().map(|d| d.join("firecracker"))
        });
        let path = named.map(PathBuf::from).into_iter().chain(on_path);
        let path = path.into_iter().find(|path| path.is_file());
        let path = path.ok_or("none in $FIRECRACKER or on PATH, see ansible/firecracker.yml")?;
        let argument = path.to_str().ok_or("its path is no text")?;
        if let Some(why) = unavailable("firecracker", &["--firecracker", argument]) {
            return Err(format!("{argument}: {why}"));
        }
        let version = Command::new(&path).arg("--version").output();
        let version = version.map_err(|e| format!("{argument}: {e}"))?;
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version.lines().next().unwrap_or_default().to_lowercase();
        Ok(Self {
            name: format!("real {version}"),
            path,
            is_real: true,
            directory: tempfile::tempdir().expect("a directory"),
        })
    }

    /// A directory of this server's own.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the in-repo server misbehave from its next start on.
    pub fn misbehave(&self, how: &str) {
        assert!(!self.is_real);
        fs::write(self.directory().join("behaviour"), how).expect("written");
    }

    /// Processes that run this server, or its jailer, for the driver `pid`.
    pub fn processes(&self, pid: Pid) -> Vec<i32> {
        let programs = self.path.with_file_name("");
        let mark = format!("faasm-bench.{pid}.");
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(id) = entry.file_name().to_string_lossy().parse::<i32>() else {
                continue;
            };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            if line.starts_with(&*programs.to_string_lossy()) && line.contains(&mark) && alive(id) {
                found.push(id);
            }
        }
        found
    }
}

/// Writes the shell script `text` to `path`. Another process does: while this one has a file open for writing, it
/// cannot be executed, and any thread that starts a process meanwhile passes it on.
pub fn write_script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    let status = Command::new("sh")
        .args([
            "-c",
            "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod 755 \"$2\"",
            "sh",
            text,
        ])
        .arg(path)
        .status();
    assert!(status.is_ok_and(|s| s.success()), "{}", path.display());
}

/// The children of process `pid` that run.
pub fn children(pid: Pid) -> Vec<i32> {
    let is_child = |id: &i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parent == Some(&*pid.to_string()) && alive(*id)
    };
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(is_child).collect()
}

/// Directories of the driver `pid`.
pub fn directories(pid: Pid) -> Vec<PathBuf> {
    let mark = format!("faasm-bench.{pid}.");
    [home::state(), home::runtime()]
        .iter()
        .flat_map(|parent| fs::read_dir(parent).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(&mark))
        })
        .collect()
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(DRIVER);
    command.args(arguments).env_remove("FIRECRACKER");
    command
}

/// The driver, run to its end.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the driver")
}

pub fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by itself")
}

pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Its standard output, line by line.
pub fn messages(output: &Output) -> Vec<Message> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| parse_line(line).expect("a protocol line"))
        .collect()
}

pub fn samples(messages: &[Message]) -> Vec<&StartSample> {
    let mut found = Vec::new();
    for message in messages {
        if let Message::Sample(sample) = message {
            found.push(sample);
        }
    }
    found
}

pub fn batch(messages: &[Message]) -> &BatchEnd {
    for message in messages {
        if let Message::Batch(batch) = message {
            return batch;
        }
    }
    panic!("no batch in {messages:?}")
}

/// Checks that all starts went well, with these phases, which sum to the total.
pub fn check(output: &Output, starts: usize, names: &[&str]) {
    assert_eq!(code(output), 0, "{}", errors(output));
    let said = messages(output);
    assert_eq!(said.last(), Some(&Message::Ended));
    let samples = samples(&said);
    assert_eq!(samples.len(), starts);
    for sample in samples {
        assert_eq!(sample.error, None);
        let found: Vec<_> = sample.phases.iter().map(|p| p.0.as_str()).collect();
        assert_eq!(found, names);
        let sum: u64 = sample.phases.iter().map(|p| p.1).sum();
        assert_eq!(sum, sample.total_ns);
    }
}

/// Why `rung` cannot run here with `arguments` before the command; `None` if it can.
pub fn unavailable(rung: &str, arguments: &[&str]) -> Option<String> {
    let output = run(&[arguments, &["info", "--rung", rung]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ready = text.lines().any(|line| line.trim() == "ready");
    (!ready).then(|| text.lines().last().unwrap_or_default().trim().to_owned())
}

/// The driver, running.
pub struct Running {
    pub child: Child,
    pub input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments)
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
        let mut last = None;
        while let Some(message) = self.next() {
            if wanted(&message) {
                return message;
            }
            last = Some(message);
        }
        panic!("the driver ended early: {last:?}");
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
        self.rest().0
    }

    /// Its exit code and what it still says.
    pub fn rest(&mut self) -> (Option<i32>, Vec<Message>) {
        let said: Vec<_> = std::iter::from_fn(|| self.next()).collect();
        (self.child.wait().expect("ended").code(), said)
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
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
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

/// `arguments` for the driver, with `server` for its Firecracker.
pub fn with<'a>(server: &'a Server, arguments: &[&'a str]) -> Vec<&'a str> {
    let path = server.path.to_str().expect("a path");
    [&["--firecracker", path], arguments].concat()
}
