//! Signals at any moment, and the run after a kill.

use std::time::{Duration, Instant};

use driver_testkit::left;
use measure_core::contract::protocol::Message;
use nix::sys::signal::Signal;

use crate::common::{Bench, PATIENCE, is_tried, ready_rungs};
use crate::modules as m;

#[test]
fn a_signal_ends_a_long_run_cleanly_with_its_samples_written() {
    // A no-op would have made hundreds of thousands of lines by then, and reading these would take most of the time.
    let bench = Bench::with(&[("nap", m::NAP)]);
    for rung in ready_rungs("signals while starting") {
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
            let mut running =
                bench.start(&format!("time 10000000 --rung {rung} --function demo/nap"));
            let pid = running.pid();
            running.until(|m| matches!(m, Message::Sample(_)));
            running.signal(signal);
            let ended = running.end();
            assert_eq!(ended.code, Some(code), "{rung}");
            let said = ended.messages();
            assert!(
                said.iter()
                    .any(|m| matches!(m, Message::Batch(b) if b.interrupted))
            );
            assert!(matches!(said.last(), Some(Message::Ended)), "{rung}");
            let samples = ended.samples();
            let cut_short = samples.iter().filter(|s| s.error.is_some()).count();
            assert!(
                cut_short <= 1,
                "{rung}: {cut_short} starts after the signal"
            );
            assert_eq!(left::cgroups_of(pid).len(), 0, "{rung}");
        }
    }
}

#[test]
fn a_signal_ends_a_program_that_would_not_end() {
    let programs = [
        ("endless", m::ENDLESS),
        ("sleeper", m::SLEEPER),
        ("talker", m::TALKER),
        ("filler", m::FILLER),
    ];
    let bench = Bench::with(&programs);
    for rung in ready_rungs("signals to programs that would not end") {
        for (function, _) in programs {
            if is_tried(&rung, function, &["endless"]) {
                ends_at_a_signal(&bench, &rung, function);
            }
        }
    }
}

fn ends_at_a_signal(bench: &Bench, rung: &str, function: &str) {
    let mut running = bench.start(&format!(
        "--deadline 3600 time 3 --workers 2 --rung {rung} --function demo/{function}"
    ));
    running.until(|m| matches!(m, Message::Ready));
    // Well within the program, which takes two processors from then on.
    std::thread::sleep(Duration::from_millis(25));
    running.signal(Signal::SIGINT);
    let begun = Instant::now();
    let ended = running.end();
    println!("{rung}, {function}: {:?} after the signal", begun.elapsed());
    assert_eq!(ended.code, Some(130), "{rung} {function}: {ended:?}");
    assert!(begun.elapsed() < PATIENCE, "{rung} {function}");
    assert_eq!(
        left::behind(ended.pid),
        Vec::<String>::new(),
        "{rung} {function}"
    );
}

#[test]
fn a_signal_releases_parked_workers() {
    let bench = Bench::with(&[("park", m::PARK)]);
    for rung in ready_rungs("signals while parked") {
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
            let mut running = bench.start(&format!("hold 30 --rung {rung} --gated"));
            let pid = running.pid();
            running.go();
            running.until(|m| matches!(m, Message::Parked { .. }));
            running.signal(signal);
            let status = running.child.wait().expect("an end");
            assert_eq!(status.code(), Some(code), "{rung}");
            assert_eq!(left::cgroups_of(pid).len(), 0, "{rung}");
        }
    }
}

#[test]
fn after_a_kill_the_next_run_removes_what_was_left() {
    let bench = Bench::with(&[("park", m::PARK), ("noop", m::NOOP)]);
    for rung in ready_rungs("a run after a kill") {
        let mut killed = bench.start(&format!("hold 5 --rung {rung} --gated"));
        let pid = killed.pid();
        killed.go();
        killed.until(|m| matches!(m, Message::Parked { .. }));
        // Those of one that lives are let be.
        let mut living = bench.start(&format!("hold 2 --rung {rung} --gated"));
        living.go();
        living.until(|m| matches!(m, Message::Parked { .. }));
        let of_living = left::cgroups_of(living.pid());
        killed.signal(Signal::SIGKILL);
        killed.child.wait().expect("an end");
        bench.ok(&format!("time 1 --rung {rung}"));
        assert_eq!(left::behind(pid), Vec::<String>::new(), "{rung}");
        assert_eq!(left::cgroups_of(living.pid()), of_living, "{rung}");
        living.signal(Signal::SIGTERM);
        living.child.wait().expect("an end");
    }
}

#[test]
fn after_a_kill_clean_removes_what_was_left() {
    let bench = Bench::with(&[("park", m::PARK)]);
    for rung in ready_rungs("clean after a kill") {
        let mut running = bench.start(&format!("hold 20 --rung {rung} --gated"));
        let pid = running.pid();
        running.go();
        running.until(|m| matches!(m, Message::Parked { .. }));
        running.signal(Signal::SIGKILL);
        running.child.wait().expect("an end");
        // It says what it removes, unless a run of another test was first.
        let ran = bench.ok("clean");
        assert_eq!(left::cgroups_of(pid).len(), 0, "{rung}: {ran:?}");
    }
}
