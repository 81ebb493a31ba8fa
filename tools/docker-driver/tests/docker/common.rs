//! What the tests share: a store with functions of the real sources, the driver as a child, and the
//! search for what it might have left behind.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::contract::Scope;
use measure_core::contract::protocol::{Message, StartSample, parse_line};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const DRIVER: &str = env!("CARGO_BIN_EXE_docker-driver");

/// Functions beyond the demos: one that fails, and one that neither ends nor can be released.
const EXTRA: [(&str, &str); 2] = [
    ("fail", "int main(void) { return 3; }\n"),
    (
        "forever",
        "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n",
    ),
];

/// A home with a store of static natives, made once for all test programs.
pub fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docker-home");
        fs::create_dir_all(&home).unwrap();
        let lock = File::create(home.join("lock")).unwrap();
        let _lock = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|e| e.1)
            .unwrap();
        make_store(&home);
        home
    })
}

pub fn make_store(home: &Path) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker");
    for name in ["noop", "park"] {
        compile(
            home,
            name,
            &fs::read_to_string(sources.join(format!("{name}.c"))).unwrap(),
        );
    }
    for (name, text) in EXTRA {
        compile(home, name, text);
    }
}

/// Compiles unless the very source has been compiled there.
pub fn compile(home: &Path, name: &str, text: &str) {
    let dir = home.join("store/demo").join(name);
    fs::create_dir_all(&dir).unwrap();
    let source = dir.join("source.c");
    if dir.join("native").exists() && fs::read_to_string(&source).is_ok_and(|old| old == text) {
        return;
    }
    let fresh = dir.join("fresh.c");
    fs::write(&fresh, text).unwrap();
    let done = Command::new("musl-gcc")
        .args(["-static", "-O2", "-o"])
        .arg(dir.join("native"))
        .arg(&fresh)
        .status()
        .expect("musl-gcc (apt-get install musl-tools)");
    assert!(done.success());
    fs::rename(fresh, source).unwrap();
}

/// Whether this host can run an engine; says so, once per test, if not.
pub fn can_run(test: &str) -> bool {
    let output = driver(&["info", "--json", "--rung", "docker-none"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if text.contains(r#""unavailable""#) {
        eprintln!("SKIPPED: {test}: {text}");
        return false;
    }
    true
}

/// At most this many engines of a test program at once: enough to find races, few enough for two cores.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn driver(arguments: &[&str]) -> Command {
    driver_at(home(), arguments)
}

pub fn driver_at(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(DRIVER);
    command
        .args(arguments)
        .env("FAASM_BENCH_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A run that ended: its lines, what it said on standard error, and how it ended.
pub struct Ended {
    pub pid: i32,
    pub lines: Vec<Message>,
    pub stderr: String,
    pub status: ExitStatus,
}

impl Ended {
    pub fn samples(&self) -> Vec<&StartSample> {
        self.lines
            .iter()
            .filter_map(|line| match line {
                Message::Sample(sample) => Some(sample),
                _ => None,
            })
            .collect()
    }

    pub fn scope(&self) -> &Scope {
        self.lines
            .iter()
            .find_map(|line| match line {
                Message::Scope { scope, .. } => Some(scope),
                _ => None,
            })
            .expect("a scope")
    }

    /// The exit code; the whole run is shown if it is not as expected.
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "lines: {:?}\nstderr: {}",
            self.lines,
            self.stderr
        );
        self
    }
}

/// A running driver.
pub struct Running {
    pub child: Child,
    pub input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub lines: Vec<Message>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            lines: Vec::new(),
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    fn read(&mut self) -> Option<Message> {
        let mut line = String::new();
        (self.output.read_line(&mut line).unwrap() > 0)
            .then(|| parse_line(line.trim_end()).unwrap())
    }

    /// Reads lines until one is `wanted`; returns it.
    pub fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        while let Some(message) = self.read() {
            self.lines.push(message.clone());
            if wanted(&message) {
                return message;
            }
        }
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        panic!("the driver ended early: {:?}\n{stderr}", self.lines);
    }

    pub fn scope(&mut self) -> Scope {
        match self.until(|line| matches!(line, Message::Scope { .. })) {
            Message::Scope { scope, .. } => scope,
            other => panic!("{other:?}"),
        }
    }

    pub fn go(&mut self) {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    pub fn end(mut self) -> Ended {
        self.input = None;
        while let Some(message) = self.read() {
            self.lines.push(message);
        }
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        Ended {
            pid: self.pid(),
            status: self.child.wait().unwrap(),
            lines: self.lines,
            stderr,
        }
    }
}

pub fn run(command: Command) -> Ended {
    let mut running = Running::start(command);
    running.input = None;
    running.end()
}

/// What is left of the driver that had process id `pid`: processes in its groups, and the groups.
pub fn left_over(pid: i32) -> Vec<String> {
    let mark = format!("faasm-bench.{pid}.");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        if groups.contains(&mark) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(format!("process {:?} {}", entry.file_name(), name.trim()));
        }
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        for group in fs::read_dir(hierarchy.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            if group.file_name().to_string_lossy().starts_with(&mark) {
                found.push(format!("cgroup {}", group.path().display()));
            }
        }
    }
    found
}

/// Nothing of the driver is left, and the host's mounts and network are as they were.
pub fn assert_clean(pid: i32) {
    assert_eq!(left_over(pid), Vec::<String>::new());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ours: Vec<&str> = mounts
        .lines()
        .filter(|line| line.contains("faasm-bench/engine-"))
        .collect();
    assert_eq!(
        ours,
        Vec::<&str>::new(),
        "mounts of an engine in the host's namespace"
    );
}

/// Processes of the name `name` in or below the cgroup `dir`.
pub fn processes_named(dir: &Path, name: &str) -> Vec<i32> {
    let mut pids = docker_driver::engine::cgroups::processes(dir);
    pids.retain(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    });
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            pids.extend(processes_named(&entry.path(), name));
        }
    }
    pids
}

/// Waits until `done`, for at most ten seconds.
pub fn wait_for(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(
            Instant::now() < deadline,
            "{what} did not come to pass in 10 s"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// The word of `text` that begins with `prefix`.
pub fn word<'a>(text: &'a str, prefix: &str) -> &'a str {
    let at = text.find(prefix).expect(prefix);
    let end = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
    text[at..].split(end).next().unwrap().trim_end_matches(':')
}

/// Makes the child a user without rights.
pub fn as_nobody(command: &mut Command) -> &mut Command {
    command.uid(65534).gid(65534)
}

pub fn is_sample(line: &Message) -> bool {
    matches!(line, Message::Sample(_))
}

/// The engine's daemon, from outside of its namespaces.
pub fn daemon(scope: &Scope) -> Pid {
    let found = processes_named(&scope.cgroups["memory"], "dockerd");
    assert_eq!(found.len(), 1);
    Pid::from_raw(found[0])
}
