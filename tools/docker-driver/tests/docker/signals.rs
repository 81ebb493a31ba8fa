//! SIGINT, SIGTERM and SIGKILL at any moment, and what clears up after them.

use std::thread;
use std::time::Duration;

use crate::common::{
    assert_clean, driver, driver_at, ended_with, ends, make_store, start, turn, word,
};
use docker_driver::api::Client;
use driver_testkit::{Running, eventually, left, run};
use nix::sys::signal::Signal;

#[test]
fn signals_at_any_moment_leave_nothing() {
    let Some(_turn) = turn() else { return };
    // From before the engine is there to well into the starts.
    for (index, delay_ms) in [5, 60, 150, 300, 500, 800, 1100, 1500, 2000, 2600]
        .into_iter()
        .enumerate()
    {
        let (signal, code) = [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)][index % 2];
        let command = ["time 1000", "hold 8"][(index / 2) % 2];
        let timer = start(&format!("{command} --rung docker-bridge"));
        thread::sleep(Duration::from_millis(delay_ms));
        timer.signal(signal);
        let ended = timer.end();
        // Within the first milliseconds the signal finds no handler yet.
        if delay_ms > 50 {
            assert_eq!(ended.code, Some(code), "{delay_ms} ms: {}", ended.stderr);
        }
        assert_clean(ended.pid);
    }
}

#[test]
fn a_signal_during_the_build_of_the_image_leaves_nothing() {
    let Some(_turn) = turn() else { return };
    let home = tempfile::tempdir().unwrap();
    make_store(home.path());
    let builder = Running::start(driver_at(home.path(), "build-image --base local"));
    thread::sleep(Duration::from_millis(400));
    builder.signal(Signal::SIGTERM);
    ended_with(builder.end(), 143);
    assert!(!home.path().join("image/faasm-noop.json").exists());
}

#[test]
fn a_killed_driver_takes_its_engine_along_and_the_next_run_tidies_up() {
    let Some(_turn) = turn() else { return };
    let kill_one = || {
        let mut holder = start("hold 2 --rung docker-bridge");
        holder.until_parked();
        holder.signal(Signal::SIGKILL);
        let pid = holder.pid();
        let _ = holder.end();
        eventually("the death of the engine", || {
            !left::behind(pid)
                .iter()
                .any(|what| what.starts_with("process"))
        });
        pid
    };
    let pid = kill_one();
    ends("time 1 --rung docker-none", 0);
    assert_clean(pid);
    let pid = kill_one();
    let text = run(driver("clean")).stdout;
    assert!(text.contains(&format!("faasm-bench.{pid}.")), "{text}");
    assert_clean(pid);
}

#[test]
fn clean_leaves_a_running_engine_alone() {
    let Some(_turn) = turn() else { return };
    let mut timer = start("time 1 --gated --rung docker-none");
    let scope = timer.scope();
    run(driver("clean")).expect(0);
    let ping = Client::connect(word(&scope.includes, "unix://"), Duration::from_secs(5));
    assert!(ping.is_ok(), "{ping:?}");
    timer.go();
    timer.until_sample();
    ended_with(timer.end(), 0);
}
