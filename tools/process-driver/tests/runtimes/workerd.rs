//! workerd's two rungs on the real one, where it is installed. That they start, park and leave nothing is tested with all others.

use std::fs;

use driver_testkit::{functions, skipped};
use measure_core::base::exit::Exit;

use crate::common::Bench;

const RUNGS: [&str; 2] = ["workerd", "workerd-worker"];

/// With functions as Wasm: `test/three` ends with 3, `test/traps` traps, `test/writes` uses more of WASI and ends well.
fn bench() -> Option<Bench> {
    let bench = Bench::new()?;
    if !bench.compile_wasm() {
        skipped("workerd", functions::NO_WASI);
        return None;
    }
    for (name, text) in [
        ("three", "int main(void) { return 3; }"),
        ("traps", "int main(void) { __builtin_trap(); }"),
        (
            "writes",
            "#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\nint main(void) { puts(\"x\"); return time(0) < 1700000000 || fopen(\"/x\", \"r\") != 0; }",
        ),
    ] {
        let source = bench.path().join("wasm.c");
        fs::write(&source, text).expect("written");
        let target = bench.path().join("test").join(name).join("function.wasm");
        assert!(functions::compile_wasm(&source, &target), "{name}");
    }
    let info = bench.run("info --rung workerd");
    if !info.stdout.contains("    ready") {
        skipped("workerd", info.stdout.trim());
        return None;
    }
    Some(bench)
}

#[test]
fn an_exit_code_and_a_trap_are_failed_starts_and_the_next_one_is_good() {
    let Some(bench) = bench() else { return };
    for rung in RUNGS {
        for (function, words) in [
            ("three", "test/three ended with exit code 3"),
            ("traps", "RuntimeError: unreachable"),
        ] {
            let ended = bench.run(&format!("time 3 --rung {rung} --function test/{function}"));
            ended.expect(Exit::StartFailed as i32);
            // Of the rung with one process the answer to the request that failed must not be taken for the next one's.
            for sample in ended.samples() {
                let error = sample.error.expect("an error");
                assert!(error.contains(words), "{rung}: {error}");
            }
            ended.left_nothing();
        }
        let ended = bench.run(&format!("time 3 --rung {rung} --function test/writes"));
        ended.expect(0).left_nothing();
    }
}

#[test]
fn what_ends_instead_of_staying_blocked_is_told() {
    let Some(bench) = bench() else { return };
    for rung in RUNGS {
        let ended = bench.run(&format!("hold 1 --rung {rung} --function demo/noop"));
        ended
            .expect(Exit::StartFailed as i32)
            .says("as demo/park does");
        ended.left_nothing();
    }
}
