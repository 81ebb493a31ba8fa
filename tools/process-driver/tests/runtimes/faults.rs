//! Starts that hang or fail, drivers that are interrupted or killed: nothing is left of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use measure_core::base::exit::Exit;
use nix::sys::signal::Signal;

use driver_testkit::{alive, eventually, functions, skipped};

use crate::common::Bench;
use crate::ready;

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
fn a_start_that_hangs_is_killed_counted_and_shown() {
    let Some(bench) = Bench::new() else { return };
    let ended = bench.with_runtimes(FLAKY).run("time 3 --rung flaky");
    ended.expect(Exit::StartFailed as i32);
    let samples = ended.samples();
    assert_eq!(samples.len(), 3);
    assert_eq!(samples[0].error, None);
    for sample in &samples[1..] {
        let error = sample.error.as_deref().expect("an error");
        for words in ["hung", "timeout_s", "with all 3 processes", "stuck"] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
    let batch = ended.batch();
    assert_eq!((batch.starts, batch.failed), (3, 2));
    ended.left_nothing();
}

#[test]
fn a_container_that_hangs_is_removed() {
    let Some(bench) = Bench::new() else { return };
    if !ready(&bench, "runc") {
        return;
    }
    let bench = bench.with_runtimes(
        r#"
[[runtime]]
id = "runc-short"
command = ["runc", "--root", "{state}/containers", "run", "--bundle", "{bundle}", "{name}"]
cleanup = [["runc", "--root", "{state}/containers", "delete", "--force", "{name}"]]
isolation = {}
timeout_s = 2
"#,
    );
    let ended = bench.run("time 1 --rung runc-short --function test/forever");
    ended.expect(Exit::StartFailed as i32);
    let error = ended.samples().remove(0).error;
    assert!(error.is_some_and(|e| e.contains("hung")), "{ended:?}");
    ended.left_nothing();
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
    let Some(bench) = Bench::new() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let made = directory.path().join("made");
    let entry = MESSY.replace("MADE", made.to_str().expect("a path"));
    let ended = bench.with_runtimes(&entry).run("time 2 --rung messy");
    ended.expect(Exit::StartFailed as i32);
    let hung = |error: String| error.contains("hung");
    assert!(
        ended
            .samples()
            .into_iter()
            .filter_map(|s| s.error)
            .any(hung)
    );
    ended.left_nothing();
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
    let Some(bench) = Bench::new() else { return };
    bench
        .run("time 1 --rung native --function test/three")
        .expect(Exit::StartFailed as i32)
        .says("exit code 3");
    let bench = bench.with_runtimes(
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
        let ended = bench.run(&format!("time 1 --rung {rung}"));
        ended.expect(Exit::Unavailable as i32);
        for word in words {
            ended.says(word);
        }
    }
}

/// A daemon that ends as soon as it is asked for something, and a client that asks for it.
const GONE: &str = r#"
[[runtime]]
id = "gone"
command = ["perl", "-MIO::Socket::UNIX", "-e", "my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 9; print $s qq(x); shutdown $s, 1; <$s> or exit 8; exec $ARGV[1]", "{run}/socket", "{function}"]
daemon.command = ["perl", "-MIO::Socket::UNIX", "-e", "my $l = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9); my $n = 2; while (my $c = $l->accept) {{ <$c> or next; $n-- or die qq(no more room\\n); print $c qq(y\\n); close $c }}", "{run}/socket"]
daemon.ready = "{run}/socket"
version = []
isolation = {}
"#;

#[test]
fn a_daemon_that_goes_away_is_told_and_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let bench = bench.with_runtimes(GONE);
    let ended = bench.run("time 2 --rung gone");
    ended.expect(0).left_nothing();
    let ended = bench.run("time 5 --rung gone");
    ended.expect(Exit::EngineLost as i32);
    ended.says("no more room").left_nothing();
    let absent = GONE.replace("daemon.command = [\"perl\"", "daemon.command = [\"perk\"");
    let Some(bench) = Bench::new() else { return };
    let ended = bench.with_runtimes(&absent).run("time 1 --rung gone");
    ended.expect(Exit::Unavailable as i32);
    ended.says("`perk` is not installed");
}

#[test]
fn a_signal_ends_a_hanging_start_at_once_and_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let bench = bench.with_runtimes(&FLAKY.replace("timeout_s = 1", "timeout_s = 600"));
    for (signal, exit) in [
        (Signal::SIGINT, Exit::Interrupted),
        (Signal::SIGTERM, Exit::Terminated),
    ] {
        let mut driver = bench.start("time 2 --rung flaky");
        driver.until_sample();
        let begun = Instant::now();
        driver.signal(signal);
        let ended = driver.end();
        ended.expect(exit as i32);
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "it waited for its time limit"
        );
        ended.left_nothing();
    }
}

#[test]
fn what_a_killed_driver_leaves_is_removed_by_clean() {
    let Some(bench) = Bench::new() else { return };
    if !bench.compile_wasm() {
        skipped("a killed driver of a runtime of Wasm", functions::NO_WASI);
    }
    for rung in [
        "native",
        "runc",
        "podman",
        "systemd-nspawn",
        "containerd-runc",
        "containerd-wasmtime",
    ] {
        if !ready(&bench, rung) {
            continue;
        }
        let mut driver = bench.start(&format!("hold 2 --gated --rung {rung}"));
        driver.until_ready();
        driver.go();
        driver.until_parked();
        let children = driver.children();
        assert!(!children.is_empty(), "{rung}");
        driver.signal(Signal::SIGKILL);
        let killed = driver.end();
        eventually("its commands end", || {
            !children.iter().any(|&pid| alive(pid))
        });
        bench.run("clean").expect(0);
        killed.left_nothing();
    }
}
