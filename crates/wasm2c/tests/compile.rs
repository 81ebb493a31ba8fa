//! Modules compiled and run: what they compute, how they end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use measure_core::home;
use tempfile::TempDir;
use wasm2c::{Toolchain, Wasm2cError};

/// Far longer than the compiler takes on a busy host.
const LIMIT: Duration = Duration::from_secs(300);

fn toolchain(test: &str) -> Option<Toolchain> {
    Toolchain::find(&home::root(), "clang-19")
        .inspect_err(|why| eprintln!("SKIPPED: {test}: {why}: `make wasm2c` installs it"))
        .ok()
}

/// The executable of a module, and the directory that it is in.
fn compile(tools: &Toolchain, text: &str) -> Result<(TempDir, PathBuf), Wasm2cError> {
    let dir = TempDir::new().expect("a directory");
    let program = dir.path().join("program");
    let wasm = wat::parse_str(text).expect("a module");
    tools.compile(&wasm, &program, LIMIT)?;
    let names: Vec<_> = dir.path().read_dir().expect("readable").collect();
    assert_eq!(names.len(), 1, "nothing but the program is left: {names:?}");
    Ok((dir, program))
}

/// Exit code, standard output and standard error.
fn run(program: &Path, arguments: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    let ran = Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran.status.code(), ran.stdout, said)
}

/// Writes 16 bytes at 64 to standard output.
const WRITE: &str = r#"
    (func $write (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 16))
        (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))"#;
const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;

#[test]
fn relaxed_multiply_adds_are_right_and_others_are_not_fused() {
    let Some(tools) = toolchain("relaxed_multiply_adds_are_right_and_others_are_not_fused") else {
        return;
    };
    // (1 + 2^-30)^2 - 1 - 2^-29 is 2^-60, which is lost if the product is rounded; 3 - 2 * 2 is -1. The inputs
    // are loaded, so that nothing is computed beforehand.
    let module = |kernel: &str| {
        format!(
            r#"(module {IMPORTS} (memory (export "memory") 1) {WRITE}
            (func $f (param v128 v128 v128) (result v128) {kernel})
            (func (export "_start")
                (f64.store (i32.const 128) (f64.const 0x1.00000004p0)) (f64.store (i32.const 136) (f64.const 2))
                (f64.store (i32.const 144) (f64.const -0x1.00000008p0)) (f64.store (i32.const 152) (f64.const 3))
                (v128.store (i32.const 64) (call $f
                    (v128.load (i32.const 128)) (v128.load (i32.const 128)) (v128.load (i32.const 144))))
                (call $write)))"#
        )
    };
    let compute = |kernel: &str| {
        let (_dir, program) = compile(&tools, &module(kernel)).expect("compiled");
        let (code, out, said) = run(&program, &[]);
        assert_eq!((code, &*said), (Some(0), ""), "{kernel}");
        let lanes = out
            .chunks_exact(8)
            .map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight")));
        lanes.collect::<Vec<_>>()
    };
    let fused = 2f64.powi(-60);
    let operands = "(local.get 0) (local.get 1) (local.get 2)";
    let madd = compute(&format!("(f64x2.relaxed_madd {operands})"));
    assert!(madd[0] == fused || madd[0] == 0.0, "{madd:?}");
    assert_eq!(madd[1], 7.0);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        assert_eq!(madd[0], fused, "fused where the CPU can");
    }
    let nmadd = compute(&format!("(f64x2.relaxed_nmadd {operands})"));
    assert_eq!(nmadd[1], -1.0);
    let apart = compute("(f64x2.add (f64x2.mul (local.get 0) (local.get 1)) (local.get 2))");
    assert_eq!(apart, [0.0, 7.0], "what the module does not ask for");
}

