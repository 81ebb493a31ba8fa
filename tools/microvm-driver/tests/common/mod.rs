//! What the tests share: the servers that speak Firecracker's API, and the driver as a child process.

#![expect(dead_code, reason = "each test program uses its own part of this")]

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_testkit::{Ended, Running, alive, skipped};
use measure_core::base::label;
use measure_core::contract::protocol::Message;
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

    /// The real Firecracker, where `$FIRECRACKER` or PATH has one that can run a guest here.
    pub fn real() -> Option<Self> {
        let named = env::var_os("FIRECRACKER").filter(|v| !v.is_empty());
        let on_path = env::var_os("PATH").into_iter().flat_map(|path| {
            let directories: Vec<_> = env::split_paths(&path).collect();
            directories.into_iter().map(|d| d.join("firecracker"))
        });
        let path = named.map(PathBuf::from).into_iter().chain(on_path);
        let path = path.into_iter().find(|path| path.is_file())?;
        let output = Command::new(DRIVER)
            .args(["info", "--rung", "firecracker", "--firecracker"])
            .arg(&path)
            .output()
            .expect("the driver");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !text.lines().any(|line| line.trim() == "ready") {
            skipped(format!("the tests against {}", path.display()), text);
            return None;
        }
        let version = Command::new(&path).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version.lines().next().unwrap_or_default().to_lowercase();
        Some(Self {
            name: format!("real {version}"),
            path,
            is_real: true,
            directory: tempfile::tempdir().expect("a directory"),
        })
    }

    /// All there are, with a line that says which.
    pub fn all() -> Vec<Self> {
        let servers: Vec<_> = [Some(Self::double()), Self::real()]
            .into_iter()
            .flatten()
            .collect();
        for server in &servers {
            eprintln!("CONFORMANCE: {}", server.name);
        }
        servers
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
    pub fn processes(&self, pid: i32) -> Vec<i32> {
        let programs = self.path.with_file_name("");
        let mark = label::name(pid, "");
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

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(DRIVER);
    command.args(arguments).env_remove("FIRECRACKER");
    command
}

/// The driver, run to its end.
pub fn run(arguments: &[&str]) -> Ended {
    driver_testkit::run(command(arguments))
}

/// The driver, running.
pub fn start(arguments: &[&str]) -> Running {
    Running::start(command(arguments))
}

/// Checks that all starts went well, with these phases, which sum to the total.
pub fn check(ended: &Ended, starts: usize, names: &[&str]) {
    ended.expect(0);
    assert_eq!(ended.messages().last(), Some(&Message::Ended));
    let samples = ended.samples();
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
    let text = output.stdout;
    let ready = text.lines().any(|line| line.trim() == "ready");
    (!ready).then(|| text.lines().last().unwrap_or_default().trim().to_owned())
}

/// `arguments` for the driver, with `server` for its Firecracker.
pub fn with<'a>(server: &'a Server, arguments: &[&'a str]) -> Vec<&'a str> {
    let path = server.path.to_str().expect("a path");
    [&["--firecracker", path], arguments].concat()
}
