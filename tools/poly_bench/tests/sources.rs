//! The kernels of polybench-src and their build: each computes and prints what PolyBench/C 4.2.1 does, natively and in the engine,
//! and keeps to the command line that poly_bench relies on.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use faaslet::{EngineSettings, FaasletEngine, Function, Grants, Store};
use measure_core::base::clock::PhaseClock;
use measure_core::base::files::sha256_of;
use measure_core::base::ids::FunctionId;
use poly_bench::{agreement, arrays};
use serde_json::Value;
use tempfile::TempDir;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `make` in the checkout, on its own terms whatever started this test.
fn make(arguments: &[&str]) -> Output {
    Command::new("make")
        .args(["--no-print-directory", "-j2"])
        .args(arguments)
        .current_dir(top())
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .stdin(Stdio::null())
        .output()
        .expect("make can be run")
}

#[track_caller]
fn assert_done(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The build directory, with every kernel's MINI in it: of doubles, and of its own type.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let sizes = "POLYBENCH_DATASETS=mini";
        let types = "POLYBENCH_TYPES=default double";
        assert_done(&make(&[
            "compile-polybench",
            "polybench-native-release",
            sizes,
            types,
        ]));
        top().join("build")
    })
}

/// What PolyBench/C 4.2.1 computes, by kernel.
fn figures() -> Vec<(String, Value)> {
    let text = fs::read_to_string(top().join("polybench-src/mini-double.json")).expect("figures");
    let figures: Value = serde_json::from_str(&text).expect("they are JSON");
    let kernels = figures["kernels"].as_object().expect("kernels").clone();
    assert_eq!(kernels.len(), 30);
    kernels.into_iter().collect()
}

/// Its program for MINI with doubles.
fn program(kernel: &str) -> String {
    match kernel {
        "deriche" | "floyd-warshall" | "nussinov" => format!("poly_{kernel}-mini-double"),
        _ => format!("poly_{kernel}-mini"),
    }
}

fn native(directory: &str, program: &str, arguments: &[&str]) -> Output {
    Command::new(built().join(directory).join("bin").join(program))
        .args(arguments)
        .output()
        .expect("it can be run")
}

/// A module in the engine with the settings of the rung `faaslet`: its standard output, or how it failed.
fn wasm(program: &str, arguments: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    static ENGINE: OnceLock<(FaasletEngine, TempDir)> = OnceLock::new();
    let (engine, root) = ENGINE.get_or_init(|| {
        let engine = FaasletEngine::new(EngineSettings {
            instances: 8,
            ..EngineSettings::default()
        });
        (engine.expect("an engine"), TempDir::new().expect("a store"))
    });
    let wasm = fs::read(built().join(format!("wasm/polybench/{program}.wasm"))).expect("a module");
    let id = FunctionId::new("polybench", program).expect("an id");
    let store = Store::at(root.path());
    store.upload_changed(engine, &id, &wasm)?;
    let mut output = tempfile::tempfile().expect("a file");
    let words = [&[program], arguments].concat();
    let grants = Grants {
        args: words.into_iter().map(str::to_owned).collect(),
        stdout: Some(Arc::new(OwnedFd::from(
            output.try_clone().expect("another descriptor"),
        ))),
        ..Grants::default()
    };
    let function = Function::load(engine, &store, &id, grants)?;
    function.start(&mut PhaseClock::start())?;
    let mut bytes = Vec::new();
    output.rewind().expect("a file can be rewound");
    output.read_to_end(&mut bytes).expect("a file can be read");
    Ok(bytes)
}

