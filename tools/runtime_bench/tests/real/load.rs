//! Open loops on real drivers: what is kept, what a stopped or dying driver does to it, and what is refused.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use driver_testkit::alive;
use driver_testkit::functions::copy_program;
use measure_core::base::exit::Exit;
use measure_core::base::home::HOME_VARIABLE;
use measure_core::base::process_tree;
use measure_core::contract::load_point::{LoadPoint, read_points};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use report::load::hdr::Latencies;

use crate::tool::{
    Running, can_run, code, ended, host, run, says, stderr, stdout, tool, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(120);
/// A sweep that goes on for long enough to be cut short.
const EIGHT_RATES: &str = "100,200,300,400,500,600,700,800";

pub fn points(dir: &Path) -> Vec<LoadPoint> {
    read_points(dir).expect("readable points")
}

fn latencies(point: &LoadPoint) -> Latencies {
    Latencies::decode(&point.latency).expect("a histogram")
}

#[test]
fn a_sweep_finds_its_rates_and_keeps_every_point() {
    let test = "a_sweep_finds_its_rates_and_keeps_every_point";
    let _host = host();
    if !can_run(test, "process-driver", "thread") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let path = out.to_str().expect("a path");
    let output = run(&[
        "load",
        "--rungs",
        "thread",
        "--repetitions",
        "2",
        "--duration",
        "50",
        "--seed",
        "7",
        "--with-paper",
        "--output",
        path,
    ]);
    ended(&output, Exit::Ok);
    for word in ["thread", "knee/s", "offered/s", "The generator"] {
        assert!(
            stdout(&output).contains(word),
            "{word} in {}",
            stdout(&output)
        );
    }
    let points = points(&out);
    let rates_of = |process: u32| -> Vec<f64> {
        let own = points.iter().filter(|p| p.process == process);
        own.map(|p| p.offered_per_s).collect()
    };
    let (first, mut second) = (rates_of(1), rates_of(2));
    assert!(first.len() >= 8, "{first:?}");
    assert!(
        first.windows(2).all(|w| w[0] < w[1]),
        "in rising order: {first:?}"
    );
    second.sort_unstable_by(f64::total_cmp);
    assert_eq!(first, second);
    for point in &points {
        assert_eq!(latencies(point).count(), point.served(), "{point:?}");
        assert!(point.closed_loop_per_s > 0.0 && point.slo_ns >= 1_000_000);
    }
    let file = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_default();
    assert!(file("report.md").contains("## Under load"));
    assert!(file("load.svg").contains("Faaslet (published)"));
    assert!(file("load-shares.svg").contains("thread"));
    assert!(file("summary.json").contains("\"load-rates\""));
    let rows = file("runtime-bench-load.csv");
    assert_eq!(rows.lines().count(), 1 + first.len(), "{rows}");
    fs::remove_file(out.join("runtime-bench-load.csv")).expect("a file");
    let again = run(&["report", path]);
    ended(&again, Exit::Ok);
    assert_eq!(file("runtime-bench-load.csv"), rows);
}

/// Starts a load of `thread` and waits until its generator is at work.
fn under_load(out: &Path, more: &[&str]) -> Option<Running> {
    let child = tool()
        .args(["load", "--rungs", "thread", "--arrivals", "constant"])
        .args(["--repetitions", "1"])
        .args(more)
        .arg("--output")
        .arg(out)
        .spawn()
        .expect("the tool starts");
    let mut running = Running(child);
    let begun = wait_until(PATIENCE, || {
        has_ended(&mut running.0) || has_generator(running.0.id())
    });
    (begun && !has_ended(&mut running.0)).then_some(running)
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().is_ok_and(|status| status.is_some())
}

fn has_generator(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks.into_iter().flatten().flatten().any(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "generator\n")
    })
}

pub fn busy(test: &str) {
    eprintln!("SKIPPED: {test}: another run is under way on this host, run it alone");
}

