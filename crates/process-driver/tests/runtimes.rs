//! Command-line runtimes, on the real ones of this host and on some that misbehave.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::{Running, alive, compile_wasm, eventually, messages, run, store};
use measure_core::cgroup::MountedHierarchy;
use measure_core::driver::Probe;
use measure_core::driver::protocol::{BatchEnd, Message, StartSample};
use measure_core::exit::Exit;
use measure_core::{home, label};
use nix::sys::signal::Signal;
use tempfile::TempDir;

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn samples(messages: &[Message]) -> Vec<&StartSample> {
    messages
        .iter()
        .filter_map(|message| match message {
            Message::Sample(sample) => Some(sample),
            _ => None,
        })
        .collect()
}

/// Everything on this host that carries the label of process `pid`.
fn things_of(pid: i32) -> Vec<String> {
    let mut found = Vec::new();
    let mine = |name: &str| label::owner(name) == Some(pid);
    for hierarchy in MountedHierarchy::all().expect("hierarchies") {
        let groups = fs::read_dir(&hierarchy.point)
            .into_iter()
            .flatten()
            .flatten();
        let names = groups.map(|group| group.file_name().to_string_lossy().into_owned());
        found.extend(
            names
                .filter(|name| mine(name))
                .map(|name| format!("cgroup {}", hierarchy.point.join(name).display())),
        );
    }
    for dir in [home::state().join("runtimes"), home::runtime()] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if mine(&entry.file_name().to_string_lossy()) {
                found.push(format!("directory {}", entry.path().display()));
            }
        }
    }
    let label = label::name(pid, "");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&label))
            .map(|line| format!("mount {line}")),
    );
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&[environment, command].concat()).into_owned();
        if text.contains(&label) {
            found.push(format!("process {}: {text}", entry.file_name().display()));
        }
    }
    found
}

/// A user's file with `entries`, `{{` and `}}` not needed.
fn runtimes(entries: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("runtimes.toml");
    fs::write(&path, entries).expect("written");
    (directory, path)
}

fn arguments<'a>(file: &'a Path, rest: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--runtimes", file.to_str().expect("a path")];
    all.extend(rest);
    all
}

/// One that runs the function the first time after it was set up, and then hangs with a child.
const FLAKY: &str = r#"
[[runtime]]
id = "flaky"
command = ["sh", "-c", "mkdir $0/once 2>/dev/null && exec $1; echo stuck >&2; sleep 1000 & sleep 1000", "{state}", "{function}"]
version = []
isolation = {}
timeout_s = 1
"#;

#[test]
fn every_shipped_runtime_starts_and_parks_and_leaves_nothing() {
    let Some(store) = store("shipped runtimes") else {
        return;
    };
    if !compile_wasm(store.path()) {
        eprintln!(
            "SKIPPED: runtimes of Wasm: no clang-19 for wasm32-wasi; install clang-19 lld-19 wasi-libc"
        );
    }
    let output = run(store.path(), &["info", "--json"]);
    let rungs = messages(&output);
    let mut ran = 0;
    for message in rungs.iter().skip(3) {
        let Message::Rung { description, probe } = message else {
            panic!("{message:?}")
        };
        let rung = description.rung.as_str();
        if let Probe::Unavailable { why, mend } = probe {
            eprintln!("SKIPPED: runtime {rung}: {why}; {mend}");
            continue;
        }
        ran += 1;
        let mut timed = Running::start(
            store.path(),
            &["time", "3", "--workers", "2", "--rung", rung],
        );
        let pid = timed.pid().as_raw();
        let mut said = Vec::new();
        while let Some(message) = timed.next() {
            said.push(message);
        }
        assert_eq!(timed.code(), Some(0), "{rung}: {said:?}");
        let samples = samples(&said);
        assert_eq!(samples.len(), 3, "{rung}");
        for sample in samples {
            assert_eq!(sample.error, None, "{rung}");
            let names: Vec<_> = sample.phases.iter().map(|p| p.0.as_str()).collect();
            assert_eq!(names, ["spawn", "run", "reap"], "{rung}");
            assert_eq!(
                sample.phases.iter().map(|p| p.1).sum::<u64>(),
                sample.total_ns
            );
        }
        assert_eq!(things_of(pid), [""; 0], "{rung}");
        let mut held = Running::start(store.path(), &["hold", "2", "--gated", "--rung", rung]);
        let pid = held.pid().as_raw();
        held.until(|m| *m == Message::Ready);
        held.say("");
        held.until(|m| matches!(m, Message::Parked { workers: 2 }));
        held.input = None;
        assert_eq!(held.code(), Some(0), "{rung}");
        assert_eq!(things_of(pid), [""; 0], "{rung}");
    }
    assert!(ran >= 1, "not even `native` runs");
}

