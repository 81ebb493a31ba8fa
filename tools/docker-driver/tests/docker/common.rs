//! What the tests share: a store with functions of the real sources, the driver on it, and the processes of
//! its engine.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use driver_testkit::{Running, functions, left, skipped};
use measure_core::contract::Scope;
use measure_core::contract::protocol::Message;
use nix::fcntl::{Flock, FlockArg};
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
    for name in ["noop", "park"] {
        let text = fs::read_to_string(functions::demo_source(name)).unwrap();
        compile(home, name, &text);
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
    let compiled = functions::compile_native(&fresh, &dir.join("native"));
    assert!(compiled, "{}", functions::NO_MUSL);
    fs::rename(fresh, source).unwrap();
}

/// Whether this host can run an engine; says so, once per test, if not.
pub fn can_run(test: &str) -> bool {
    let output = driver(&["info", "--json", "--rung", "docker-none"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if text.contains(r#""unavailable""#) {
        skipped(test, text);
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

pub fn start(arguments: &[&str]) -> Running {
    Running::start(driver(arguments))
}

/// Nothing of the driver is left, and the host's mounts and network are as they were.
pub fn assert_clean(pid: i32) {
    assert_eq!(left::behind(pid), Vec::<String>::new());
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
