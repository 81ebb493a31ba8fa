//! The driver's whole command line, on the real executable, threads and processes.

mod common;

use std::fs;
use std::path::Path;

use common::{run, start, store};
use driver_testkit::{alive, batches, eventually, samples, skipped};
use measure_core::base::exit::Exit;
use measure_core::contract::Probe;
use measure_core::contract::protocol::{BatchEnd, Message};
use nix::sys::signal::Signal;

const RUNGS: [&str; 3] = ["thread", "thread-pooled", "process"];
const NOWHERE: &str = "/nonexistent/store";

#[test]
fn info_lists_the_rungs_and_says_what_is_missing() {
    let output = run(Path::new(NOWHERE), &["info", "--json"]);
    assert_eq!(output.code, Some(0));
    let said = output.messages();
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
    assert!(why.contains(NOWHERE), "{why}");
    assert!(mend.contains("make functions"), "{mend}");
    let output = run(Path::new(NOWHERE), &["time", "1", "--rung", "process"]);
    assert_eq!(output.code, Some(Exit::Unavailable as i32));
    assert!(output.stderr.contains("make functions"));
}

#[test]
fn time_counts_marks_and_sums() {
    let Some(store) = store("time") else { return };
    let phases = [
        ("thread", ["create", "run", "join"]),
        ("thread-pooled", ["hand-off", "run", "hand-back"]),
        ("process", ["spawn", "run", "reap"]),
    ];
    for (rung, names) in phases {
        let arguments = [
            "time",
            "20",
            "--warmup",
            "3",
            "--workers",
            "2",
            "--rung",
            rung,
        ];
        let output = run(store.path(), &arguments);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let said = output.messages();
        assert!(matches!(said[0], Message::Scope { .. }));
        assert_eq!(said[1], Message::Ready);
        assert_eq!(said.last(), Some(&Message::Ended));
        let samples = samples(&said);
        assert_eq!(samples.iter().filter(|s| s.warmup).count(), 6, "{rung}");
        assert_eq!(samples.iter().filter(|s| !s.warmup).count(), 20, "{rung}");
        for sample in samples {
            assert_eq!(sample.error, None);
            let found: Vec<_> = sample.phases.iter().map(|p| p.0.as_str()).collect();
            assert_eq!(found, names);
            let sum: u64 = sample.phases.iter().map(|p| p.1).sum();
            assert_eq!(sum, sample.total_ns);
            assert!(sample.total_ns > 0 && sample.worker < 2);
        }
        let batch = batches(&said)[0];
        assert_eq!((batch.starts, batch.failed, batch.workers), (20, 0, 2));
    }
}