#[test]
fn a_driver_that_stands_still_shows_in_every_start_due_meanwhile() {
    let test = "a_driver_that_stands_still_shows_in_every_start_due_meanwhile";
    let _host = host();
    if !can_run(test, "process-driver", "thread") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let Some(running) = under_load(&out, &["--rates", "500", "--duration", "4000"]) else {
        return busy(test);
    };
    thread::sleep(Duration::from_millis(500));
    let driver = Pid::from_raw(running.drivers()[0]);
    let (stopped, stop) = (Instant::now(), Duration::from_millis(200));
    kill(driver, Signal::SIGSTOP).expect("a living driver");
    thread::sleep(stop);
    kill(driver, Signal::SIGCONT).expect("a living driver");
    let stood_still = stopped.elapsed();
    let output = running.end();
    ended(&output, Exit::Ok);
    let points = points(&out);
    assert_eq!(points.len(), 1);
    assert_eq!((points[0].arrivals, points[0].served()), (2000, 2000));
    if stood_still > Duration::from_secs(2) {
        eprintln!("SKIPPED: {test}: the host itself stood still, run it on an idle one");
        return;
    }
    // One was due every 2 ms. Whatever was due while it stood still waited until it went on.
    let latencies = latencies(&points[0]);
    assert!(
        latencies.max_ns() >= 190_000_000,
        "{} ns",
        latencies.max_ns()
    );
    for ms in [50, 100, 150] {
        let due = (200 - ms) / 2;
        let seen = latencies.count_from_ns(ms * 1_000_000);
        assert!(
            seen + 5 >= due,
            "{seen} took {ms} ms or more, {due} were due {ms} ms before it went on"
        );
    }
}

#[test]
fn a_driver_that_dies_in_mid_sweep_leaves_the_points_before() {
    let test = "a_driver_that_dies_in_mid_sweep_leaves_the_points_before";
    let _host = host();
    if !can_run(test, "process-driver", "thread") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let Some(running) = under_load(&out, &["--rates", EIGHT_RATES, "--duration", "1000"]) else {
        return busy(test);
    };
    assert!(wait_until(PATIENCE, || points(&out).len() >= 2));
    kill(Pid::from_raw(running.drivers()[0]), Signal::SIGKILL).expect("a living driver");
    let output = running.end();
    ended(&output, Exit::EngineLost);
    says(&output, "the driver died");
    let kept = points(&out).len();
    assert!((2..8).contains(&kept), "{kept}");
    let report = fs::read_to_string(out.join("report.md")).expect("a report");
    assert!(
        report.contains("## Under load") && report.contains("the driver died"),
        "{report}"
    );
}

#[test]
fn an_interrupt_in_a_sweep_keeps_its_points_and_leaves_no_driver() {
    let test = "an_interrupt_in_a_sweep_keeps_its_points_and_leaves_no_driver";
    let _host = host();
    if !can_run(test, "process-driver", "thread") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let Some(running) = under_load(&out, &["--rates", EIGHT_RATES, "--duration", "2000"]) else {
        return busy(test);
    };
    assert!(wait_until(PATIENCE, || !points(&out).is_empty()));
    let drivers = running.drivers();
    let told = Instant::now();
    running.signal(Signal::SIGINT);
    let output = running.end();
    ended(&output, Exit::Interrupted);
    assert!(told.elapsed() < Duration::from_secs(10));
    assert!(
        drivers.iter().all(|&pid| !alive(pid)),
        "the drivers have ended"
    );
    assert!((1..8).contains(&points(&out).len()));
    let report = fs::read_to_string(out.join("report.md")).expect("a report");
    assert!(report.contains("ended early by SIGINT"), "{report}");
}

