//! The driver's whole command line, on the real executable, threads and processes.

mod closed_pipe;
mod common;
mod handlers;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Bench, DRIVER};
use driver_testkit::{alive, eventually, skipped};
use measure_core::base::exit::Exit;
use measure_core::contract::Probe;
use measure_core::contract::protocol::Message;
use nix::sys::signal::Signal;

const RUNGS: [&str; 3] = ["thread", "thread-pooled", "process"];

#[test]
fn info_lists_the_rungs_and_says_what_is_missing() {
    let bench = Bench::empty();
    let said = bench.run("info --json").expect(0).messages();
    let probes: Vec<_> = said
        .iter()
        .map(|m| match m {
            Message::Rung { description, probe } => (description.rung.as_str(), probe),
            other => panic!("{other:?}"),
        })
        .collect();
    let ids: Vec<&str> = probes.iter().map(|p| p.0).collect();
    assert_eq!(ids[..3], RUNGS);
    assert!(ids.contains(&"runc"), "{ids:?}");
    assert_eq!(*probes[0].1, Probe::Ready);
    assert_eq!(*probes[1].1, Probe::Ready);
    let Probe::Unavailable { why, mend } = probes[2].1 else {
        panic!("process is ready without a store");
    };
    assert!(why.contains(&*bench.path().to_string_lossy()), "{why}");
    assert!(mend.contains("make functions"), "{mend}");
    bench
        .run("time 1 --rung process")
        .expect(Exit::Unavailable as i32)
        .says("make functions");
}

#[test]
fn what_others_could_have_written_is_not_run() {
    let Some(bench) = Bench::new() else { return };
    let native = bench.path().join("demo/noop/native");
    let mode = |path: &Path, bits| {
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("ours");
    };
    for (path, bits) in [(&*native, 0o777), (bench.path(), 0o777)] {
        let before = fs::metadata(path).expect("there").permissions().mode();
        mode(path, bits);
        bench
            .run("time 1 --rung process")
            .expect(Exit::Failed as i32)
            .says("refusing to run code from")
            .says(&format!("chmod go-w {}", path.display()));
        mode(path, before);
        bench.run("time 1 --rung process").expect(0);
    }
}

#[test]
fn time_counts_marks_and_sums() {
    let Some(bench) = Bench::new() else { return };
    let phases = [
        ("thread", ["create", "run", "join"]),
        ("thread-pooled", ["hand-off", "run", "hand-back"]),
        ("process", ["spawn", "run", "reap"]),
    ];
    for (rung, names) in phases {
        let ended = bench.run(&format!("time 20 --warmup 3 --workers 2 --rung {rung}"));
        ended.expect(0).made_starts(26, &names);
        let said = ended.messages();
        assert!(matches!(said[0], Message::Scope { .. }));
        assert_eq!(said[1], Message::Ready);
        assert_eq!(said.last(), Some(&Message::Ended));
        let samples = ended.samples();
        assert_eq!(samples.iter().filter(|s| s.warmup).count(), 6, "{rung}");
        assert!(samples.iter().all(|s| s.total_ns > 0 && s.worker < 2));
        let batch = ended.batch();
        assert_eq!((batch.starts, batch.failed, batch.workers), (20, 0, 2));
    }
}

