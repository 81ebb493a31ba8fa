//! Starts that hang or fail, drivers that are interrupted or killed: nothing is left of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use measure_core::base::exit::Exit;
use measure_core::contract::protocol::{Message, StartSample};
use nix::sys::signal::Signal;

use driver_testkit::{alive, eventually, left, samples, skipped};

use crate::common::{run, start, store};
use crate::{arguments, runtimes};

/// One that runs the function the first time after it was set up, and then hangs with a child.
const FLAKY: &str = r#"
[[runtime]]
id = "flaky"
command = ["sh", "-c", "mkdir $0/once 2>/dev/null && exec $1; echo stuck >&2; sleep 1000 & sleep 1000", "{state}", "{function}"]
version = []
isolation = {}
timeout_s = 1
"#;

/// Whether rung `rung` can run here; says so if not.
fn ready(store: &Path, rung: &str, test: &str) -> bool {
    let probe = run(store, &["info", "--rung", rung]);
    let ready = probe.stdout.contains("    ready");
    if !ready {
        skipped(test, format!("{rung} does not run here"));
    }
    ready
}

#[test]
fn a_start_that_hangs_is_killed_counted_and_shown() {
    let Some(store) = store("hanging runtime") else {
        return;
    };
    let (_directory, file) = runtimes(FLAKY);
    let mut driver = start(
        store.path(),
        &arguments(&file, &["time", "3", "--rung", "flaky"]),
    );
    let pid = driver.pid();
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
    assert_eq!(left::behind(pid), [""; 0]);
}

#[test]
fn a_container_that_hangs_is_removed() {
    let Some(store) = store("hanging container") else {
        return;
    };
    if !ready(store.path(), "runc", "hanging container") {
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
    let mut driver = start(store.path(), &arguments(&file, &command));
    let pid = driver.pid();
    let sample = driver.until(|m| matches!(m, Message::Sample(_)));
    let Message::Sample(StartSample {
        error: Some(error), ..
    }) = sample
    else {
        panic!("{sample:?}")
    };
    assert!(error.contains("hung"), "{error}");
    assert_eq!(driver.code(), Some(Exit::StartFailed as i32));
    assert_eq!(left::behind(pid), [""; 0]);
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
        skipped("what a hanging start has made", "mounting needs root");
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
    let mut driver = start(store.path(), &arguments(&file, &time));
    let pid = driver.pid();
    let hung = driver.until(|m| matches!(m, Message::Sample(s) if s.error.is_some()));
    assert!(format!("{hung:?}").contains("hung"), "{hung:?}");
    assert_eq!(driver.code(), Some(Exit::StartFailed as i32));
    assert_eq!(left::behind(pid), [""; 0]);
    let made = fs::read_to_string(made).unwrap_or_default();
    for thing in ["mount", "socket", "fb"] {
        if !made.lines().any(|line| line.starts_with(thing)) {
            skipped(
                format!("that a hanging start's {thing} is gone"),
                "it could not be made",
            );
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
    assert_eq!(output.code, Some(Exit::StartFailed as i32));
    assert!(output.stderr.contains("exit code 3"), "{}", output.stderr);
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
        assert_eq!(output.code, Some(Exit::Unavailable as i32));
        for word in words {
            assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
        }
    }
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
        let mut driver = start(
            store.path(),
            &arguments(&file, &["time", "2", "--rung", "flaky"]),
        );
        let pid = driver.pid();
        driver.until(|m| matches!(m, Message::Sample(_)));
        let begun = Instant::now();
        driver.signal(signal);
        assert_eq!(driver.code(), Some(exit as i32));
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "it waited for its time limit"
        );
        assert_eq!(left::behind(pid), [""; 0]);
    }
}

#[test]
fn what_a_killed_driver_leaves_is_removed_by_clean() {
    let Some(store) = store("killed driver of a runtime") else {
        return;
    };
    for rung in ["native", "runc", "podman", "systemd-nspawn"] {
        if !ready(store.path(), rung, "killed driver") {
            continue;
        }
        let mut driver = start(store.path(), &["hold", "2", "--gated", "--rung", rung]);
        let pid = driver.pid();
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
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_eq!(left::behind(pid), [""; 0], "{rung}");
    }
}
