//! Starting the tool, and looking at what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use driver_testkit::children;
use measure_core::base::exit::Exit;
use measure_core::contract::run_dir::read_samples;
use measure_core::contract::sample::Sample;
use tempfile::TempDir;

static HOST: Mutex<()> = Mutex::new(());
/// How long to wait for another run on this host to end.
const BUSY_LIMIT: Duration = Duration::from_secs(300);

/// Keeps the tests of this file apart.
pub fn host() -> MutexGuard<'static, ()> {
    HOST.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the tool to its end; waits while someone else measures on this host.
pub fn run(arguments: &[&str]) -> Output {
    run_by(|| {
        let mut tool = tool();
        tool.args(arguments);
        tool
    })
}

/// The same by what `command` makes.
pub fn run_by(command: impl Fn() -> Command) -> Output {
    let until = Instant::now() + BUSY_LIMIT;
    loop {
        let output = command().output().expect("the tool starts");
        if code(&output) != Exit::Busy as i32 || Instant::now() > until {
            return output;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that the tool ended with `exit`.
#[track_caller]
pub fn ended(output: &Output, exit: Exit) {
    assert_eq!(code(output), exit as i32, "{output:?}");
}

/// Checks that `words` are among what it said on standard error.
#[track_caller]
pub fn says(output: &Output, words: &str) {
    let said = stderr(output);
    assert!(said.contains(words), "no `{words}`: {said}");
}

/// Checks that `words` are among what it printed on standard output.
#[track_caller]
pub fn prints(output: &Output, words: &str) {
    let printed = stdout(output);
    assert!(printed.contains(words), "no `{words}`: {printed}");
}

/// Whether it made no run because another one is under way; says so if it did not.
pub fn is_busy(test: &str, output: &Output) -> bool {
    let busy = code(output) == Exit::Busy as i32;
    if busy {
        eprintln!("SKIPPED: {test}: another run is under way on this host");
    }
    busy
}

/// Where a test of this file has a run made, apart from all others.
pub struct Place {
    pub dir: TempDir,
    /// The run's directory, which is not there yet.
    pub out: PathBuf,
    _host: MutexGuard<'static, ()>,
}

impl Place {
    pub fn new() -> Self {
        let host = host();
        let dir = tempfile::tempdir().expect("a directory");
        Self {
            out: dir.path().join("run"),
            dir,
            _host: host,
        }
    }

    /// If `rung` can run; says so if not.
    pub fn for_rung(test: &str, driver: &str, rung: &str) -> Option<Self> {
        can_run(test, driver, rung).then(Self::new)
    }

    pub fn out_text(&self) -> &str {
        self.out.to_str().expect("a path")
    }
}

/// Whether the driver of `rung` is built and the rung can run; says so if not.
pub fn can_run(test: &str, driver: &str, rung: &str) -> bool {
    let path = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name(driver);
    let ready = Command::new(&path)
        .args(["info", "--json", "--rung", rung])
        .output();
    let why = match ready {
        Ok(output) if stdout(&output).contains(r#""probe":"ready""#) => return true,
        Ok(output) => stdout(&output),
        Err(error) => format!("{}: {error}, build it", path.display()),
    };
    eprintln!("SKIPPED: {test}: {rung} cannot run: {why}");
    false
}

/// A run that makes `thread` starts until it is stopped.
pub fn long_run(output: &Path) -> Running {
    let until = Instant::now() + BUSY_LIMIT;
    loop {
        let mut child = tool()
            .args([
                "time",
                "--rungs",
                "thread,thread-pooled",
                "--iterations",
                "500",
                "--repetitions",
                "1000",
            ])
            .arg("--output")
            .arg(output)
            .spawn()
            .expect("the tool starts");
        if wait_until(Duration::from_secs(60), || {
            child.try_wait().is_ok_and(|s| s.is_some()) || has_starts(output)
        }) && child.try_wait().is_ok_and(|s| s.is_none())
        {
            return Running(child);
        }
        let _ = child.kill();
        let output = child.wait_with_output().expect("an end");
        let busy = code(&output) == Exit::Busy as i32 && Instant::now() < until;
        assert!(busy, "no start was made: {}", stderr(&output));
        thread::sleep(Duration::from_secs(1));
    }
}

fn has_starts(output: &Path) -> bool {
    fs::read_to_string(output.join("samples.jsonl"))
        .is_ok_and(|text| text.contains(r#""measure":"back-to-back""#))
}

/// A child that does not outlive its test.
pub struct Running(pub Child);

impl Running {
    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal)
            .expect("a living process");
    }

    /// Its drivers' processes.
    pub fn drivers(&self) -> Vec<i32> {
        children(self.pid())
    }

    pub fn end(mut self) -> Output {
        let child = std::mem::replace(
            &mut self.0,
            Command::new("true").spawn().expect("a process"),
        );
        child.wait_with_output().expect("an end")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn wait_until(limit: Duration, done: impl FnMut() -> bool) -> bool {
    let mut done = done;
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if done() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

pub fn samples(dir: &Path) -> Vec<Sample> {
    read_samples(dir).expect("readable samples").samples
}
