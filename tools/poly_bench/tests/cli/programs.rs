//! Programs that fail, disagree, trap or never end: reported, and what else was measured is kept.

use std::fs;
use std::path::Path;

use driver_testkit::{Ended, eventually};

use crate::bench::Bench;

pub const ENDLESS: &str =
    r#"(module (memory (export "memory") 1) (func $spin (export "_start") (loop $on (br $on))))"#;
pub const TRAP: &str = r#"(module (memory (export "memory") 1)
    (func $divide (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
    (func (export "_start") (drop (call $divide (i32.const 0)))))"#;
const EXIT_3: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 3))))"#;

/// A module or program in place of poly_gemm-mini; poly_gemm-small is sound and comes after it.
fn measure(bench: &Bench) -> Ended {
    bench.measure("gemm 2 2 --dataset mini,small --timeout 20")
}

#[track_caller]
fn assert_others_kept(bench: &Bench) {
    let rows = bench.rows();
    assert_eq!(
        rows.iter()
            .filter(|row| row[0] == "poly_gemm-small")
            .count(),
        4
    );
    assert!(
        !rows
            .iter()
            .any(|row| row[0] == "poly_gemm-mini" && row[1] == "wasm")
    );
}

#[test]
fn a_module_that_traps_is_reported_and_the_others_measured() {
    let Some(bench) = Bench::new() else { return };
    bench.put_wat("poly_gemm-mini", TRAP);
    measure(&bench).assert_failed(
        4,
        &["trap: ", "divide by zero in `divide` < ", "1 of 2 failed"],
    );
    assert_others_kept(&bench);
    let report = fs::read_to_string(bench.path("run/report.md")).expect("a report");
    assert!(report.contains("divide by zero"), "{report}");
}

#[test]
fn a_module_that_never_ends_is_ended() {
    let Some(bench) = Bench::new() else { return };
    bench.put_wat("poly_gemm-mini", ENDLESS);
    let ran = bench.measure("gemm 0 2 --dataset mini --timeout 0.3");
    ran.assert_failed(4, &["wasm: still running after 300ms", "--timeout"]);
}

#[test]
fn an_exit_code_is_a_failure_on_either_side() {
    let Some(bench) = Bench::new() else { return };
    bench.put_wat("poly_gemm-mini", EXIT_3);
    measure(&bench).assert_failed(4, &["wasm: exit code 3"]);
    assert_others_kept(&bench);

    let Some(bench) = Bench::new() else { return };
    let source = "#include <stdio.h>\nint main(void) { fputs(\"no luck\\n\", stderr); return 3; }";
    bench.compile_native("poly_gemm-mini", source);
    measure(&bench).assert_failed(4, &["native: exit code 3 (it said: no luck)"]);
    assert_others_kept(&bench);
}

#[test]
fn a_native_program_that_never_ends_is_ended_with_what_it_started() {
    let Some(bench) = Bench::new() else { return };
    let source = "#include <unistd.h>\nint main(void) { fork(); for (;;) pause(); }";
    bench.compile_native("poly_gemm-mini", source);
    let ran = bench.measure("gemm 2 0 --dataset mini --timeout 0.3");
    ran.assert_failed(4, &["native: still running after 300ms"]);
    // What it started is killed with it, but nobody waits for its end.
    eventually("the end of all", || processes_of(&bench) == 0);
}

/// How many processes run a native program of this home.
pub fn processes_of(bench: &Bench) -> usize {
    processes_in(&bench.native_dir())
}

/// How many processes run a program of `dir`.
pub fn processes_in(dir: &Path) -> usize {
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path().join("exe")).ok())
        .filter(|exe| exe.starts_with(dir))
        .count()
}

#[test]
fn a_native_program_that_crashes_is_reported() {
    let Some(bench) = Bench::new() else { return };
    bench.compile_native(
        "poly_gemm-mini",
        "#include <stdlib.h>\nint main(void) { abort(); }",
    );
    measure(&bench).assert_failed(4, &["native: ended by SIGABRT"]);
    assert_others_kept(&bench);
    // As a program built for another CPU ends.
    bench.compile_native("poly_gemm-mini", "int main(void) { __builtin_trap(); }");
    fs::remove_dir_all(bench.path("run")).expect("removed");
    measure(&bench).assert_failed(4, &["SIGILL", "make polybench-native"]);
}

#[test]
fn one_that_computes_something_else_is_not_timed() {
    let Some(bench) = Bench::new() else { return };
    let gramschmidt = fs::read(bench.path("store/polybench/poly_gramschmidt-mini/function.wasm"));
    bench.put_wasm("poly_gemm-mini", &gramschmidt.expect("a module"));
    let ran = measure(&bench);
    ran.assert_failed(4, &["wasm is not timed", "has other arrays"]);
    assert_others_kept(&bench);
}

#[test]
fn output_that_is_none_is_reported() {
    let source = r#"
        #include <stdio.h>
        #include <string.h>
        int main(int argc, char **argv) {
            if (argc > 1 && !strcmp(argv[1], "--raw")) puts("C double 500");
            else puts("fast");
        }"#;
    let Some(bench) = Bench::new() else { return };
    bench.compile_native("poly_gemm-mini", source);
    measure(&bench).assert_failed(4, &["array C ends after 0 of 500"]);
    assert_others_kept(&bench);
    fs::remove_dir_all(bench.path("run")).expect("removed");
    let ran = bench.measure("gemm 2 0 --dataset mini");
    ran.assert_failed(4, &["wrote `fast`"]);
}

#[test]
fn one_that_fails_in_mid_run_keeps_its_rows() {
    // It runs well for a while: as long as a file says so.
    let Some(bench) = Bench::new() else { return };
    let path = bench.path("count");
    let source = format!(
        r#"
        #include <stdio.h>
        int main(void) {{
            FILE *f = fopen("{path}", "a");
            fputc('x', f);
            if (ftell(f) > 5) return 1;
            puts("20000000");
        }}"#,
        path = path.display()
    );
    bench.compile_native("poly_gemm-mini", &source);
    let ran = bench.measure("gemm 50 0 --dataset mini");
    ran.assert_failed(4, &["native: exit code 1"]);
    // One of the five good runs was for calibration.
    let rows = bench.rows();
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows.iter().all(|row| row[2] == "20000.000"), "{rows:?}");
}