#[test]
fn a_start_that_hangs_is_killed_counted_and_shown() {
    let Some(store) = store("hanging runtime") else {
        return;
    };
    let (_directory, file) = runtimes(FLAKY);
    let mut driver = Running::start(
        store.path(),
        &arguments(&file, &["time", "3", "--rung", "flaky"]),
    );
    let pid = driver.pid().as_raw();
    let mut said = Vec::new();
    while let Some(message) = driver.next() {
        said.push(message);
    }
    assert_eq!(driver.code(), Some(Exit::StartFailed as i32));
    let samples = samples(&said);
    assert_eq!(samples.len(), 3);
    assert_eq!(samples[0].error, None);
    for sample in &samples[1..] {
        let error = sample.error.as_deref().expect("an error");
        for words in ["hung", "timeout_s", "with all 3 processes", "stuck"] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
    let batch = said.iter().find_map(|m| match m {
        Message::Batch(batch) => Some(batch),
        _ => None,
    });
    assert_eq!(batch.map(|b| (b.starts, b.failed)), Some((3, 2)));
    assert_eq!(things_of(pid), [""; 0]);
}

#[test]
fn a_container_that_hangs_is_removed() {
    let Some(store) = store("hanging container") else {
        return;
    };
    let probe = run(store.path(), &["info", "--rung", "runc"]);
    if !String::from_utf8_lossy(&probe.stdout).contains("    ready") {
        eprintln!("SKIPPED: hanging container: runc does not run here");
        return;
    }
    let (_directory, file) = runtimes(
        r#"
[[runtime]]
id = "runc-short"
command = ["runc", "--root", "{state}/containers", "run", "--bundle", "{bundle}", "{name}"]
cleanup = [["runc", "--root", "{state}/containers", "delete", "--force", "{name}"]]
isolation = {}
timeout_s = 2
"#,
    );
    let command = [
        "time",
        "1",
        "--rung",
        "runc-short",
        "--function",
        "test/forever",
    ];
    let mut driver = Running::start(store.path(), &arguments(&file, &command));
    let pid = driver.pid().as_raw();
    let sample = driver.until(|m| matches!(m, Message::Sample(_)));
    let Message::Sample(StartSample {
        error: Some(error), ..
    }) = sample
    else {
        panic!("{sample:?}")
    };
    assert!(error.contains("hung"), "{error}");
    assert_eq!(driver.code(), Some(Exit::StartFailed as i32));
    assert_eq!(things_of(pid), [""; 0]);
}

/// One that makes a mount, a socket and a network device at its second start, says so in a file, and hangs.
const MESSY: &str = r#"
[[runtime]]
id = "messy"
command = ["sh", "-c", """
    mkdir $0/once 2>/dev/null && exec $1
    mkdir $0/mount && mount -t tmpfs none $0/mount && echo mount >> MADE
    ip link add fb$$ type veth peer name fbp$$ && echo fb$$ > $0/$2.device && echo fb$$ >> MADE
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) and print "socket\n"; close STDOUT; sleep 1000' $3/socket >> MADE
""", "{state}", "{function}", "{name}", "{run}"]
cleanup = [["sh", "-c", "ip link delete $(cat $0/$1.device)", "{state}", "{name}"]]
version = []
isolation = {}
timeout_s = 5
"#;

#[test]
fn what_a_hanging_start_has_made_is_gone() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: what a hanging start has made: mounting needs root");
        return;
    }
    let Some(store) = store("what a hanging start has made") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let made = directory.path().join("made");
    let entry = MESSY.replace("MADE", made.to_str().expect("a path"));
    let (_directory, file) = runtimes(&entry);
    let time = ["time", "2", "--rung", "messy"];
    let mut driver = Running::start(store.path(), &arguments(&file, &time));
    let pid = driver.pid().as_raw();
    let hung = driver.until(|m| matches!(m, Message::Sample(s) if s.error.is_some()));
    assert!(format!("{hung:?}").contains("hung"), "{hung:?}");
    assert_eq!(driver.code(), Some(Exit::StartFailed as i32));
    assert_eq!(things_of(pid), [""; 0]);
    let made = fs::read_to_string(made).unwrap_or_default();
    for thing in ["mount", "socket", "fb"] {
        if !made.lines().any(|line| line.starts_with(thing)) {
            eprintln!("SKIPPED: that a hanging start's {thing} is gone: it could not be made");
        }
    }
    for device in made.lines().filter(|line| line.starts_with("fb")) {
        let path = Path::new("/sys/class/net").join(device);
        assert!(!path.exists(), "{device} is still there");
    }
}

