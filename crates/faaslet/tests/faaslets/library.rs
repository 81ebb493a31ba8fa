//! Modules that were compiled by way of C: what they compute, how they end, what they are given.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use faaslet::function::Untimed;
use faaslet::settings::GUARD_BYTES;
use faaslet::{EngineSettings, FaasletEngine, FaasletError, Function, Grants, StartError};
use measure_core::base::trust::TrustError;
use second_engine::Toolchain;
use tempfile::TempDir;

use crate::common::{COMPILER_LIMIT, engine_with, exit_code, toolchain};

pub(crate) fn engine() -> FaasletEngine {
    engine_with(EngineSettings {
        instances: 4,
        memory_limit_bytes: 4 << 20,
        ..EngineSettings::default()
    })
}

/// A module and its library, in a directory of their own.
pub(crate) struct Compiled {
    wasm: Vec<u8>,
    library: PathBuf,
    _dir: TempDir,
}

impl Compiled {
    pub(crate) fn new(tools: &Toolchain, text: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let library = dir.path().join("library");
        let wasm = wat::parse_str(text).expect("a module");
        tools
            .compile(&wasm, &library, GUARD_BYTES, COMPILER_LIMIT)
            .expect("compiled");
        Self {
            wasm,
            library,
            _dir: dir,
        }
    }

    pub(crate) fn load(
        &self,
        engine: &FaasletEngine,
        grants: Grants,
    ) -> Result<Function, FaasletError> {
        Function::from_library(engine, "test", &self.wasm, &self.library, grants)
    }

    /// How a start with these arguments ends, and what it wrote.
    fn run(&self, engine: &FaasletEngine, args: &[&str]) -> (Result<(), StartError>, Vec<u8>) {
        let mut out = tempfile::tempfile().expect("a file");
        let grants = Grants {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            stdout: Some(Arc::new(out.try_clone().expect("a descriptor").into())),
            ..Grants::default()
        };
        let result = self
            .load(engine, grants)
            .expect("loaded")
            .start(&mut Untimed);
        let mut written = Vec::new();
        out.rewind().expect("back");
        out.read_to_end(&mut written).expect("readable");
        (result, written)
    }
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
    let Some(tools) = toolchain() else { return };
    let engine = engine();
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
        let (result, out) = Compiled::new(&tools, &module(kernel)).run(&engine, &[]);
        result.expect(kernel);
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
    let Some(tools) = toolchain() else { return };
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
    let program = Compiled::new(&tools, &text);
    let (result, out) = program.run(&engine(), &["program", "--sixteen-bytes!", "x"]);
    assert_eq!(out, b"--sixteen-bytes!");
    assert!(
        matches!(result, Err(StartError::ExitCode { code: 3, .. })),
        "{result:?}"
    );
}

#[test]
fn a_call_of_the_host_may_be_called_by_table() {
    let Some(tools) = toolchain() else { return };
    let text = format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) (data (i32.const 64) "sixteen bytes...")
            (type $write (func (param i32 i32 i32 i32) (result i32)))
            (table 2 funcref) (elem (i32.const 0) $fd_write) (elem declare func $exit)
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 16))
                (if (call_indirect (type $write) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 0))
                    (then unreachable))
                (table.set (i32.const 1) (ref.func $exit))
                (call_indirect (param i32) (i32.const 7) (i32.const 1))))"#
    );
    let program = Compiled::new(&tools, &text);
    let (result, out) = program.run(&engine(), &["program"]);
    assert_eq!(out, b"sixteen bytes...");
    assert!(
        matches!(result, Err(StartError::ExitCode { code: 7, .. })),
        "{result:?}"
    );
}

