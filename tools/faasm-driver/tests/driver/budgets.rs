//! What all starts of a process may have together, as a user asks for it.

use std::fs;
use std::os::unix::fs::symlink;

use crate::common::{Bench, assert_mentions, module, ready_rungs};
use crate::modules as m;

/// Begins with 2 MiB.
const LARGE: &str = r#"(module (memory (export "memory") 32) (func (export "_start")))"#;

#[test]
fn a_start_that_does_not_fit_the_memory_is_refused_and_names_the_budget() {
    let bench = Bench::with(&[("large", LARGE), ("noop", m::NOOP)]);
    let time = "time 3 --rung wasm --function demo/large";
    let says = ["--memory-budget", "1048576", "2097152"];
    let ran = bench.fails(4, &format!("--memory-budget 1 {time}"), &says);
    assert_eq!(ran.batch().failed, 3);
    let mut command = bench.command(time);
    command.env("FAASM_BENCH_MEMORY_BUDGET", "1");
    driver_testkit::run(command).expect(4);
    bench.ok(&format!("--memory-budget 4 {time}"));
    bench.ok("--memory-budget 1 time 3 --rung wasm --function demo/noop");
    bench.fails(
        2,
        &format!("--memory-budget 0 {time}"),
        &["--memory-budget is 0"],
    );
}

#[test]
fn budgets_are_told() {
    let bench = Bench::new();
    let help = bench.ok("--help").stdout;
    for option in ["memory", "descriptor", "thread", "cpu"] {
        assert_mentions(&help, &[&format!("--{option}-budget")]);
    }
    assert_mentions(&help, &["--disk-limit", "FAASM_BENCH_DISK_LIMIT"]);
    let info = bench
        .ok("--memory-budget 77 --thread-budget 5 info --rung wasm --json")
        .stdout;
    assert_mentions(
        &info,
        &["memory 77 MiB", "threads 5", "each writes at most 256 MiB"],
    );
}

#[test]
fn parked_workers_that_do_not_fit_are_refused() {
    let bench = Bench::with(&[("park", m::PARK), ("noop", m::NOOP)]);
    bench.fails(
        4,
        "--thread-budget 2 hold 3 --rung wasm",
        &["--thread-budget", "2 of 2"],
    );
    bench.ok("--thread-budget 3 hold 3 --rung wasm");
    for rung in ready_rungs("a quota of CPU time") {
        bench.ok(&format!("--cpu-budget 50 time 2 --rung {rung}"));
    }
}

#[test]
fn what_could_put_code_into_the_store_or_leads_through_a_link_is_not_granted() {
    let bench = Bench::new();
    bench.upload("it", &module(m::NOOP)).expect(0);
    let dir = bench.function_dir("it");
    fs::create_dir_all(dir.join("files/d")).expect("made");
    let time = "time 1 --rung wasm --function demo/it";
    let store = bench.home.path().join("store");
    for host in [".", "..", "../..", store.to_str().expect("text"), "/"] {
        bench.ok(&format!("grant demo/it --dir-writable {host}::/"));
        bench.fails(1, time, &["may not write to", "put code into the store"]);
        bench.ok(&format!("grant demo/it --dir {host}::/"));
        bench.ok(time);
    }
    bench.ok("grant demo/it --dir-writable files::/");
    bench.ok(time);
    // As a start before could have left it.
    fs::remove_dir(dir.join("files/d")).expect("removed");
    symlink("../../../../..", dir.join("files/d")).expect("a link");
    bench.ok("grant demo/it --dir files/d::/");
    bench.fails(1, time, &["symbolic link", "grant the directory itself"]);
}
