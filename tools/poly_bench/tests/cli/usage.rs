//! Wrong command lines and homes that lack something: told before anything is measured.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use crate::bench::Bench;

#[test]
fn wrong_words_are_told() {
    let Some(bench) = Bench::new() else { return };
    for (line, words) in [
        (
            "gem 5 5",
            &["unknown kernel `gem`", "did you mean `gemm`?"][..],
        ),
        ("gemm five 5", &["`five` is no number of iterations"]),
        ("gemm 5 1.5", &["`1.5` is no number"]),
        ("gemm 5 99999999999", &["no number of iterations"]),
        ("gemm 5 200000", &["0 to 100000"]),
        ("gemm 0 0", &["nothing to do"]),
        ("gemm 5", &["poly_bench all 5 5"]),
        ("", &["poly_bench all 5 5"]),
        ("gemm 5 5 --dataset medum", &["unknown dataset", "`medium`"]),
        ("gemm 5 5 --type half", &["unknown type `half`"]),
        (
            "gemm 5 5 --also nativ-o3",
            &["unknown column", "`native-o3`"],
        ),
        ("gemm 5 5 --timeout 0", &["--timeout is 0"]),
        ("gemm 5 5 --timeout nan", &["--timeout is NaN"]),
        ("gemm 5 5 --profile jitdmp", &["`jitdump`"]),
        ("dump gemm nativ", &["unknown column", "`native`"]),
        ("gemm 5 5 --outptu x", &["--output"]),
    ] {
        bench.run(line).assert_failed(2, words);
    }
    let mut profiled = bench.command("gemm 1 1");
    profiled.env("FAASM_BENCH_PROFILE", "x");
    driver_testkit::run(profiled).assert_failed(2, &["FAASM_BENCH_PROFILE"]);
    assert!(!bench.path("results").exists(), "nothing was made");
}

/// As its name is nearly that of a command.
#[test]
fn a_kernel_may_be_written_without_prefix() {
    let bench = Bench::empty();
    for kernel in ["ludcmp", "lu", "poly_ludcmp"] {
        let ran = bench.measure(&format!("{kernel} 1 1"));
        ran.assert_failed(3, &["is missing"]);
    }
}

#[test]
fn a_missing_program_names_what_builds_it() {
    let Some(bench) = Bench::new() else { return };
    fs::remove_file(bench.native_dir().join("poly_gemm-mini")).expect("removed");
    let ran = bench.measure("gemm 5 5 --dataset mini");
    ran.assert_failed(3, &["poly_gemm-mini is missing", "`make polybench-native`"]);
    let ran = bench.measure("nussinov 5 5 --dataset small");
    ran.assert_failed(3, &["not in the store", "make compile FUNC_USER=polybench"]);
    // All that lacks is found at once, and only some of it is told.
    let ran = bench.measure("all 5 5 --dataset large");
    ran.assert_failed(3, &["poly_2mm is missing", "and 57 more"]);
    bench
        .run("dump gemm native")
        .assert_failed(3, &["make polybench-native"]);
    assert!(!bench.path("run").exists(), "nothing was made");
}

#[test]
fn a_stale_program_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let flags = File::create(bench.native_dir().join("flags")).expect("flags");
    let later = SystemTime::now() + Duration::from_secs(3600);
    flags.set_modified(later).expect("newer than the programs");
    let ran = bench.measure("gemm 1 1 --dataset mini");
    ran.assert_failed(3, &["is stale", "flags is newer", "make polybench-native"]);
}

#[test]
fn a_foreign_program_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let program = fs::read(bench.native_dir().join("poly_gemm-mini")).expect("a program");
    let with = |at: usize, value: u8| {
        let mut bytes = program.clone();
        bytes[at] = value;
        bytes
    };
    // ELF for another machine (243 is RISC-V), of another word size, for another system, a script, nothing.
    for (bytes, says) in [
        (with(18, 243), "is foreign: built for ELF machine 243"),
        (with(4, 1), "(32 bit)"),
        (
            b"MZ\x90\0 and so on, long enough for a header".to_vec(),
            "no ELF header",
        ),
        (b"#!/bin/sh\nexit 0\n".to_vec(), "no ELF header"),
        (Vec::new(), "no ELF header"),
    ] {
        bench.put_native("poly_gemm-mini", &bytes);
        let ran = bench.measure("gemm 1 1 --dataset mini");
        ran.assert_failed(3, &[says, "make polybench-native"]);
    }
}

#[test]
fn a_module_that_is_none_is_reported() {
    let Some(bench) = Bench::new() else { return };
    bench.put_wasm("poly_gemm-mini", b"\0asm but not really");
    let ran = bench.measure("gemm 1 1 --dataset mini,small");
    ran.assert_failed(
        4,
        &["poly_gemm-mini: wasm:", "make compile", "1 of 2 failed"],
    );
    assert!(bench.rows().iter().any(|row| row[0] == "poly_gemm-small"));
}

#[test]
fn what_is_no_run_is_not_reported() {
    let bench = Bench::empty();
    bench
        .run("report nowhere")
        .assert_failed(1, &["cannot read", "nowhere"]);
    assert!(!bench.path("nowhere").exists());
    fs::create_dir(bench.path("empty")).expect("a directory");
    fs::write(bench.path("empty/samples.jsonl"), "").expect("written");
    bench
        .run("report empty")
        .assert_failed(1, &["comparison.json"]);
}

#[test]
fn help_teaches() {
    let ran = Bench::empty().run("--help");
    assert_eq!(ran.code, Some(0));
    for word in [
        "EXAMPLES",
        "EXIT CODES",
        "poly_bench dump",
        "--dataset",
        "FAASM_BENCH_HOME",
    ] {
        assert!(ran.stdout.contains(word), "{word}");
    }
}