#[test]
fn every_trap_is_told() {
    let Some(tools) = toolchain() else { return };
    // One program; how many arguments it gets says which of its ways to end it goes.
    let text = format!(
        r#"(module {IMPORTS} (memory (export "memory") 1) {WRITE}
            (table 2 funcref) (elem (i32.const 0) $write)
            (func $deep (param i32) (result i32)
                (if (result i32) (i32.load (local.get 0)) (then (i32.const 0))
                    (else (i32.add (call $deep (local.get 0)) (call $deep (i32.add (local.get 0) (i32.const 4)))))))
            (func $deep_in_calls (param i32) (result i32)
                (drop (call $sizes (i32.const 40) (i32.const 44)))
                (i32.add (call $deep_in_calls (i32.load (i32.const 44))) (call $sizes (i32.const 40) (i32.const 44))))
            (func (export "_start") (local $n i32)
                (drop (call $sizes (i32.const 16) (i32.const 20)))
                (local.set $n (i32.load (i32.const 16)))
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 0))
                (if (i32.eq (local.get $n) (i32.const 2)) (then (drop (i32.load (i32.const 65533)))))
                (if (i32.eq (local.get $n) (i32.const 3)) (then (drop (v128.load offset=33554416 (i32.const -1)))))
                (if (i32.eq (local.get $n) (i32.const 4)) (then (i32.store (i32.const 65536) (i32.const 1))))
                (if (i32.eq (local.get $n) (i32.const 5)) (then unreachable))
                (if (i32.eq (local.get $n) (i32.const 6)) (then (drop (call $deep (i32.const 1024)))))
                (if (i32.eq (local.get $n) (i32.const 7)) (then (drop (call $deep_in_calls (i32.const 0)))))
                (if (i32.eq (local.get $n) (i32.const 8))
                    (then (drop (i32.div_s (i32.const 1) (i32.load (i32.const 16))))))
                (if (i32.eq (local.get $n) (i32.const 9)) (then (call_indirect (i32.const 1))))
                (if (i32.eq (local.get $n) (i32.const 10))
                    (then (drop (call_indirect (result i32) (i32.const 0)))))
                (if (i32.eq (local.get $n) (i32.const 11)) (then (memory.fill (i32.const 65530) (i32.const 1) (i32.const 9))))
                (if (i32.eq (local.get $n) (i32.const 12)) (then (drop (i32.trunc_f64_s (f64.const nan)))))))"#
    );
    let program = Compiled::new(&tools, &text);
    let engine = engine();
    for (arguments, told) in [
        // Half of the access lies within.
        (2, "out of bounds memory access"),
        // The farthest that an address can reach.
        (3, "out of bounds memory access"),
        (4, "out of bounds memory access"),
        (5, "unreachable"),
        (6, "stack"),
        (7, "stack"),
        (8, "divide by zero"),
        (9, "indirect call"),
        (10, "indirect call"),
        (11, "out of bounds memory access"),
        (12, "invalid conversion"),
    ] {
        let (result, out) = program.run(&engine, &vec!["x"; arguments]);
        match result {
            Err(StartError::Trap { cause, .. }) => {
                assert!(cause.contains(told), "{arguments}: {cause}");
            }
            other => panic!("{arguments}: {other:?}"),
        }
        assert!(out.is_empty());
    }
    program.run(&engine, &["x"]).0.expect("it ends well");
}

#[test]
fn memory_grows_up_to_the_limit_and_is_fresh_in_each_start() {
    let Some(tools) = toolchain() else { return };
    // 4 MiB are 64 pages. What a start writes, into a global too, no other sees.
    let text = r#"(module (memory (export "memory") 2) (global $g (mut i32) (i32.const 5))
        (data (i32.const 8) "data")
        (func $must (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
        (func (export "_start")
            (call $must (i32.eq (i32.load (i32.const 8)) (i32.const 0x61746164)))
            (call $must (i32.eqz (i32.load (i32.const 131068))))
            (call $must (i32.eq (global.get $g) (i32.const 5)))
            (call $must (i32.eq (memory.grow (i32.const 62)) (i32.const 2)))
            (call $must (i32.eqz (i32.load (i32.const 4194300))))
            (call $must (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
            (call $must (i32.eq (memory.size) (i32.const 64)))
            (i32.store (i32.const 8) (i32.const 1)) (i32.store (i32.const 131068) (i32.const 1))
            (i32.store (i32.const 4194300) (i32.const 1)) (global.set $g (i32.const 6))))"#;
    let program = Compiled::new(&tools, text);
    let function = program.load(&engine(), Grants::default()).expect("loaded");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    function.start(&mut Untimed).expect("it ends well");
                }
            });
        }
    });
}

#[test]
fn files_are_those_that_were_granted() {
    let Some(tools) = toolchain() else { return };
    // Ends with the error number of opening `name` below descriptor 3.
    let open = |name: &str| {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "path_open"
                    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1) (data (i32.const 512) "{name}")
                (func (export "_start") (call $exit (call $open (i32.const 3) (i32.const 1) (i32.const 512)
                    (i32.const {}) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))))"#,
            name.len()
        );
        let dir = TempDir::new().expect("a directory");
        File::create(dir.path().join("there")).expect("a file");
        let grants = Grants::default().with_dir(dir.path(), "/", false);
        let function = Compiled::new(&tools, &text);
        let function = function.load(&engine(), grants).expect("loaded");
        exit_code(function.start(&mut Untimed))
    };
    assert_eq!(open("there"), 0);
    assert_eq!(open("absent"), 44, "no such file");
    assert_eq!(open("../etc"), 63, "not permitted");
}

#[test]
fn a_library_that_others_can_write_to_is_not_loaded() {
    let Some(tools) = toolchain() else { return };
    let program = Compiled::new(
        &tools,
        r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let engine = engine();
    let load = || program.load(&engine, Grants::default()).map(drop);
    load().expect("loaded");
    fs::set_permissions(&program.library, fs::Permissions::from_mode(0o757)).expect("changed");
    let refused = load().expect_err("refused");
    assert!(
        matches!(refused, FaasletError::Trust(TrustError::Untrusted { .. })),
        "{refused}"
    );
    fs::set_permissions(&program.library, fs::Permissions::from_mode(0o755)).expect("changed");
    fs::write(&program.library, "no library").expect("written");
    assert!(matches!(load(), Err(FaasletError::Refused { .. })));
}
