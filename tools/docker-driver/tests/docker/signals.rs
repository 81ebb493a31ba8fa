//! SIGINT, SIGTERM and SIGKILL at any moment, and what clears up after them.

use std::thread;
use std::time::Duration;

use crate::common::{assert_clean, can_run, driver, driver_at, is_sample, start, turn, word};
use docker_driver::api::Client;
use driver_testkit::{eventually, left, run};
use measure_core::contract::protocol::Message;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn signals_at_any_moment_leave_nothing() {
    if !can_run("signals_at_any_moment_leave_nothing") {
        return;
    }
    let _turn = turn();
    // From before the engine is there to well into the starts.
    for (index, delay_ms) in [5, 60, 150, 300, 500, 800, 1100, 1500, 2000, 2600]
        .into_iter()
        .enumerate()
    {
        let (signal, code) = [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)][index % 2];
        let command = [&["time", "1000"][..], &["hold", "8"]][(index / 2) % 2];
        let timer = start(&[command, &["--rung", "docker-bridge"]].concat());
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
    if !can_run("a_signal_during_the_build_of_the_image_leaves_nothing") {
        return;
    }
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    crate::common::make_store(home.path());
    let mut child = driver_at(home.path(), &["build-image", "--base", "local"])
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(400));
    let pid = child.id().cast_signed();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    assert_clean(pid);
    assert!(!home.path().join("image/faasm-noop.json").exists());
}

#[test]
fn a_killed_driver_takes_its_engine_along_and_the_next_run_tidies_up() {
    if !can_run("a_killed_driver_takes_its_engine_along_and_the_next_run_tidies_up") {
        return;
    }
    let _turn = turn();
    let kill_one = || {
        let mut holder = start(&["hold", "2", "--rung", "docker-bridge"]);
        holder.until(|line| matches!(line, Message::Parked { .. }));
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
    let next = run(driver(&["time", "1", "--rung", "docker-none"]));
    next.expect(0);
    assert_clean(pid);
    assert_clean(next.pid);
    let pid = kill_one();
    let clean = driver(&["clean"]).output().unwrap();
    let text = String::from_utf8_lossy(&clean.stdout);
    assert!(text.contains(&format!("faasm-bench.{pid}.")), "{text}");
    assert_clean(pid);
}

#[test]
fn clean_leaves_a_running_engine_alone() {
    if !can_run("clean_leaves_a_running_engine_alone") {
        return;
    }
    let _turn = turn();
    let mut timer = start(&["time", "1", "--gated", "--rung", "docker-none"]);
    let scope = timer.scope();
    assert!(driver(&["clean"]).status().unwrap().success());
    let ping = Client::connect(word(&scope.includes, "unix://"), Duration::from_secs(5));
    assert!(ping.is_ok(), "{ping:?}");
    timer.go();
    timer.until(is_sample);
    let ended = timer.end();
    ended.expect(0);
    assert_clean(ended.pid);
}