/// Checks an array against its figures, which are those of its elements as printed to two decimals.
fn assert_figures(kernel: &str, array: &arrays::Array, expected: &Value) {
    let printed: Vec<f64> = array
        .values
        .iter()
        .map(|v| format!("{v:.2}").parse().expect("a number"))
        .collect();
    let what = format!("{kernel}, array {}", array.name);
    assert_eq!(expected["n"], printed.len(), "{what}");
    let weighted = |weight: fn(usize, f64) -> f64| -> f64 {
        let terms = printed.iter().enumerate();
        terms.map(|(i, &v)| weight(i, v)).sum()
    };
    for (name, value) in [
        ("sum", weighted(|_, v| v)),
        ("sumabs", weighted(|_, v| v.abs())),
        ("wsum", weighted(|i, v| v * (i % 97 + 1) as f64)),
    ] {
        let expected = expected[name].as_f64().expect("a number");
        // Both are sums of hundredths, so only the last bits of the additions differ.
        let tolerance = 0.001 + 1e-12 * expected.abs();
        assert!(
            (value - expected).abs() < tolerance,
            "{what}: {name} is {value}, not {expected}"
        );
    }
    let three = printed.len().min(3);
    for (name, values) in [
        ("first", &printed[..three]),
        ("last", &printed[printed.len() - three..]),
    ] {
        let expected: Vec<f64> = serde_json::from_value(expected[name].clone()).expect("numbers");
        assert_eq!(expected, values, "{what}: {name}");
    }
}

/// Compiled for the oldest CPU of this architecture nothing is fused on x86-64, so even ties of the second decimal must fall alike.
#[cfg(target_arch = "x86_64")]
#[test]
fn every_kernel_computes_and_prints_what_polybench_does() {
    for (kernel, expected) in figures() {
        let program = program(&kernel);
        let raw = native("polybench_native_o3", &program, &["--raw"]);
        assert!(raw.status.success(), "{kernel}");
        let arrays = arrays::parse(&raw.stdout).expect("arrays");
        let names = expected["arrays"].as_object().expect("arrays");
        assert_eq!(arrays.len(), names.len(), "{kernel}");
        for array in &arrays {
            assert_figures(&kernel, array, &names[&array.name]);
        }
        let dump = native("polybench_native_o3", &program, &["--dump"]).stderr;
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), dump).expect("it can be written");
        assert_eq!(
            expected["dump_sha256"],
            sha256_of(file.path()).expect("a hash"),
            "{kernel} prints another dump than PolyBench"
        );
    }
}

#[test]
fn the_headline_pair_agrees_with_the_plain_build_element_by_element() {
    for (kernel, _) in figures() {
        let mut programs = vec![program(&kernel)];
        let own = format!("poly_{kernel}-mini");
        if own != programs[0] {
            programs.push(own);
        }
        for program in programs {
            let plain = native("polybench_native_o3", &program, &["--raw"]).stdout;
            let fast = native("polybench_native", &program, &["--raw"]).stdout;
            let module = wasm(&program, &["--raw"]).expect("it runs");
            for (side, output) in [("native", fast), ("wasm", module)] {
                let compared = agreement::compare(&program, &plain, &output);
                assert!(compared.is_ok(), "{program}, {side}: {compared:?}");
            }
        }
    }
}

#[test]
fn every_kernel_is_a_function_that_profiles_can_name() {
    for (kernel, _) in figures() {
        let name = format!("kernel_{}", kernel.replace('-', "_"));
        let program = program(&kernel);
        for file in [
            format!("wasm/polybench/{program}.wasm"),
            format!("polybench_native/bin/{program}"),
        ] {
            let bytes = fs::read(built().join(&file)).expect("it was built");
            let found = bytes.windows(name.len()).any(|w| w == name.as_bytes());
            assert!(found, "{file} does not name {name}");
        }
    }
}

#[test]
fn time_prints_the_nanoseconds_of_each_run() {
    let output = native("polybench_native", "poly_gemm-mini", &["--time", "3"]);
    assert!(output.status.success());
    let module = wasm("poly_gemm-mini", &["--time", "3"]).expect("it runs");
    for text in [output.stdout, module] {
        let text = String::from_utf8(text).expect("text");
        let runs: Vec<u64> = text
            .lines()
            .map(|line| line.parse().expect("a whole number"))
            .collect();
        assert_eq!(runs.len(), 3, "{text}");
    }
}

#[test]
fn without_an_argument_it_runs_and_prints_nothing() {
    let output = native("polybench_native", "poly_gemm-mini", &[]);
    assert!(output.status.success());
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    assert!(wasm("poly_gemm-mini", &[]).expect("it runs").is_empty());
}

