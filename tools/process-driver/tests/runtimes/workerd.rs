//! workerd's two rungs on the real one, where it is installed. That they start, park and leave nothing is tested with all others.

use std::fs;

use driver_testkit::{functions, skipped};
use measure_core::base::exit::Exit;
use measure_core::contract::protocol::Message;

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

#[test]
fn a_function_is_given_its_texts_and_what_it_writes_is_handed_back() {
    let Some(bench) = bench() else { return };
    let source = bench.path().join("wasm.c");
    let text = "#include <stdio.h>\n#include <stdlib.h>\nint main(int n, char **a)\n{\n    if (n < 2) return 9;\n    for (int i = 1; i < n; i++)\n        printf(\"[%s]\", a[i]);\n    printf(\" %s\\n\", getenv(\"WHO\") ? getenv(\"WHO\") : \"nobody\");\n    for (int i = 0; i < 50000; i++)\n        printf(\"%d\\n\", i);\n    fprintf(stderr, \"apart\");\n    return atoi(a[1]);\n}\n";
    fs::write(&source, text).expect("written");
    let add = |name: &str, toml: &str| {
        let dir = bench.path().join("test").join(name);
        assert!(functions::compile_wasm(&source, &dir.join("function.wasm")));
        fs::write(dir.join("function.toml"), toml).expect("written");
    };
    add("says", "args = ['0', 'a \"b\"']\n[env]\nWHO = 'k=v'\n");
    add("fails", "args = ['7']\n");
    add("reads", "args = ['0']\nstdin = 'function.toml'\n");
    let rest: String = (0..50_000).map(|i| format!("{i}\n")).collect();
    let answer = |rung: &str, name: &str| {
        let ended = bench.run(&format!("run --rung {rung} --function test/{name}"));
        let answer = ended.messages().into_iter().find_map(|m| match m {
            Message::Answer(answer) => Some(answer),
            _ => None,
        });
        (ended, answer)
    };
    for rung in RUNGS {
        let (ended, said) = answer(rung, "says");
        ended.expect(0).left_nothing();
        let said = said.expect("an answer");
        assert_eq!(said.exit_code, Some(0), "{rung}");
        let stdout = String::from_utf8_lossy(&said.stdout.kept).into_owned();
        assert_eq!(stdout, format!("[0][a \"b\"] k=v\n{rest}"), "{rung}");
        let (_, fails) = answer(rung, "fails");
        assert_eq!(fails.expect("an answer").exit_code, Some(7), "{rung}");
        let (_, traps) = answer(rung, "traps");
        let traps = traps.expect("an answer").failure.expect("a trap");
        assert!(traps.contains("unreachable"), "{rung}: {traps}");
        let (ended, _) = answer(rung, "reads");
        ended
            .expect(Exit::Unavailable as i32)
            .says("test/reads is given a standard input");
        let ended = bench.run(&format!("time 3 --rung {rung} --function test/says"));
        ended.expect(0).left_nothing();
    }
}
