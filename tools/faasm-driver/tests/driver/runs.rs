//! Runs that go well, and command lines that do not.

use driver_testkit::{functions, left, skipped};
use measure_core::contract::protocol::Message;

use crate::common::{Bench, assert_mentions, ready_rungs};
use crate::modules as m;

#[test]
fn phases_sum_to_the_total_on_every_rung() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    for rung in ready_rungs("phases") {
        let ran = bench.ok(&format!("time 10 --rung {rung} --warmup 2 --workers 2"));
        let samples = ran.samples();
        assert_eq!(samples.iter().filter(|s| !s.warmup).count(), 10);
        for sample in &samples {
            let names: Vec<&str> = sample
                .phases
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            for phase in ["wasi", "instance", "run", "drop"] {
                assert!(names.contains(&phase), "{rung}: {names:?}");
            }
            assert_eq!(
                sample.phases.iter().map(|p| p.1).sum::<u64>(),
                sample.total_ns
            );
        }
        assert!(matches!(ran.messages().last(), Some(Message::Ended)));
    }
}

#[test]
fn parked_workers_wait_inside_and_end_when_released() {
    let bench = Bench::with(&[("park", m::PARK)]);
    for rung in ready_rungs("parking") {
        let mut running = bench.start(&format!("hold 40 --rung {rung} --gated"));
        let pid = running.pid();
        running.until(|m| matches!(m, Message::Ready));
        running.go();
        running.until(|m| matches!(m, Message::Parked { workers: 40 }));
        // Each is a thread that is blocked in a read.
        let blocked = std::fs::read_dir(format!("/proc/{pid}/task"))
            .expect("threads")
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("syscall")).ok())
            .filter(|call| call.split_whitespace().next() == Some("0"))
            .count();
        assert!(
            blocked >= 40,
            "{rung}: only {blocked} are blocked in a read"
        );
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{rung}: {ended:?}");
        assert_eq!(left::cgroups_of(pid).len(), 0);
    }
}

#[test]
fn a_function_that_does_not_block_cannot_be_parked() {
    let bench = Bench::with(&[
        ("noop", m::NOOP),
        ("trap", m::TRAP),
        ("park5", m::PARK_THEN_5),
    ]);
    for (function, says) in [
        ("demo/noop", "ended instead of blocking"),
        ("demo/trap", "unreachable"),
        ("demo/park5", "exit code 5"),
    ] {
        bench.fails(
            4,
            &format!("hold 3 --rung wasm --function {function}"),
            &[says],
        );
    }
}

#[test]
fn numbers_out_of_range_are_usage_errors() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    for args in [
        "time 0 --rung wasm",
        "time 99999999999 --rung wasm",
        "time 1 --rung wasm --workers 0",
        "hold 0 --rung wasm",
        "--deadline 0 time 1 --rung wasm",
        "--deadline nan time 1 --rung wasm",
        "--deadline -1 time 1 --rung wasm",
        "--memory-limit 0 time 1 --rung wasm",
        "--memory-limit 5000 time 1 --rung wasm",
        "time 1 --rung wasm --wrokers 2",
        "tme 1",
    ] {
        let ran = bench.fails(2, args, &[]);
        assert!(!ran.stderr.is_empty());
    }
}

#[test]
fn more_workers_than_the_host_can_have_is_said_before_any_starts() {
    let bench = Bench::with(&[("park", m::PARK)]);
    bench.fails(
        3,
        "hold 100000 --rung wasm",
        &["vm.max_map_count", "sysctl -w"],
    );
}

#[test]
fn an_empty_store_says_how_to_fill_it() {
    let ran = Bench::new().run("time 1 --rung wasm");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_mentions(&ran.stderr, &["demo/noop", "make functions"]);
}

#[test]
fn programs_compiled_from_c_run_on_every_rung() {
    let bench = Bench::new();
    for name in ["noop", "park"] {
        let wasm = bench.home.path().join(name);
        if !functions::compile_wasm(&functions::demo_source(name), &wasm) {
            skipped(
                "programs_compiled_from_c_run_on_every_rung",
                functions::NO_WASI,
            );
            return;
        }
        bench
            .upload(name, &std::fs::read(&wasm).expect("a module"))
            .expect(0);
    }
    for rung in ready_rungs("C programs") {
        bench.ok(&format!("time 5 --rung {rung}"));
        bench.ok(&format!("hold 5 --rung {rung}"));
    }
}

#[test]
fn help_teaches() {
    let ran = Bench::new().run("--help");
    assert_eq!(ran.code, Some(0));
    assert_mentions(
        &ran.stdout,
        &["EXAMPLES", "EXIT CODES", "codegen", "netns", "upload"],
    );
    let ran = Bench::new().run("codegen --help");
    assert_mentions(&ran.stdout, &["ahead of time", "--snapshot", "--count"]);
}