#[test]
fn other_arguments_are_refused() {
    for arguments in [
        &["--time"][..],
        &["--time", "0"],
        &["--time", "-1"],
        &["--time", "3x"],
        &["--time", "99999999999999999999"],
        &["--time", "1", "2"],
        &["--dump", "x"],
        &["--raw", "--dump"],
        &["x"],
        &[""],
    ] {
        let output = native("polybench_native", "poly_gemm-mini", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: "));
        let failure = wasm("poly_gemm-mini", arguments).expect_err("it is refused");
        let failure = failure.to_string();
        assert!(
            failure.contains('2') && failure.contains("usage"),
            "{failure}"
        );
    }
}

#[test]
fn results_that_do_not_arrive_are_a_failure() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = Command::new(built().join("polybench_native/bin/poly_gemm-mini"))
        .arg("--raw")
        .stdout(full)
        .output()
        .expect("it can be run");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the results"));
}

/// Compiles `kernel` as PolyBench's users do, with macros: the compiler's output and the program.
fn compile(directory: &Path, kernel: &str, macros: &[&str]) -> (Output, PathBuf) {
    let program = directory.join(kernel);
    let output = Command::new("clang-19")
        .args([
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-parameter",
        ])
        .args(macros)
        .arg(top().join(format!("polybench-src/{kernel}.c")))
        .args(["-lm", "-o"])
        .arg(&program)
        .output()
        .expect("clang-19 can be run");
    (output, program)
}

#[test]
fn macros_choose_what_a_run_prints() {
    let directory = TempDir::new().expect("a directory");
    let macros = [
        "-DMINI_DATASET",
        "-DDATA_TYPE_IS_FLOAT",
        "-DPOLYBENCH_DUMP_ARRAYS",
        "-DPOLYBENCH_TIME",
        "-DPOLYBENCH_USE_RESTRICT",
    ];
    let (compiled, program) = compile(directory.path(), "bicg", &macros);
    assert_done(&compiled);
    let run = Command::new(program).output().expect("it can be run");
    assert!(run.status.success());
    let seconds = String::from_utf8(run.stdout).expect("text");
    assert!(
        seconds.trim().parse::<f64>().is_ok_and(|s| s >= 0.0),
        "{seconds}"
    );
    let dump = String::from_utf8(run.stderr).expect("text");
    assert!(
        dump.starts_with("==BEGIN DUMP_ARRAYS==\nbegin dump: s\n"),
        "{dump}"
    );
    assert!(dump.contains("\nend   dump: s\nbegin dump: q\n"), "{dump}");
    assert!(
        dump.ends_with("\nend   dump: q\n==END   DUMP_ARRAYS==\n"),
        "{dump}"
    );
}

#[test]
fn macros_that_make_no_sense_are_refused() {
    let directory = TempDir::new().expect("a directory");
    for (macros, why) in [
        (
            &["-DMINI_DATASET", "-DLARGE_DATASET"][..],
            "one dataset only",
        ),
        (
            &["-DDATA_TYPE_IS_INT", "-DDATA_TYPE_IS_FLOAT"],
            "one data type only",
        ),
        (&["-DDATA_TYPE_IS_INT"], "no integer form"),
    ] {
        let (compiled, _) = compile(directory.path(), "adi", macros);
        assert!(!compiled.status.success());
        assert!(
            String::from_utf8_lossy(&compiled.stderr).contains(why),
            "{why}"
        );
    }
}

#[test]
fn a_program_is_built_anew_when_its_flags_change_and_only_then() {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    let place = format!("POLYBENCH_WASM={}", directory.path().display());
    let target = at("poly_trisolv-mini.wasm");
    let build = |flags: &str| {
        assert_done(&make(&[&target, &place, flags]));
        let written = fs::metadata(&target).and_then(|m| m.modified());
        (
            written.expect("it was built"),
            fs::read_to_string(at("flags")).expect("flags"),
        )
    };
    let (first, flags) = build("FORCE=");
    assert!(
        flags.starts_with("compiler: ") && flags.contains("-O3"),
        "{flags}"
    );
    assert_eq!(build("FORCE="), (first, flags.clone()));
    let plain = "POLYBENCH_WASI_CFLAGS=--target=wasm32-wasi --sysroot=/usr -O1";
    let (second, other) = build(plain);
    assert!(second > first);
    assert!(other.contains("-O1") && other != flags, "{other}");
    let left: Vec<_> = fs::read_dir(directory.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn make_compile_names_the_users_it_knows() {
    let output = make(&["compile", "FUNC_USER=nobody"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("demo polybench") && message.contains("nobody"),
        "{message}"
    );
}
