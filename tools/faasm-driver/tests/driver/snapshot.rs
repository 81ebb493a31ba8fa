//! Snapshots from the command line, and the rungs that start from them.

use std::fs;
use std::path::Path;

use driver_testkit::functions::{Compiled, WASI_FLAGS, compile};
use driver_testkit::skipped;
use measure_core::contract::protocol::Message;

use crate::common::{Bench, assert_mentions, ready_rungs};
use crate::modules as m;

const RUNGS: [&str; 4] = [
    "proto-faaslet",
    "proto-faaslet-pooled",
    "proto-faaslet-llvm",
    "proto-faaslet-llvm-pooled",
];

/// Counts how often it was initialised, and reads standard input to its end. Exits with 9 unless it was
/// initialised once, and leaves the memory dirty.
const INITIALISED: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\01\00\00\00")
    (func $warm_up (export "warm_up") (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (i32.const 1))))
    (func $go_on (export "go_on")
        (if (i32.ne (i32.load (i32.const 100)) (i32.const 1)) (then (call $exit (i32.const 9))))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
        (i32.store (i32.const 100) (i32.const 7)))
    (func (export "_start") (call $warm_up) (call $go_on)))"#;

fn proto_rungs(test: &str) -> Vec<String> {
    let mut ready = ready_rungs(test);
    ready.retain(|rung| RUNGS.contains(&rung.as_str()));
    ready
}

#[test]
fn starts_and_parked_workers_come_from_the_snapshot() {
    let bench = Bench::with(&[("it", INITIALISED)]);
    let taken = bench.ok("codegen demo/it --count 2 --snapshot --init warm_up --entry go_on");
    assert_mentions(&taken.stdout, &["demo/it: snapshot taken"]);
    // What was asked for is remembered.
    let again = bench.run("codegen --snapshot demo/it");
    assert_mentions(&again.stdout, &["demo/it: up to date"]);
    for rung in proto_rungs("starts from snapshots") {
        let ran = bench.ok(&format!(
            "time 30 --rung {rung} --function demo/it --workers 3"
        ));
        assert_eq!((ran.samples().len(), ran.batch().failed), (30, 0));
        let mut held = bench.start(&format!("hold 3 --rung {rung} --function demo/it"));
        held.until(|message| matches!(message, Message::Parked { .. }));
        held.end().expect(0);
    }
}

#[test]
fn a_function_without_an_initialiser_runs_on_these_rungs_too() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    for rung in proto_rungs("no initialiser") {
        bench.ok(&format!("time 5 --rung {rung}"));
    }
    // Where no function was named there is nothing to take.
    let ran = bench.ok("codegen --snapshot");
    assert_mentions(&ran.stderr, &["nothing to snapshot", "wizer.initialize"]);
}

#[test]
fn what_cannot_be_snapshotted_is_told() {
    let bench = Bench::with(&[("it", INITIALISED)]);
    let fails = |args: &str, code, says: &[&str]| {
        bench.fails(code, &format!("codegen {args}"), says);
    };
    fails(
        "--snapshot --init warmup demo/it",
        1,
        &["demo/it", "did you mean `warm_up`?"],
    );
    let no_entry = "--snapshot --init warm_up demo/it";
    fails(no_entry, 1, &["second time", "--entry"]);
    fails("--snapshot demo/is", 2, &["did you mean `demo/it`?"]);
    fails("--init warm_up demo/it", 2, &["--snapshot"]);
    fails("--snapshot --count 0 demo/it", 1, &["it must be 1 to 64"]);
}

#[test]
fn a_function_has_the_directories_that_it_was_granted() {
    let bench = Bench::with(&[("it", m::OPENS_FILE)]);
    let files = bench.function_dir("it").join("files");
    fs::create_dir(&files).expect("a directory");
    fs::write(files.join("passwd"), "x").expect("a file");
    let start = || bench.run("time 1 --rung wasm --function demo/it");
    assert_eq!(start().code, Some(4), "no directory: EBADF");
    let grant = |args: &str| bench.run(&format!("grant demo/it {args}"));
    grant("--dir files::/").expect(0);
    // The program asks for a path that leads out of it.
    let error = start().samples().remove(0).error.expect("an error");
    assert_mentions(&error, &["exit code"]);
    assert!(!error.contains("exit code 8"));
    assert_mentions(&grant("--dir files").expect(2).stderr, &["HOST::GUEST"]);
    grant("--env novalue").expect(2);
    grant("--dir nowhere::/").expect(0);
    assert_mentions(&start().expect(1).stderr, &["nowhere"]);
}

/// The demo in C, from its source to a start.
#[test]
fn the_demo_with_an_initialiser_runs_from_a_snapshot() {
    let bench = Bench::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/sieve.c");
    let wasm = bench.home.path().join("sieve.wasm");
    let more = ["-O3", "-nostartfiles", "-Wl,--strip-debug"];
    let flags = [&WASI_FLAGS[..], &more].concat();
    match compile("clang-19", &flags, &source, &wasm) {
        Compiled::Made => {}
        other => {
            skipped(
                "demo/sieve from a snapshot",
                format!("clang-19 cannot build it here: {other:?}"),
            );
            return;
        }
    }
    let bytes = fs::read(&wasm).expect("a module");
    bench.upload("sieve", &bytes).expect(0);
    bench.ok("time 2 --rung wasm --function demo/sieve");
    let ran = bench.run("codegen --snapshot");
    assert_mentions(&ran.stdout, &["demo/sieve: snapshot taken"]);
    for rung in proto_rungs("demo/sieve from a snapshot") {
        bench.ok(&format!("time 20 --rung {rung} --function demo/sieve"));
    }
}