#[test]
fn arguments_output_and_exit_codes_pass() {
    let Some(tools) = toolchain("arguments_output_and_exit_codes_pass") else {
        return;
    };
    // Writes the first sixteen bytes from the second argument on; ends with the number of arguments. A list
    // outside memory is an error number (21), not a read.
    let text = format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) {WRITE} (func (export "_start")
            (if (i32.ne (i32.const 21)
                    (call $fd_write (i32.const 1) (i32.const 65532) (i32.const 1) (i32.const 8)))
                (then unreachable))
            (drop (call $sizes (i32.const 16) (i32.const 20)))
            (drop (call $args (i32.const 256) (i32.const 512)))
            (v128.store (i32.const 64) (v128.load (i32.load (i32.const 260))))
            (call $write) (call $exit (i32.load (i32.const 16)))))"#
    );
    let (_dir, program) = compile(&tools, &text).expect("compiled");
    let (code, out, said) = run(&program, &["--sixteen-bytes!", "x"]);
    assert_eq!(
        (code, &*out, &*said),
        (Some(3), &b"--sixteen-bytes!"[..], "")
    );
}

#[test]
fn every_trap_is_told() {
    let Some(tools) = toolchain("every_trap_is_told") else {
        return;
    };
    // One program; how many arguments it gets says which of its ways to end it goes.
    let text = format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) {WRITE}
            (func $deep (param i32) (result i32)
                (if (result i32) (i32.load (local.get 0)) (then (i32.const 0))
                    (else (i32.add (call $deep (local.get 0)) (call $deep (i32.add (local.get 0) (i32.const 4)))))))
            (func (export "_start") (local $n i32)
                (drop (call $sizes (i32.const 16) (i32.const 20)))
                (local.set $n (i32.load (i32.const 16)))
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 0))
                (if (i32.eq (local.get $n) (i32.const 2)) (then (drop (i32.load (i32.const 65533)))))
                (if (i32.eq (local.get $n) (i32.const 3)) (then (drop (v128.load offset=4294967295 (i32.const -1)))))
                (if (i32.eq (local.get $n) (i32.const 4)) (then (i32.store (i32.const 65536) (i32.const 1))))
                (if (i32.eq (local.get $n) (i32.const 5)) (then unreachable))
                (if (i32.eq (local.get $n) (i32.const 6)) (then (drop (call $deep (i32.const 1024)))))
                (if (i32.eq (local.get $n) (i32.const 7))
                    (then (drop (i32.div_s (i32.const 1) (i32.load (i32.const 16))))))))"#
    );
    let (_dir, program) = compile(&tools, &text).expect("compiled");
    let outside = "Out-of-bounds access in linear memory or a table";
    for (arguments, trap) in [
        // Half of the access lies within.
        (1, outside),
        // The farthest that an address can reach.
        (2, outside),
        (3, outside),
        (4, "Unreachable instruction executed"),
        (5, "Call stack exhausted"),
        (6, "Integer divide by zero"),
    ] {
        let (code, out, said) = run(&program, &vec!["x"; arguments]);
        assert_eq!(
            (code, &*said),
            (Some(134), &*format!("trap: {trap}\n")),
            "{arguments}"
        );
        assert!(out.is_empty());
    }
    assert_eq!(run(&program, &[]), (Some(0), Vec::new(), String::new()));
}

#[test]
fn what_cannot_run_here_is_refused_before_anything_is_made() {
    let Some(tools) = toolchain("what_cannot_run_here_is_refused_before_anything_is_made") else {
        return;
    };
    let socket = r#"(module (import "wasi_snapshot_preview1" "sock_recv" (func))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let error = compile(&tools, socket).expect_err("refused");
    assert!(matches!(error, Wasm2cError::Unsupported(_)), "{error}");
    let dir = TempDir::new().expect("a directory");
    let error = tools.compile(b"no module", &dir.path().join("program"), LIMIT);
    assert!(error.is_err());
    assert_eq!(dir.path().read_dir().expect("readable").count(), 0);
}

#[test]
fn keys_tell_modules_apart() {
    let Some(tools) = toolchain("keys_tell_modules_apart") else {
        return;
    };
    assert_eq!(tools.key(b"a"), tools.key(b"a"));
    assert_ne!(tools.key(b"a"), tools.key(b"b"));
    assert_eq!(tools.key(b"a").len(), 32);
}