#[test]
fn an_engine_killed_under_a_rate_it_cannot_follow_is_named() {
    let test = "an_engine_killed_under_a_rate_it_cannot_follow_is_named";
    let _host = host();
    if !can_run(test, "docker-driver", "docker-none") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let child = tool()
        .args(["load", "--rungs", "docker-none", "--rates", "0.5,60"])
        .args(["--repetitions", "1", "--duration", "5000", "--output"])
        .arg(&out)
        .spawn()
        .expect("the tool starts");
    let mut running = Running(child);
    let mut daemon = None;
    let found = wait_until(PATIENCE, || {
        if has_ended(&mut running.0) {
            return true;
        }
        daemon = dockerd_below(running.pid());
        !points(&out).is_empty() && has_generator(running.0.id()) && daemon.is_some()
    });
    assert!(found, "neither an end nor a second point");
    if has_ended(&mut running.0) {
        return busy(test);
    }
    // In the midst of what it cannot follow.
    thread::sleep(Duration::from_millis(500));
    kill(Pid::from_raw(daemon.expect("found")), Signal::SIGKILL).expect("a living daemon");
    let output = running.end();
    ended(&output, Exit::EngineLost);
    says(&output, "docker-none: ");
    let kept = points(&out);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].offered_per_s < 1.0);
}

fn dockerd_below(pid: i32) -> Option<i32> {
    let below = process_tree::processes_below(&[pid]);
    let is_daemon = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "dockerd\n")
    };
    below.into_iter().find(is_daemon)
}

#[test]
fn a_function_whose_every_start_fails_is_said_to() {
    let test = "a_function_whose_every_start_fails_is_said_to";
    let _host = host();
    if !can_run(test, "process-driver", "process") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (home, out) = (dir.path().join("home"), dir.path().join("run"));
    copy_program("/bin/false", &home.join("store/mine/fails/native"));
    let output = tool()
        .args(["load", "--rungs", "process", "--function", "mine/fails"])
        .args(["--repetitions", "1", "--duration", "100", "--output"])
        .arg(&out)
        .env(HOME_VARIABLE, &home)
        .output()
        .expect("the tool starts");
    if code(&output) == Exit::Busy as i32 {
        return busy(test);
    }
    ended(&output, Exit::StartFailed);
    says(&output, "every start failed");
    assert!(points(&out).is_empty());
}

#[test]
fn rates_and_patterns_that_make_no_sense_are_refused() {
    let _host = host();
    let cases: [(&[&str], &str); 11] = [
        (&["--rates", "0"], "must be 0.001 to 1000000"),
        (&["--rates=-5"], "must be 0.001 to 1000000"),
        (&["--rates", "nan"], "must be 0.001 to 1000000"),
        (&["--rates", "1e9"], "one thread lets no more go"),
        (&["--rates", "many"], "invalid float"),
        (&["--arrivals", "burst:8"], "bursts:N"),
        (&["--slo", "0"], "no time at all"),
        (&["--slo", "2h"], "must be 0.000001 to 3600 (seconds)"),
        (&["--slo", "5 ms"], "is no duration"),
        (&["--workers", "0"], "must be 1 to"),
        (&["--duration", "0ms"], "no time at all"),
    ];
    for (arguments, advice) in cases {
        let output = run(&[&["load", "--rungs", "thread"], arguments].concat());
        assert_eq!(
            code(&output),
            Exit::Usage as i32,
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(advice),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_limit_that_no_generator_can_hold_says_how_far_it_got() {
    let test = "a_limit_that_no_generator_can_hold_says_how_far_it_got";
    let _host = host();
    if !can_run(test, "process-driver", "thread") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    // A limit of 1 us, a tenth of which no thread that sleeps can hold.
    let output = run(&[
        "load",
        "--rungs",
        "thread",
        "--repetitions",
        "1",
        "--rates",
        "2000",
        "--duration",
        "100",
        "--slo",
        "1us",
        "--output",
        out.to_str().expect("a path"),
    ]);
    ended(&output, Exit::Ok);
    assert!(
        stdout(&output).contains("do not count"),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).contains("arrivals a second"),
        "{}",
        stdout(&output)
    );
    let unfit = points(&out)[0].generator.unfit.clone();
    assert!(unfit.is_some_and(|why| why.contains("it got to")));
}
