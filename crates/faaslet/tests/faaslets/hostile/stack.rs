//! A stack that is used up to any byte: whatever a library does there, its start ends and its host goes on.

use faaslet::function::Untimed;
use faaslet::settings::GUARD_BYTES;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError};
use second_engine::Toolchain;
use tempfile::TempDir;

use crate::common::{COMPILER_LIMIT, engine_with, toolchain};

/// What is done at the deepest place.
const LAST: [(&str, &str); 16] = [
    ("returns", ""),
    ("is unreachable", "unreachable"),
    (
        "divides",
        "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 64))))",
    ),
    (
        "converts",
        "(drop (i32.trunc_f64_s (f64.load (i32.const 72))))",
    ),
    ("reads beyond", "(drop (i32.load (i32.const -4)))"),
    (
        "calls another type",
        "(call_indirect (type $other) (i32.const 1) (i32.const 0))",
    ),
    (
        "calls what there is not",
        "(call_indirect (type $other) (i32.const 1) (i32.const 5))",
    ),
    (
        "fills",
        "(memory.fill (i32.const 100) (i32.const 0) (i32.load (i32.const 80)))",
    ),
    (
        "copies",
        "(memory.copy (i32.const 100) (i32.const 101) (i32.load (i32.const 80)))",
    ),
    (
        "initialises",
        "(memory.init $d (i32.const 100) (i32.const 0) (i32.const 20))",
    ),
    (
        "copies its table",
        "(table.copy (i32.const 1) (i32.const 0) (i32.const 2))",
    ),
    (
        "rounds",
        "(f64.store (i32.const 72) (f64.nearest (f64.load (i32.const 72))))",
    ),
    ("grows", "(drop (memory.grow (i32.const 1)))"),
    (
        "is random",
        "(drop (call $random (i32.const 100) (i32.const 50)))",
    ),
    (
        "writes",
        "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
    ),
    ("exits", "(call $exit (i32.const 7))"),
];

/// Goes as deep as its first argument is long, and does there what the number of its arguments says.
fn module() -> String {
    let choices: String = (2..)
        .zip(LAST)
        .map(|(count, (_, last))| {
            format!("(if (i32.eq (i32.load (i32.const 40)) (i32.const {count})) (then {last}))")
        })
        .collect();
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (type $other (func (param i32))) (data $d "01234567890123456789")
        (table 9 funcref) (elem (i32.const 0) $none) (func $none)
        (func $down (param i32)
            (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else {choices}))
            (i32.store (i32.const 60) (i32.add (i32.load (i32.const 60)) (i32.const 1))))
        (func (export "_start")
            (f64.store (i32.const 72) (f64.const 1e300)) (i32.store (i32.const 80) (i32.const 300))
            (drop (call $sizes (i32.const 40) (i32.const 44)))
            (call $down (i32.load (i32.const 44)))))"#
    )
}

struct Deep {
    engine: FaasletEngine,
    wasm: Vec<u8>,
    dir: TempDir,
}

impl Deep {
    fn new(tools: &Toolchain) -> Self {
        let dir = TempDir::new().expect("a directory");
        let wasm = wat::parse_str(module()).expect("a module");
        tools
            .compile(
                &wasm,
                &dir.path().join("library"),
                GUARD_BYTES,
                COMPILER_LIMIT,
            )
            .expect("compiled");
        let engine = engine_with(EngineSettings {
            instances: 2,
            ..EngineSettings::default()
        });
        Self { engine, wasm, dir }
    }

    fn start(&self, last: usize, depth: usize) -> Result<(), StartError> {
        let mut args = vec!["x".repeat(depth)];
        args.resize(last + 2, String::new());
        let grants = Grants {
            args,
            ..Grants::default()
        };
        let library = self.dir.path().join("library");
        Function::from_library(&self.engine, "it", &self.wasm, &library, grants)
            .expect("loaded")
            .start(&mut Untimed)
    }

    /// The first depth at which a start's stack is used up.
    fn limit(&self, last: usize) -> usize {
        let (mut fine, mut deep) = (1, 1 << 20);
        while deep - fine > 1 {
            let middle = usize::midpoint(fine, deep);
            match self.start(last, middle) {
                Err(StartError::Trap { cause, .. }) if cause.contains("stack") => deep = middle,
                _ => fine = middle,
            }
        }
        deep
    }
}

#[test]
fn whatever_a_library_does_at_the_end_of_its_stack_its_host_goes_on() {
    let Some(tools) = toolchain() else { return };
    let deep = Deep::new(&tools);
    for (last, (what, _)) in LAST.iter().enumerate() {
        let limit = deep.limit(last);
        println!("{what}: no deeper than {limit}");
        // More than the last page, so that each frame meets its end.
        for depth in limit.saturating_sub(150)..limit + 8 {
            match deep.start(last, depth) {
                Ok(()) | Err(StartError::Trap { .. } | StartError::ExitCode { code: 7, .. }) => {}
                other => panic!("{what} at {depth}: {other:?}"),
            }
        }
        deep.start(last, 5 * limit)
            .expect_err("no stack is so deep");
    }
}