#[test]
fn gated_batches_take_their_size_from_the_line() {
    let Some(bench) = Bench::new() else { return };
    for rung in RUNGS {
        let mut driver = bench.start(&format!("time 2 --workers 2 --gated --rung {rung}"));
        driver.until_ready();
        for (line, starts, workers) in [("", 2, 2), (r#"{"starts":5,"workers":1}"#, 5, 1)] {
            driver.say(line);
            let batch = driver.until_batch();
            assert_eq!((batch.starts, batch.workers), (starts, workers), "{rung}");
        }
        driver.end().expect(0);
    }
}

#[test]
fn an_open_loop_needs_what_it_is_woken_by_passed() {
    let Some(bench) = Bench::new() else { return };
    for (fd, why) in [("1", "standard stream"), ("77", "not open")] {
        let both = format!("--releases {fd} --release-page 78");
        let ended = bench.run(&format!("time 1 --rung thread {both}"));
        ended.expect(Exit::Usage as i32).says(why);
    }
    let alone = bench.run("time 1 --rung thread --releases 77");
    alone.expect(Exit::Usage as i32).says("--release-page");
    let mut driver = bench.start("time 1 --gated --rung thread");
    driver.until_ready();
    driver.say(r#"{"open_loop":{"gaps_ns":[5],"drain_ns":0}}"#);
    let ended = driver.end();
    ended.expect(Exit::Usage as i32).says("--releases");
}

#[test]
fn held_workers_are_blocked_until_standard_input_closes() {
    let Some(bench) = Bench::new() else { return };
    for rung in RUNGS {
        let mut driver = bench.start(&format!("hold 5 --rung {rung}"));
        assert_eq!(driver.until_parked(), 5);
        let children = driver.children();
        assert_eq!(children.len(), if rung == "process" { 5 } else { 0 });
        for &pid in &children {
            assert!(alive(pid));
        }
        driver.end().expect(0);
        assert!(!children.into_iter().any(alive));
    }
}

#[test]
fn what_holds_no_engine_parks_all_at_once() {
    let Some(bench) = Bench::new() else { return };
    let mut driver = bench.start("hold 5 --gated --rung thread");
    driver.until_ready();
    driver.say(r#"{"workers":3}"#);
    assert_eq!(driver.until_parked(), 3);
    driver.say(r#"{"workers":2}"#);
    let ended = driver.end();
    ended
        .expect(Exit::Usage as i32)
        .says("start another `hold` for more");
    let mut driver = bench.start("hold 2 --gated --rung thread");
    driver.until_ready();
    driver.say(r#"{"workers":3}"#);
    driver
        .end()
        .expect(Exit::Usage as i32)
        .says("it must be 1 to 2");
}

#[test]
fn unknown_names_and_absurd_numbers_are_usage_errors() {
    let Some(bench) = Bench::new() else { return };
    let missing = "time 1 --rung process --function demo/nop";
    for (words, text) in [
        ("time 1 --rung proces", "did you mean `process`?"),
        (missing, "did you mean `demo/noop`?"),
        (missing, "make functions"),
        (
            "time 1 --rung thread --function test/three",
            "rung `process`",
        ),
        ("time 0 --rung thread", "it must be 1 to"),
        ("time 99999999999 --rung thread", "it must be 1 to"),
        ("hold 0 --rung process", "it must be 1 to"),
    ] {
        bench.run(words).expect(Exit::Usage as i32).says(text);
    }
}

#[test]
fn a_function_that_fails_is_told_start_by_start() {
    let Some(bench) = Bench::new() else { return };
    for (function, words) in [
        ("test/three", "exit code 3"),
        ("test/abort", "was killed by SIG"),
    ] {
        let ended = bench.run(&format!("time 2 --rung process --function {function}"));
        ended.expect(Exit::StartFailed as i32).says(words);
        assert_eq!(ended.batch().failed, 2);
        for sample in ended.samples() {
            assert!(sample.error.as_ref().is_some_and(|e| e.contains(words)));
        }
    }
}

#[test]
fn what_cannot_be_executed_is_told_with_the_way_out() {
    let Some(bench) = Bench::new() else { return };
    let native = bench.path().join("demo/noop/native");
    fs::write(&native, "no program\n").expect("written");
    let ended = bench.run("time 3 --rung process");
    ended.expect(Exit::Failed as i32).says("make functions");
}

#[test]
fn only_what_blocks_can_be_held() {
    let Some(bench) = Bench::new() else { return };
    for rung in RUNGS {
        bench
            .run(&format!("hold 2 --rung {rung} --function demo/noop"))
            .expect(Exit::StartFailed as i32)
            .says("instead of staying blocked");
    }
}

#[test]
fn signals_end_a_run_with_its_samples_and_nothing_left() {
    let Some(bench) = Bench::new() else { return };
    for (signal, exit) in [
        (Signal::SIGINT, Exit::Interrupted),
        (Signal::SIGTERM, Exit::Terminated),
    ] {
        for rung in RUNGS {
            let mut timed = bench.start(&format!("time 10000000 --rung {rung}"));
            timed.until_sample();
            timed.signal(signal);
            assert!(timed.until_batch().interrupted);
            assert_eq!(timed.code(), Some(exit as i32), "time {rung}");
            let mut held = bench.start(&format!("hold 3 --rung {rung}"));
            held.until_parked();
            let children = held.children();
            held.signal(signal);
            assert_eq!(held.code(), Some(exit as i32), "hold {rung}");
            assert!(!children.into_iter().any(alive));
        }
    }
}

#[test]
fn a_function_that_never_ends_does_not_outlive_a_signal() {
    let Some(bench) = Bench::new() else { return };
    let mut driver = bench.start("time 1 --rung process --function test/forever");
    driver.until_ready();
    eventually("the function runs", || driver.children().len() == 1);
    let children = driver.children();
    driver.signal(Signal::SIGINT);
    assert_eq!(driver.code(), Some(Exit::Interrupted as i32));
    assert!(!children.into_iter().any(alive));
}

#[test]
fn a_kill_leaves_no_process_and_clean_removes_the_groups() {
    let Some(bench) = Bench::new() else { return };
    // One that ends with its standard input, and one that does not.
    for function in ["demo/park", "test/deaf"] {
        let mut driver = bench.start(&format!("hold 3 --rung process --function {function}"));
        let scope = driver.scope();
        driver.until_parked();
        let children = driver.children();
        assert_eq!(children.len(), 3);
        driver.signal(Signal::SIGKILL);
        driver.child.wait().expect("ended");
        eventually("its processes end", || {
            !children.iter().any(|&pid| alive(pid))
        });
        bench.run("clean").expect(0);
        for (controller, directory) in &scope.cgroups {
            assert!(!directory.exists(), "{controller}: {}", directory.display());
        }
    }
}

#[test]
fn help_teaches() {
    let ended = Bench::empty().run("--help");
    let text = &ended.expect(0).stdout;
    for part in ["EXAMPLES", "EXIT CODES", "hold", "--store", "--runtimes"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn python_functions_run_in_their_interpreter() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build");
    let interpreter = home.join("python/native/bin/python3.13");
    if !interpreter.is_file() || !home.join("store/python/json/command").is_file() {
        let why = format!(
            "not built in {} (make python python-functions)",
            home.display()
        );
        skipped("Python as a process", why);
        return;
    }
    for function in ["python/noop", "python/json"] {
        let mut driver = std::process::Command::new(DRIVER);
        driver.env("FAASM_BENCH_HOME", &home).args([
            "time",
            "2",
            "--rung",
            "process",
            "--function",
            function,
        ]);
        let ended = driver_testkit::run(driver);
        assert_eq!(ended.expect(0).samples().len(), 2, "{ended:?}");
        assert_eq!(ended.batch().failed, 0, "{ended:?}");
    }
}
