//! The rungs of the second engine's code: compiled when asked for, and unavailable with the reason where they cannot be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use driver_testkit::skipped;
use measure_core::contract::Probe;
use measure_core::contract::protocol::Message;

use crate::common::{Bench, assert_mentions, module};
use crate::modules as m;

const RUNGS: [&str; 4] = [
    "faaslet-llvm",
    "faaslet-llvm-pooled",
    "proto-faaslet-llvm",
    "proto-faaslet-llvm-pooled",
];

/// A store with demo/noop, where the tools are installed.
fn bench(test: &str) -> Option<Bench> {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    if bench.home.path().join("wasm2c").exists() {
        return Some(bench);
    }
    skipped(test, "no wasm2c: `make wasm2c` installs it");
    None
}

#[test]
fn without_its_tools_each_rung_names_the_step() {
    let bench = Bench::without_tools();
    bench.upload("noop", &module(m::NOOP)).expect(0);
    let says = ["bin/wasm2c is missing", "`make wasm2c`"];
    for rung in RUNGS {
        let info = bench.ok(&format!("info --rung {rung} --json"));
        let probes: Vec<Probe> = info
            .messages()
            .into_iter()
            .filter_map(|message| match message {
                Message::Rung { probe, .. } => Some(probe),
                _ => None,
            })
            .collect();
        let [Probe::Unavailable { why, mend }] = &probes[..] else {
            panic!("{probes:?}");
        };
        assert_mentions(&format!("{why}, {mend}"), &says);
        bench.fails(3, &format!("time 1 --rung {rung}"), &says);
    }
    bench.fails(3, "codegen --llvm demo/noop", &says);
}

#[test]
fn codegen_compiles_by_way_of_c_what_is_named() {
    let Some(bench) = bench("codegen --llvm") else {
        return;
    };
    bench.fails(2, "codegen --llvm", &["USER/FUNCTION"]);
    let ran = bench.ok("codegen --llvm demo/noop");
    let told = ["demo/noop: up to date", "demo/noop: compiled by way of C"];
    assert_mentions(&ran.stdout, &told);
    let again = bench.ok("codegen --llvm demo/noop").stdout;
    assert_eq!(again, "demo/noop: up to date\ndemo/noop: up to date\n");
    bench.fails(2, "codegen --llvm demo/nop", &["did you mean `demo/noop`?"]);
    let info = bench.ok("info --rung proto-faaslet-llvm --json").stdout;
    assert_mentions(&info, &["wasm2c and clang", "-ffp-contract=off"]);
}

#[test]
fn what_takes_minutes_is_not_compiled_by_the_way() {
    let Some(bench) = bench("large modules by way of C") else {
        return;
    };
    let mut wasm = module(m::NOOP);
    // A custom section of two MiB.
    wasm.extend([0, 0x81, 0x80, 0x80, 1, 0]);
    wasm.resize(wasm.len() + (2 << 20), 0);
    bench.upload("large", &wasm).expect(0);
    let says = ["unavailable", "`faasm-driver codegen --llvm demo/large`"];
    let time = "time 1 --rung faaslet-llvm --function demo/large";
    bench.fails(3, time, &says);
    bench.ok("codegen --llvm demo/large");
    bench.ok(time);
    bench.ok("time 1 --rung proto-faaslet-llvm --function demo/large");
}

/// A program of so many functions with a loop each, which take a C compiler many seconds and Cranelift one.
fn many_loops(functions: usize) -> Vec<u8> {
    let mut functions_wat = String::new();
    let mut calls = String::new();
    for i in 0..functions {
        functions_wat.push_str(&format!(
            "(func $f{i} (param i32) (result i32) (local i32)
               (loop (local.set 1 (i32.add (i32.mul (local.get 0) (i32.const {i})) (i32.load (local.get 1))))
                     (i32.store offset=4 (local.get 1) (local.get 0))
                     (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                     (br_if 0 (local.get 0)))
               (local.get 1))"
        ));
        let at = 4 * i;
        calls.push_str(&format!(
            "(i32.store (i32.const {at}) (call $f{i} (i32.load (i32.const {at}))))"
        ));
    }
    module(&format!(
        r#"(module (memory (export "memory") 1) {functions_wat} (func (export "_start") {calls}))"#
    ))
}

#[test]
fn what_is_dear_to_compile_is_given_up_and_nothing_is_left() {
    let Some(bench) = bench("limits of compiling by way of C") else {
        return;
    };
    let file = bench.home.path().join("dear.wasm");
    fs::write(&file, many_loops(3000)).expect("written");
    let upload = format!("upload demo dear {}", file.display());
    bench.ok(&format!("--compile-seconds 3600 {upload}"));
    let codegen = "--compile-seconds 1 codegen --llvm demo/dear";
    // clang takes the limit's signal for a crash of its own, and says so.
    let says = ["unavailable", "demo/dear cannot be compiled by way of C"];
    bench.fails(3, codegen, &says);
    let left = fs::read_dir(bench.function_dir("dear")).expect("a directory");
    for entry in left.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        assert!(!name.ends_with(".so") && !name.contains("wasm2c"), "{name}");
    }
}

/// wasm2c 1.0.42 writes C of some valid modules that no compiler takes. Here the compiler says so of any.
#[test]
fn where_the_c_does_not_compile_the_compilers_first_error_is_told() {
    let Some(bench) = bench("C that does not compile") else {
        return;
    };
    let bin = bench.home.path().join("bin");
    fs::create_dir(&bin).expect("a directory");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && { echo clang version 19.0.0; exit; }\n\
                  echo \"$TMPDIR/module.c:7:6: error: expected ';' at end of declaration\n    7 | f32 u32 var_i0;\" >&2\nexit 1\n";
    fs::write(bin.join("clang-19"), script).expect("a program");
    fs::set_permissions(bin.join("clang-19"), fs::Permissions::from_mode(0o755)).expect("its mode");
    let path = std::env::var("PATH").expect("a search path");
    for rung in RUNGS {
        let mut command = bench.command(&format!("time 1 --rung {rung}"));
        command.env("PATH", format!("{}:{path}", bin.display()));
        let ran = driver_testkit::run(command);
        let told = "demo/noop cannot be compiled by way of C: the C compiler failed: exit code 1 \
                    (it said: module.c:7:6: error: expected ';' at end of declaration)";
        assert_mentions(&ran.expect(3).stderr, &["unavailable", told]);
    }
    bench.ok("time 1 --rung faaslet-llvm");
}