#[test]
fn a_failing_function_and_a_failing_runtime_are_told_apart_by_what_they_say() {
    let Some(store) = store("failing runtime") else {
        return;
    };
    let output = run(
        store.path(),
        &["time", "1", "--rung", "native", "--function", "test/three"],
    );
    assert_eq!(output.status.code(), Some(Exit::StartFailed as i32));
    assert!(
        errors(&output).contains("exit code 3"),
        "{}",
        errors(&output)
    );
    let (_directory, file) = runtimes(
        r#"
[[runtime]]
id = "broken"
command = ["sh", "-c", "echo no such cgroup >&2; exit 7", "{function}"]
isolation = {}
mend = "mount it"

[[runtime]]
id = "absent"
command = ["no-such-runtime", "{function}"]
isolation = {}
install = "apt-get install no-such-runtime"
"#,
    );
    for (rung, words) in [
        ("broken", ["exit code 7", "no such cgroup", "mount it"]),
        (
            "absent",
            [
                "`no-such-runtime` is not installed",
                "apt-get install",
                "unavailable",
            ],
        ),
    ] {
        let output = run(
            store.path(),
            &arguments(&file, &["time", "1", "--rung", rung]),
        );
        assert_eq!(output.status.code(), Some(Exit::Unavailable as i32));
        for word in words {
            assert!(
                errors(&output).contains(word),
                "{word}: {}",
                errors(&output)
            );
        }
    }
}

#[test]
fn a_wrong_file_is_a_usage_error_that_names_entry_and_field() {
    for (text, words) in [
        (
            "[[runtime]]\nid = 'x'\nisolation = {}\ncommand = ['x', '{bundel}']",
            "did you mean `bundle`?",
        ),
        (
            "[[runtime]]\nid = 'x'\nisolation = {}\ncommand = ['runc', 'run']",
            "runtime `x`: command has no placeholder",
        ),
        (
            "[[runtime]]\nid = 'thread'\nisolation = {}\ncommand = ['{function}']",
            "a rung of its own",
        ),
        ("[[runtimes]]\n", "unknown field `runtimes`"),
        ("no toml", "line 1"),
    ] {
        let (_directory, file) = runtimes(text);
        let output = run(Path::new("/nonexistent"), &arguments(&file, &["info"]));
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{text}");
        assert!(errors(&output).contains(words), "{}", errors(&output));
        assert!(
            errors(&output).contains("runtimes.toml"),
            "{}",
            errors(&output)
        );
    }
    let (_directory, file) = runtimes("");
    let output = run(
        Path::new("/nonexistent"),
        &arguments(&file, &["time", "1", "--rung", "runk"]),
    );
    assert!(
        errors(&output).contains("did you mean `runc`?"),
        "{}",
        errors(&output)
    );
}

