//! What the tests share: a store with functions of the real sources, the driver on it, and the processes of
//! its engine.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use driver_testkit::{Ended, Running, functions, left, run, skipped};
use measure_core::contract::Scope;
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

/// A turn with an engine: one of a test program at a time. `None`, with a word why, where this host can run none.
pub fn turn() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    static INFO: OnceLock<String> = OnceLock::new();
    let info = INFO.get_or_init(|| run(driver("info --json --rung docker-none")).stdout);
    if info.contains(r#""unavailable""#) {
        skipped("the docker rungs", info);
        return None;
    }
    Some(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

pub fn driver(words: &str) -> Command {
    driver_at(home(), words)
}

pub fn driver_at(home: &Path, words: &str) -> Command {
    let mut command = Command::new(DRIVER);
    command
        .args(words.split_whitespace())
        .env("FAASM_BENCH_HOME", home);
    command
}

pub fn start(words: &str) -> Running {
    Running::start(driver(words))
}

/// The driver, run to its end, which comes with `code` and leaves nothing.
#[track_caller]
pub fn ends(words: &str, code: i32) -> Ended {
    ends_at(home(), words, code)
}

#[track_caller]
pub fn ends_at(home: &Path, words: &str, code: i32) -> Ended {
    ended_with(run(driver_at(home, words)), code)
}

/// `ended`, which came with `code` and left nothing, nor changed the host's mounts.
#[track_caller]
pub fn ended_with(ended: Ended, code: i32) -> Ended {
    ended.expect(code);
    assert_clean(ended.pid);
    ended
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

/// The engine's daemon, from outside of its namespaces.
pub fn daemon(scope: &Scope) -> Pid {
    let found = processes_named(&scope.cgroups["memory"], "dockerd");
    assert_eq!(found.len(), 1);
    Pid::from_raw(found[0])
}
