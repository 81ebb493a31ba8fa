//! The chain of docs/profiling.md on both sides: record, inject, report, and the hot kernel found by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use faaslet::{EngineSettings, FaasletEngine, Store};
use measure_core::base::ids::FunctionId;
use tempfile::TempDir;

const PROGRAM: &str = "poly_ludcmp-medium";
const KERNEL: &str = "kernel_ludcmp";
/// What virtual machines have, too.
const EVENT: [&str; 2] = ["-e", "cpu-clock"];

fn ran(what: &str, output: std::io::Result<Output>) -> String {
    let output = output.unwrap_or_else(|e| panic!("{what}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `perf`, in `dir` and with its cache there.
fn perf(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("perf");
    command
        .args(args)
        .current_dir(dir)
        .env("HOME", dir)
        .env("FAASM_BENCH_HOME", dir)
        .env_remove("FAASM_BENCH_PROFILE");
    command
}

/// A directory to work in; `None`, said, where this host cannot profile.
fn workplace(test: &str) -> Option<TempDir> {
    let dir = TempDir::new().expect("a temporary directory");
    let mut probe = perf(dir.path(), &["record", "-q", "-N", "-o", "probe.data"]);
    let why = match probe.args(EVENT).args(["--", "true"]).output() {
        Ok(output) if output.status.success() => return Some(dir),
        Ok(output) => String::from_utf8_lossy(&output.stderr)
            .lines()
            .next()
            .unwrap_or("perf record fails")
            .to_owned(),
        Err(error) => format!("no perf ({error}), install linux-perf"),
    };
    eprintln!("SKIPPED: {test}: {why}");
    None
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../polybench-src/ludcmp.c")
}

/// Puts the kernel into the store below `dir`.
fn build_wasm(dir: &Path, link: &str) {
    let (object, file) = (dir.join("module.o"), dir.join("module.wasm"));
    let clang = || {
        let mut clang = Command::new("clang-19");
        clang.args(["--target=wasm32-wasi", "--sysroot=/usr"]);
        clang
    };
    let mut compile = clang();
    compile
        .args(["-O2", "-msimd128", "-DMEDIUM_DATASET", "-c", "-o"])
        .args([&object, &source()]);
    ran("clang", compile.output());
    // Apart and without -O: with it clang has wasm-opt, where there is one, strip what it links.
    let linked = clang().args([link, "-o"]).args([&file, &object]).output();
    ran("clang", linked);
    let engine = FaasletEngine::new(EngineSettings {
        instances: 1,
        ..EngineSettings::default()
    })
    .expect("an engine");
    let id = FunctionId::new("polybench", PROGRAM).expect("an id");
    let wasm = fs::read(&file).expect("a module");
    Store::at(dir.join("store"))
        .upload(&engine, &id, &wasm)
        .expect("uploaded");
}

/// Records a run of `poly_bench`, Wasm only, into perf.data.
fn record_wasm(dir: &Path, profile: &str) {
    let mut record = perf(dir, &["record", "-q", "-N", "-k", "1", "-o", "perf.data"]);
    record
        .args(EVENT)
        .args(["--", env!("CARGO_BIN_EXE_poly_bench")])
        .args(["poly_ludcmp", "0", "3", "--dataset", "medium"])
        .args(["--columns", "wasm"])
        .args(["--output", "rows.csv", "--run-dir", "run"])
        .env("FAASM_BENCH_PROFILE", profile);
    ran("perf record", record.output());
}

/// Symbols of a profile, the hottest first, of those objects whose name contains `object`.
fn hottest(dir: &Path, data: &str, object: &str) -> Vec<String> {
    let args = [
        "report",
        "--stdio",
        "-g",
        "none",
        "--sort",
        "dso,symbol",
        "-i",
        data,
    ];
    let report = ran("perf report", perf(dir, &args).output());
    let symbols: Vec<String> = report
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(object))
        .filter_map(|line| line.split_once("[.] "))
        // Further columns may follow; a name of C has no space.
        .filter_map(|(_, symbol)| symbol.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(!symbols.is_empty(), "nothing of {object} in {report}");
    symbols
}

#[test]
fn the_hot_kernel_of_a_faaslet_is_found_by_name() {
    let Some(dir) = workplace("the_hot_kernel_of_a_faaslet_is_found_by_name") else {
        return;
    };
    let dir = dir.path();
    build_wasm(dir, "-Wl,--strip-debug");
    record_wasm(dir, "jitdump");
    let inject = ["inject", "-j", "-i", "perf.data", "-o", "perf.data.wasm"];
    ran("perf inject", perf(dir, &inject).output());
    assert_eq!(hottest(dir, "perf.data.wasm", "jitted-")[0], KERNEL);
}

#[test]
fn without_jitdump_generated_names_are_shown_and_mapped() {
    let Some(dir) = workplace("without_jitdump_generated_names_are_shown_and_mapped") else {
        return;
    };
    let dir = dir.path();
    build_wasm(dir, "-Wl,--strip-all");
    record_wasm(dir, "off");
    let generated = hottest(dir, "perf.data", ".cwasm").remove(0);
    assert!(generated.starts_with("wasm[0]::function["), "{generated}");

    // The same module with its names has the same functions.
    build_wasm(dir, "-Wl,--strip-debug");
    let func_sym = Path::new(env!("CARGO_BIN_EXE_poly_bench")).with_file_name("func_sym");
    if !func_sym.exists() {
        eprintln!(
            "SKIPPED: mapping of {generated}: func_sym is not built, `cargo build` the workspace"
        );
        return;
    }
    let mut map = Command::new(func_sym);
    map.args(["polybench", "ludcmp-medium"])
        .env("FAASM_BENCH_HOME", dir);
    let line = format!("{generated}::{KERNEL} = {KERNEL}");
    let mapping = ran("func_sym", map.output());
    assert!(mapping.lines().any(|l| l == line), "{line}: {mapping}");
}

#[test]
fn the_hot_kernel_of_a_native_program_is_found_by_name() {
    let Some(dir) = workplace("the_hot_kernel_of_a_native_program_is_found_by_name") else {
        return;
    };
    let dir = dir.path();
    let program = dir.join(PROGRAM);
    let mut compiler = Command::new("clang-19");
    compiler
        .args([
            "-O2",
            "-g",
            "-fno-omit-frame-pointer",
            "-DMEDIUM_DATASET",
            "-o",
        ])
        .args([&program, &source()])
        .arg("-lm");
    ran("clang", compiler.output());
    let mut record = perf(dir, &["record", "-q", "-N", "-o", "perf.data.native"]);
    record
        .args(EVENT)
        .arg("--")
        .arg(&program)
        .args(["--time", "3"]);
    ran("perf record", record.output());
    assert_eq!(hottest(dir, "perf.data.native", PROGRAM)[0], KERNEL);
}
