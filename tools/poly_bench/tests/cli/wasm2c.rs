//! The column of the second engine, on the modules of the store.

use std::fs;
use std::os::unix::fs::symlink;

use driver_testkit::Ended;
use measure_core::base::home;

use crate::bench::Bench;
use crate::programs::{ENDLESS, TRAP};

/// A home with the engine that `make wasm2c` put into this checkout's; none if there is none.
fn bench(test: &str) -> Option<Bench> {
    let tools = home::root().join("wasm2c");
    if let Err(why) = second_engine::Toolchain::find(&home::root(), "clang-19") {
        eprintln!("SKIPPED: {test}: {why}: `make wasm2c` installs it");
        return None;
    }
    let bench = Bench::new()?;
    symlink(
        fs::canonicalize(tools).expect("there"),
        bench.path("wasm2c"),
    )
    .expect("a link");
    Some(bench)
}

fn measure(bench: &Bench, dataset: &str, timeout: &str) -> Ended {
    bench.measure(&format!(
        "gemm 2 3 --dataset {dataset} --also wasm-wasm2c --timeout {timeout}"
    ))
}

fn rows_of(bench: &Bench, column: &str) -> usize {
    bench.rows().iter().filter(|row| row[1] == column).count()
}

#[test]
fn the_second_engine_is_verified_timed_and_described() {
    let Some(bench) = bench("the_second_engine_is_verified_timed_and_described") else {
        return;
    };
    let ran = measure(&bench, "mini", "60");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(rows_of(&bench, "wasm-wasm2c"), 3);
    assert_eq!(rows_of(&bench, "wasm"), 3);
    let report = fs::read_to_string(bench.path("run/report.md")).expect("a report");
    for told in [
        "wasm-wasm2c agrees in all 500 elements",
        "their code alone is the second engine's",
        "-ffp-contract=off",
    ] {
        assert!(report.contains(told), "no `{told}`: {report}");
    }
    let dump = |column| bench.run(&format!("dump gemm {column} --dataset mini"));
    let (wasm, second) = (dump("wasm"), dump("wasm-wasm2c"));
    assert!(wasm.stdout.contains("begin dump: C"), "{wasm:?}");
    assert_eq!(wasm.stdout, second.stdout);
    // One library, and nothing of the work that made it.
    let left = fs::read_dir(bench.path("by-c")).expect("the cache");
    assert_eq!(left.count(), 1);
}

#[test]
fn a_changed_module_is_compiled_anew_and_replaces_the_old() {
    let Some(bench) = bench("a_changed_module_is_compiled_anew_and_replaces_the_old") else {
        return;
    };
    let files = || {
        let entries = fs::read_dir(bench.path("by-c")).expect("the cache");
        let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let dump = || bench.run("dump gemm wasm-wasm2c --dataset mini");
    let begin = |name: &str| format!("begin dump: {name}");
    assert!(dump().stdout.contains(&begin("C")));
    let before = files();
    let other = fs::read(bench.path("store/polybench/poly_gramschmidt-mini/function.wasm"));
    bench.put_wasm("poly_gemm-mini", &other.expect("a module"));
    assert!(dump().stdout.contains(&begin("R")));
    let after = files();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
}

#[test]
fn a_trap_in_the_second_engine_is_reported() {
    let Some(bench) = bench("a_trap_in_the_second_engine_is_reported") else {
        return;
    };
    bench.put_wat("poly_gemm-mini", TRAP);
    let ran = measure(&bench, "mini", "60");
    ran.assert_failed(4, &["wasm-wasm2c: ", "integer divide by zero"]);
    assert_eq!(
        (rows_of(&bench, "wasm-wasm2c"), rows_of(&bench, "native")),
        (0, 2)
    );
}

#[test]
fn a_module_that_never_ends_is_ended_in_the_second_engine() {
    let Some(bench) = bench("a_module_that_never_ends_is_ended_in_the_second_engine") else {
        return;
    };
    bench.put_wat("poly_gemm-mini", ENDLESS);
    // In seconds: the native program has as long, and must make it on a busy host.
    let ran = measure(&bench, "mini", "5");
    ran.assert_failed(4, &["wasm-wasm2c: still running after 5s", "--timeout"]);
    assert_eq!(
        (rows_of(&bench, "wasm-wasm2c"), rows_of(&bench, "native")),
        (0, 2)
    );
}

#[test]
fn without_its_tools_it_says_how_to_install_them() {
    let Some(bench) = Bench::new() else { return };
    let ran = measure(&bench, "mini", "60");
    ran.assert_failed(
        3,
        &["wasm-wasm2c", "bin/wasm2c is missing", "`make wasm2c`"],
    );
    assert!(!bench.path("rows.csv").exists());
    // A name that is nearly right.
    let ran = bench.run("gemm 1 1 --also wasm-wasm2");
    ran.assert_failed(2, &["wasm-wasm2c"]);
}
