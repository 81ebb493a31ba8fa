//! A throw-away home, and the tool at work in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use driver_testkit::functions::{NO_WASI, compile_wasm, demo_source};
use driver_testkit::skipped;
use measure_core::base::exit::Exit;
use measure_core::base::home;

/// Two engines at once, or two runs that measure, would wait for one another.
static HOST: Mutex<()> = Mutex::new(());
const BUSY_LIMIT: Duration = Duration::from_secs(300);

/// A home with the demo functions that drivers try rungs with, the engines that are installed in the real one, and scratch space.
pub struct Home {
    dir: tempfile::TempDir,
    /// The real home, in which what this user of the store has is removed at the end.
    real_user: Option<String>,
    _turn: MutexGuard<'static, ()>,
}

/// One rung of each kind that has a limit of its own for what a function may take.
pub const ONE_OF_EACH: [(&str, &str); 4] = [
    ("process-driver", "process"),
    ("process-driver", "runc"),
    ("faasm-driver", "faaslet"),
    ("docker-driver", "docker-none"),
];
/// A rung of either side that costs little.
pub const LIGHT: [(&str, &str); 2] = [("process-driver", "process"), ("faasm-driver", "wasm")];

impl Home {
    /// As [`Home::make`], where the compilers of both sides are here; says so if not.
    pub fn with_compilers(test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        if compile_wasm(&demo_source("noop"), &dir.path().join("noop.wasm")) {
            return Some(Self::make());
        }
        skipped(test, NO_WASI);
        None
    }

    /// One that nothing was brought to.
    pub fn make() -> Self {
        let turn = HOST.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().expect("a directory");
        let real = home::root();
        for function in ["noop", "park"] {
            let to = dir.path().join("home/store/demo").join(function);
            fs::create_dir_all(&to).expect("made");
            for file in ["native", "function.wasm"] {
                // What is not built is said by the rung that needs it.
                let _ = fs::copy(
                    real.join("store/demo").join(function).join(file),
                    to.join(file),
                );
            }
        }
        // Where engines are installed that no system package brings.
        if let Ok(programs) = real.join("bin").canonicalize() {
            symlink(programs, dir.path().join("home/bin")).expect("made");
        }
        Self {
            dir,
            real_user: None,
            _turn: turn,
        }
    }

    /// The real one, which has CPython, for functions of a user that nobody else is.
    pub fn with_python() -> Self {
        let mut home = Self::make();
        home.real_user = Some(format!("test-{}", std::process::id()));
        home
    }

    pub fn root(&self) -> PathBuf {
        match self.real_user {
            Some(_) => home::root(),
            None => self.dir.path().join("home"),
        }
    }

    /// The user of the store whose functions are this test's.
    pub fn user(&self) -> &str {
        self.real_user.as_deref().unwrap_or("mine")
    }

    /// Where the function `id` lies.
    pub fn function(&self, id: &str) -> PathBuf {
        self.root().join("store").join(id)
    }

    /// A place for sources.
    pub fn place(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        path
    }

    /// Writes a source.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.place(name);
        fs::write(&path, text).expect("written");
        path
    }

    pub fn tool(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        command
            .env(home::HOME_VARIABLE, self.root())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the tool to its end; waits while someone else measures on this host.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let until = Instant::now() + BUSY_LIMIT;
        loop {
            let output = self
                .tool()
                .args(arguments)
                .output()
                .expect("the tool starts");
            if output.status.code() != Some(Exit::Busy as i32) || Instant::now() > until {
                return Said::from(output);
            }
            thread::sleep(Duration::from_secs(1));
        }
    }

    /// `time` of the function `id` on `rungs`, in one process of each with one isolated start and a batch of `iterations`; and the lines of its
    /// samples, if there are any.
    pub fn time(&self, id: &str, rungs: &str, iterations: u32) -> (Said, Vec<String>) {
        let (to, iterations) = (self.place("results"), iterations.to_string());
        let to = to.to_string_lossy();
        let line = [
            "time",
            "--function",
            id,
            "--rungs",
            rungs,
            "--iterations",
            &iterations,
            "--isolated",
            "1",
            "--repetitions",
            "1",
            "--workers",
            "1",
            "--output",
            &to,
        ];
        let said = self.run(&line);
        let samples = fs::read_to_string(self.place("results/samples.jsonl")).unwrap_or_default();
        (said, samples.lines().map(str::to_owned).collect())
    }

    /// What lies in the home beside the store: nothing that `add` should have removed.
    pub fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).expect("readable").flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with("faasm-bench."))
            .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(user) = &self.real_user {
            // None may have been brought.
            let _ = fs::remove_dir_all(home::root().join("store").join(user));
        }
    }
}

/// What the tool said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    #[track_caller]
    pub fn expect(self, code: Exit) -> Self {
        assert_eq!(self.code, code as i32, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Whether `words` are among what it said.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert!(all.contains(words), "no `{words}` in:\n{all}");
        self
    }

    /// The row of `rung` in the table.
    pub fn row(&self, rung: &str) -> String {
        let begins = |line: &&str| line.split_whitespace().next() == Some(rung);
        let row = self.stdout.lines().find(begins);
        row.unwrap_or_else(|| panic!("no row {rung} in:\n{}", self.stdout))
            .to_owned()
    }

    /// That the row of `rung` is ready and shows `words`.
    #[track_caller]
    pub fn ready(&self, rung: &str, words: &str) {
        let row = self.row(rung);
        assert!(
            row.contains("ready") && row.contains(words),
            "{row}\n{}",
            self.stderr
        );
    }
}

/// Those of `rungs` that can run here; says of the others that they cannot.
pub fn rungs_here<'a>(test: &str, home: &Home, rungs: &[(&str, &'a str)]) -> Vec<&'a str> {
    let can = |driver: &str, rung: &str| {
        let path = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name(driver);
        let said = Command::new(path)
            .env(home::HOME_VARIABLE, home.root())
            .args(["info", "--json", "--rung", rung])
            .output();
        let ready = said.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).contains(r#""probe":"ready""#)
        });
        if !ready {
            skipped(test, format!("{rung} cannot run here"));
        }
        ready
    };
    let here = rungs.iter().filter(|(driver, rung)| can(driver, rung));
    here.map(|(_, rung)| *rung).collect()
}
