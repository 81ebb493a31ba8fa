//! Two runs held against each other.

use std::fs;

use crate::bench::{BOTH, Bench};

/// Lets poly_gemm-mini take about so many milliseconds natively, by its own word, and measures it.
fn measure(bench: &Bench, ms: u32, run: &str, more: &str) {
    let source = format!(
        r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <time.h>
        int main(int argc, char **argv) {{
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            for (int i = atoi(argv[argc - 1]); i > 0; i--)
                printf("%ld\n", {ms}000000 + now.tv_nsec % 1000);
        }}"#
    );
    bench.compile_native("poly_gemm-mini", &source);
    let args = format!("gemm 6 0 --dataset mini {BOTH} --output rows.csv --run-dir {run} {more}");
    let ran = bench.run(&args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_slower_run_is_told_and_can_fail() {
    let Some(bench) = Bench::new() else { return };
    measure(&bench, 20, "a", "");
    measure(&bench, 25, "b", "");
    let ran = bench.run("compare a b --fail-on slower --csv c.csv --json c.json");
    assert_eq!(ran.code, Some(8), "{ran:?}");
    for told in ["native: programs_sha256", "1.25 .. 1.25", "slower"] {
        assert!(ran.stdout.contains(told), "no `{told}`: {ran:?}");
    }
    let csv = fs::read_to_string(bench.path("c.csv")).expect("written");
    assert!(csv.contains(",slower"), "{csv}");
    let json = fs::read_to_string(bench.path("c.json")).expect("written");
    assert!(json.contains("\"verdict\": \"slower\""), "{json}");
    // The other way round it is faster, which is no failure; nor is no difference.
    for (runs, told) in [("b a", "faster"), ("a a", "no difference")] {
        let ran = bench.run(&format!("compare {runs} --fail-on slower"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(told), "{ran:?}");
    }
    // A tenth is beyond no margin of half.
    let ran = bench.run("compare a b --margin 50 --fail-on slower");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn what_is_not_the_same_is_refused_with_the_reason() {
    let Some(bench) = Bench::new() else { return };
    let ran =
        bench.run("gemm 0 2 --dataset small --columns native,wasm --output x.csv --run-dir small");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran =
        bench.run("gemm 0 2 --dataset mini --columns native,wasm --output x.csv --run-dir wasm");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // Last: what it puts in the place of the native program computes nothing.
    measure(&bench, 20, "a", "");
    let copy = |name: &str, from: &str, to: &str| {
        let dir = bench.path(name);
        fs::create_dir(&dir).expect("made");
        for file in ["samples.jsonl", "comparison.json", "environment.json"] {
            let text = fs::read_to_string(bench.path("a").join(file)).expect("there");
            fs::write(dir.join(file), text.replace(from, to)).expect("written");
        }
    };
    copy(
        "other",
        "\"suite\": \"polybench\"",
        "\"suite\": \"pybench\"",
    );
    copy("newer", "\"schema\": 2", "\"schema\": 99");
    for (second, code, says) in [
        ("small", 2, "no benchmark in common"),
        (
            "wasm",
            2,
            "no column in common: the first has native, the second wasm",
        ),
        ("other", 2, "a run of polybench, the second of pybench"),
        ("newer", 1, "schema 99"),
        ("nowhere", 1, "cannot read"),
        ("a --margin 5000", 2, "--margin is 5000"),
        ("a --fail-on faster", 2, "possible values: slower"),
        (
            "a --csv no/such/x.csv",
            5,
            "choose another place with --csv",
        ),
    ] {
        bench
            .run(&format!("compare a {second}"))
            .assert_failed(code, &[says]);
    }
    // A torn line is left out.
    let samples = bench.path("a/samples.jsonl");
    let text = fs::read_to_string(&samples).expect("there");
    fs::write(&samples, &text[..text.len() - 20]).expect("written");
    let ran = bench.run("compare a a");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Until schema 2 one process made all Wasm runs of a column, and the records do not number processes.
#[test]
fn an_old_run_is_read_and_what_was_another_design_left_out() {
    let Some(bench) = Bench::new() else { return };
    let ran =
        bench.run("gemm 6 6 --dataset mini --columns native,wasm --output x.csv --run-dir new");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let old = bench.path("old");
    fs::create_dir(&old).expect("made");
    for file in ["samples.jsonl", "comparison.json", "environment.json"] {
        let text = fs::read_to_string(bench.path("new").join(file)).expect("there");
        let mut text = text.replace("\"schema\":2", "\"schema\":1");
        for process in 1..=6 {
            text = text.replace(&format!("\"process\":{process},"), "");
        }
        fs::write(old.join(file), text).expect("written");
    }
    let ran = bench.run("compare old new");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for told in ["poly_gemm-mini, wasm: in one run a process made all", "(6)"] {
        assert!(ran.stdout.contains(told), "no `{told}`: {ran:?}");
    }
    let ran = bench.run("compare old old");
    assert!(ran.stdout.contains("1 process, 6 are needed"), "{ran:?}");
}

#[test]
fn a_column_is_measured_as_if_it_were_two() {
    let Some(bench) = Bench::new() else { return };
    let ran = bench.run("gemm 6 0 --dataset mini --aa 2 --output rows.csv --run-dir run");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("A/A: of 2 comparisons"), "{ran:?}");
    assert_eq!(bench.rows().len(), 4 * 6);
    let info = fs::read_to_string(bench.path("run/comparison.json")).expect("there");
    // Each column has layouts of its own.
    assert_eq!(info.matches("padding_bytes").count(), 4 * 6, "{info}");
    bench
        .run("gemm 6 0 --aa 0")
        .assert_failed(2, &["--aa is 0, it must be 1 to 8"]);
}