#[test]
fn gated_batches_take_their_size_from_the_line() {
    let Some(store) = store("gated") else { return };
    for rung in RUNGS {
        let arguments = ["time", "2", "--workers", "2", "--gated", "--rung", rung];
        let mut driver = start(store.path(), &arguments);
        driver.until(|m| *m == Message::Ready);
        for (line, starts, workers) in [("", 2, 2), (r#"{"starts":5,"workers":1}"#, 5, 1)] {
            driver.say(line);
            let Message::Batch(batch) = driver.until(|m| matches!(m, Message::Batch(_))) else {
                unreachable!()
            };
            assert_eq!((batch.starts, batch.workers), (starts, workers), "{rung}");
        }
        driver.input = None;
        assert_eq!(driver.code(), Some(0));
    }
}

#[test]
fn held_workers_are_blocked_until_standard_input_closes() {
    let Some(store) = store("hold") else { return };
    for rung in RUNGS {
        let mut driver = start(store.path(), &["hold", "5", "--rung", rung]);
        let parked = driver.until(|m| matches!(m, Message::Parked { .. }));
        assert_eq!(parked, Message::Parked { workers: 5 });
        let children = driver.children();
        assert_eq!(children.len(), if rung == "process" { 5 } else { 0 });
        for &pid in &children {
            assert!(alive(pid));
        }
        driver.input = None;
        assert_eq!(driver.code(), Some(0), "{rung}");
        assert!(!children.into_iter().any(alive));
    }
}

#[test]
fn unknown_names_and_absurd_numbers_are_usage_errors() {
    let Some(store) = store("usage") else { return };
    let wrong: [(&[&str], &str); 7] = [
        (
            &["time", "1", "--rung", "proces"],
            "did you mean `process`?",
        ),
        (
            &["time", "1", "--rung", "process", "--function", "demo/nop"],
            "did you mean `demo/noop`?",
        ),
        (
            &["time", "1", "--rung", "process", "--function", "demo/nop"],
            "make functions",
        ),
        (
            &["time", "1", "--rung", "thread", "--function", "test/three"],
            "rung `process`",
        ),
        (&["time", "0", "--rung", "thread"], "it must be 1 to"),
        (
            &["time", "99999999999", "--rung", "thread"],
            "it must be 1 to",
        ),
        (&["hold", "0", "--rung", "process"], "it must be 1 to"),
    ];
    for (arguments, words) in wrong {
        let output = run(store.path(), arguments);
        assert_eq!(output.code, Some(Exit::Usage as i32), "{arguments:?}");
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[test]
fn a_function_that_fails_is_told_start_by_start() {
    let Some(store) = store("failures") else {
        return;
    };
    for (function, words) in [
        ("test/three", "exit code 3"),
        ("test/abort", "was killed by SIG"),
    ] {
        let arguments = ["time", "2", "--rung", "process", "--function", function];
        let output = run(store.path(), &arguments);
        assert_eq!(output.code, Some(Exit::StartFailed as i32));
        assert!(output.stderr.contains(words), "{}", output.stderr);
        let said = output.messages();
        assert_eq!(batches(&said)[0].failed, 2);
        for sample in samples(&said) {
            assert!(sample.error.as_ref().is_some_and(|e| e.contains(words)));
        }
    }
}

#[test]
fn what_cannot_be_executed_is_told_with_the_way_out() {
    let Some(store) = store("not executable") else {
        return;
    };
    let native = store.path().join("demo/noop/native");
    fs::write(&native, "no program\n").expect("written");
    let output = run(store.path(), &["time", "3", "--rung", "process"]);
    assert_eq!(output.code, Some(Exit::Failed as i32));
    assert!(
        output.stderr.contains("make functions"),
        "{}",
        output.stderr
    );
}

#[test]
fn only_what_blocks_can_be_held() {
    let Some(store) = store("no block") else {
        return;
    };
    for rung in RUNGS {
        let arguments = ["hold", "2", "--rung", rung, "--function", "demo/noop"];
        let output = run(store.path(), &arguments);
        assert_eq!(output.code, Some(Exit::StartFailed as i32), "{rung}");
        assert!(
            output.stderr.contains("instead of staying blocked"),
            "{rung}"
        );
    }
}

#[test]
fn signals_end_a_run_with_its_samples_and_nothing_left() {
    let Some(store) = store("signals") else {
        return;
    };
    for (signal, exit) in [
        (Signal::SIGINT, Exit::Interrupted),
        (Signal::SIGTERM, Exit::Terminated),
    ] {
        for rung in RUNGS {
            let mut timed = start(store.path(), &["time", "10000000", "--rung", rung]);
            timed.until(|m| matches!(m, Message::Sample(_)));
            timed.signal(signal);
            let batch = timed.until(|m| matches!(m, Message::Batch(_)));
            assert!(matches!(
                batch,
                Message::Batch(BatchEnd {
                    interrupted: true,
                    ..
                })
            ));
            assert_eq!(timed.code(), Some(exit as i32), "time {rung}");
            let mut held = start(store.path(), &["hold", "3", "--rung", rung]);
            held.until(|m| matches!(m, Message::Parked { .. }));
            let children = held.children();
            held.signal(signal);
            assert_eq!(held.code(), Some(exit as i32), "hold {rung}");
            assert!(!children.into_iter().any(alive));
        }
    }
}

#[test]
fn a_function_that_never_ends_does_not_outlive_a_signal() {
    let Some(store) = store("forever") else {
        return;
    };
    let arguments = [
        "time",
        "1",
        "--rung",
        "process",
        "--function",
        "test/forever",
    ];
    let mut driver = start(store.path(), &arguments);
    driver.until(|m| *m == Message::Ready);
    eventually("the function runs", || driver.children().len() == 1);
    let children = driver.children();
    driver.signal(Signal::SIGINT);
    assert_eq!(driver.code(), Some(Exit::Interrupted as i32));
    assert!(!children.into_iter().any(alive));
}

#[test]
fn a_kill_leaves_no_process_and_clean_removes_the_groups() {
    let Some(store) = store("kill") else { return };
    // One that ends with its standard input, and one that does not.
    for function in ["demo/park", "test/deaf"] {
        let arguments = ["hold", "3", "--rung", "process", "--function", function];
        let mut driver = start(store.path(), &arguments);
        let Message::Scope { scope, .. } = driver.until(|m| matches!(m, Message::Scope { .. }))
        else {
            unreachable!()
        };
        driver.until(|m| matches!(m, Message::Parked { .. }));
        let children = driver.children();
        assert_eq!(children.len(), 3);
        driver.signal(Signal::SIGKILL);
        driver.child.wait().expect("ended");
        eventually("its processes end", || {
            !children.iter().any(|&pid| alive(pid))
        });
        run(store.path(), &["clean"]).expect(0);
        for (controller, directory) in &scope.cgroups {
            assert!(!directory.exists(), "{controller}: {}", directory.display());
        }
    }
}

#[test]
fn help_teaches() {
    let output = run(Path::new(NOWHERE), &["--help"]);
    assert_eq!(output.code, Some(0));
    let text = output.stdout;
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
        let mut driver = std::process::Command::new(env!("CARGO_BIN_EXE_process-driver"));
        driver.env("FAASM_BENCH_HOME", &home).args([
            "time",
            "2",
            "--rung",
            "process",
            "--function",
            function,
        ]);
        let output = driver_testkit::run(driver);
        assert_eq!(output.code, Some(0), "{function}: {}", output.stderr);
        let said = output.messages();
        assert_eq!(samples(&said).len(), 2, "{function}: {said:?}");
        assert_eq!(batches(&said)[0].failed, 0, "{function}: {said:?}");
    }
}
