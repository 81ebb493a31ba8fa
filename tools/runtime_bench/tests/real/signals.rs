//! Signals at any moment: what was measured stays, and nothing of ours is left.

use std::time::Duration;

use driver_testkit::left::cgroups_of;
use driver_testkit::{alive, children};
use measure_core::base::exit::Exit;
use nix::sys::signal::Signal;

use crate::tool::{
    Place, Running, can_run, ended, host, long_run, run, samples, says, tool, wait_until,
};

fn end_by(test: &str, signal: Signal, exit: Exit) {
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let running = long_run(&place.out);
    let mut drivers = Vec::new();
    let both = wait_until(Duration::from_secs(60), || {
        drivers = running.drivers();
        drivers.len() == 2
    });
    assert!(both, "one per rung: {drivers:?}");
    running.signal(signal);
    let output = running.end();
    ended(&output, exit);
    assert!(
        drivers.iter().all(|&pid| !alive(pid)),
        "the drivers have ended"
    );
    assert!(
        drivers.iter().all(|&pid| cgroups_of(pid).is_empty()),
        "their cgroups are gone"
    );
    assert!(
        samples(&place.out)
            .iter()
            .any(|s| s.measure.as_str() == "back-to-back")
    );
    let report = std::fs::read_to_string(place.out.join("report.md")).expect("a partial report");
    assert!(report.contains("ended early by"), "{report}");
}

#[test]
fn sigint_keeps_the_samples_and_leaves_nothing() {
    end_by(
        "sigint_keeps_the_samples_and_leaves_nothing",
        Signal::SIGINT,
        Exit::Interrupted,
    );
}

#[test]
fn sigterm_keeps_the_samples_and_leaves_nothing() {
    end_by(
        "sigterm_keeps_the_samples_and_leaves_nothing",
        Signal::SIGTERM,
        Exit::Terminated,
    );
}

#[test]
fn sigkill_is_noticed_by_the_drivers_and_the_records_are_readable() {
    let test = "sigkill_is_noticed_by_the_drivers_and_the_records_are_readable";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let running = long_run(&place.out);
    let drivers = running.drivers();
    running.signal(Signal::SIGKILL);
    let _ = running.end();
    assert!(
        wait_until(Duration::from_secs(20), || drivers
            .iter()
            .all(|&pid| !alive(pid))),
        "{drivers:?}"
    );
    assert!(
        drivers.iter().all(|&pid| cgroups_of(pid).is_empty()),
        "their cgroups are gone"
    );
    let report = run(&["report", place.out_text()]);
    ended(&report, Exit::Ok);
    let text = std::fs::read_to_string(place.out.join("report.md")).expect("a report");
    assert!(text.contains("it was killed before its end"), "{text}");
    // And the next run is not held up.
    let next = run(&[
        "time",
        "--rungs",
        "thread",
        "--iterations",
        "1",
        "--repetitions",
        "1",
        "--output",
        place.dir.path().join("next").to_str().expect("a path"),
    ]);
    ended(&next, Exit::Ok);
}

#[test]
fn a_second_run_is_told_who_is_measuring() {
    let test = "a_second_run_is_told_who_is_measuring";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let running = long_run(&place.out);
    let other = place.dir.path().join("other");
    let second = tool()
        .args(["time", "--rungs", "thread", "--output"])
        .arg(&other)
        .output()
        .expect("it starts");
    ended(&second, Exit::Busy);
    says(&second, &format!("pid {}", running.pid()));
    assert!(!other.exists());
    // Nor may the tables of a run under way be made over its head.
    let report = tool()
        .arg("report")
        .arg(&place.out)
        .output()
        .expect("it starts");
    ended(&report, Exit::Busy);
    running.signal(Signal::SIGTERM);
    let _ = running.end();
}

/// All processes below `pid`.
fn descendants(pid: i32) -> Vec<i32> {
    let mut found = children(pid);
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found
}

/// Ends a run over containers and Faaslets `after_s` seconds after its drivers are up.
fn end_engines_by(test: &str, command: &str, signal: Signal, exit: Exit, after_s: &[u64]) {
    let _host = host();
    if !can_run(test, "docker-driver", "docker-none") || !can_run(test, "faasm-driver", "faaslet") {
        return;
    }
    for &seconds in after_s {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("run");
        let child = tool()
            .args([command, "--rungs", "docker-none,docker-bridge,faaslet"])
            .arg("--output")
            .arg(&out)
            .spawn()
            .expect("the tool starts");
        let running = Running(child);
        assert!(wait_until(Duration::from_secs(60), || !running
            .drivers()
            .is_empty()));
        std::thread::sleep(Duration::from_secs(seconds));
        let drivers = running.drivers();
        let all = descendants(running.pid());
        running.signal(signal);
        let output = running.end();
        ended(&output, exit);
        let gone = wait_until(Duration::from_secs(5), || {
            !all.iter().any(|&pid| alive(pid))
        });
        assert!(gone, "after {seconds} s: of {all:?} some live");
        assert!(
            drivers.iter().all(|&pid| cgroups_of(pid).is_empty()),
            "after {seconds} s: their cgroups are gone"
        );
        // Before the first block there is no run directory yet, and nothing to lose.
        if out.exists() {
            samples(&out);
        }
    }
}

#[test]
fn sigint_while_engines_are_timed_leaves_nothing() {
    let test = "sigint_while_engines_are_timed_leaves_nothing";
    end_engines_by(test, "time", Signal::SIGINT, Exit::Interrupted, &[0, 2, 6]);
}

#[test]
fn sigterm_while_containers_are_parked_leaves_nothing() {
    let test = "sigterm_while_containers_are_parked_leaves_nothing";
    end_engines_by(test, "mem", Signal::SIGTERM, Exit::Terminated, &[1, 3, 5]);
}