#[test]
fn a_signal_ends_a_hanging_start_at_once_and_leaves_nothing() {
    let Some(store) = store("signal and runtime") else {
        return;
    };
    let (_directory, file) = runtimes(&FLAKY.replace("timeout_s = 1", "timeout_s = 600"));
    for (signal, exit) in [
        (Signal::SIGINT, Exit::Interrupted),
        (Signal::SIGTERM, Exit::Terminated),
    ] {
        let mut driver = Running::start(
            store.path(),
            &arguments(&file, &["time", "2", "--rung", "flaky"]),
        );
        let pid = driver.pid().as_raw();
        driver.until(|m| matches!(m, Message::Sample(_)));
        let begun = Instant::now();
        driver.signal(signal);
        assert_eq!(driver.code(), Some(exit as i32));
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "it waited for its time limit"
        );
        assert_eq!(things_of(pid), [""; 0]);
    }
}

#[test]
fn what_a_killed_driver_leaves_is_removed_by_clean() {
    let Some(store) = store("killed driver of a runtime") else {
        return;
    };
    for rung in ["native", "runc", "podman", "systemd-nspawn"] {
        let probe = run(store.path(), &["info", "--rung", rung]);
        if !String::from_utf8_lossy(&probe.stdout).contains("    ready") {
            eprintln!("SKIPPED: killed driver of {rung}: it does not run here");
            continue;
        }
        let mut driver = Running::start(store.path(), &["hold", "2", "--gated", "--rung", rung]);
        let pid = driver.pid().as_raw();
        driver.until(|m| *m == Message::Ready);
        driver.say("");
        driver.until(|m| matches!(m, Message::Parked { .. }));
        let children = driver.children();
        assert!(!children.is_empty(), "{rung}");
        driver.signal(Signal::SIGKILL);
        driver.child.wait().expect("ended");
        eventually("its commands end", || {
            !children.iter().any(|&pid| alive(pid))
        });
        let output = run(store.path(), &["clean"]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert_eq!(things_of(pid), [""; 0], "{rung}");
    }
}

#[test]
fn the_page_on_adding_a_runtime_is_true() {
    let Some(store) = store("docs/adding-a-runtime.md") else {
        return;
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/adding-a-runtime.md");
    let page = fs::read_to_string(page).expect("the page");
    let block = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a block of TOML on the page");
    assert!(block.lines().count() <= 10, "the page promises ten lines");
    let id = block
        .lines()
        .find_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'))
        .expect("an id");
    let (directory, file) = runtimes(block);
    // As the page says: in the configuration directory, and then by the variable.
    let configured = directory.path().join("faasm-bench");
    fs::create_dir(&configured).expect("made");
    fs::copy(&file, configured.join("runtimes.toml")).expect("copied");
    for (variable, value) in [
        ("XDG_CONFIG_HOME", directory.path()),
        ("FAASM_BENCH_RUNTIMES", file.as_path()),
    ] {
        let driver = |arguments: &[&str]| {
            Command::new(env!("CARGO_BIN_EXE_process-driver"))
                .arg("--store")
                .arg(store.path())
                .args(arguments)
                .env(variable, value)
                .output()
                .expect("the driver")
        };
        let info = driver(&["info", "--rung", id]);
        let text = String::from_utf8_lossy(&info.stdout).into_owned();
        if text.contains("unavailable") {
            eprintln!("SKIPPED: the page's own runtime: {text}");
            continue;
        }
        let output = driver(&["time", "2", "--rung", id]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert_eq!(samples(&messages(&output)).len(), 2);
        let batch = messages(&output).into_iter().find_map(|m| match m {
            Message::Batch(BatchEnd { failed, .. }) => Some(failed),
            _ => None,
        });
        assert_eq!(batch, Some(0));
    }
    // Every field and placeholder that exists is explained.
    for word in [
        "{function}",
        "{wasm}",
        "{root}",
        "{program}",
        "{bundle}",
        "{name}",
        "{state}",
        "{run}",
        "{cgroup}",
        "setup",
        "cleanup",
        "version",
        "files",
        "environment",
        "hide_mounts",
        "counts",
        "parked_when",
        "timeout_s",
        "max_workers",
        "cold",
        "settings",
        "install",
        "mend",
        "summary",
    ] {
        assert!(
            page.contains(&format!("`{word}`")),
            "{word} is not on the page"
        );
    }
}
