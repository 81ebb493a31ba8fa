//! The second engine's code in the store: found, made, shared by functions of one code, and run on their snapshots.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::store::{Codegen, SnapshotOptions};
use faaslet::{
    CompileLimits, EngineSettings, FaasletEngine, FaasletError, Function, Grants, Store,
};
use measure_core::base::ids::FunctionId;
use second_engine::Toolchain;
use tempfile::TempDir;

use crate::common::{engine_with, exit_code, toolchain};

/// A store in a directory of its own, and what its functions are compiled and run with.
struct Bench {
    store: Store,
    engine: FaasletEngine,
    tools: Toolchain,
    _dir: TempDir,
}

impl Bench {
    /// Nothing where the tools are missing.
    fn new() -> Option<Self> {
        let dir = TempDir::new().expect("a directory");
        Some(Self {
            store: Store::at(dir.path().join("store")),
            engine: engine_with(EngineSettings {
                instances: 2,
                memory_limit_bytes: 8 << 20,
                ..EngineSettings::default()
            }),
            tools: toolchain()?,
            _dir: dir,
        })
    }

    fn upload(&self, name: &str, wasm: &[u8]) -> FunctionId {
        let id = FunctionId::new("demo", name).expect("an id");
        self.store.upload(&self.engine, &id, wasm).expect("stored");
        id
    }

    fn load(&self, tools: &Toolchain, id: &FunctionId) -> Result<Function, FaasletError> {
        Function::load_by_c(&self.engine, &self.store, tools, id, Grants::default())
    }

    fn snapshots(&self, id: &FunctionId) -> Vec<Function> {
        let grants = Grants::default();
        Function::load_snapshots_by_c(&self.engine, &self.store, &self.tools, id, &grants)
            .expect("snapshots")
    }

    /// Files beside `id` whose names begin and end so.
    fn files(&self, id: &FunctionId, begin: &str, end: &str) -> Vec<PathBuf> {
        let dir = self.store.root().join(id.to_string());
        let entries = fs::read_dir(dir).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        };
        paths.filter(ours).collect()
    }

    fn libraries(&self, id: &FunctionId) -> Vec<PathBuf> {
        self.files(id, "library-", ".so")
    }

    /// The same tools, which may take no time at all: they find what is there, and make nothing.
    fn idle_tools(&self) -> Toolchain {
        self.tools.clone().with_limits(CompileLimits {
            cpu_time: Some(Duration::ZERO),
            memory_bytes: Some(1 << 20),
        })
    }
}

/// Initialises memory and globals, and goes on with what it finds there: exits with the letter that its data begin with, unless
/// something of an initialisation is missing or something of another start is there.
fn program(letter: char) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const 8) "{letter}")
        (global $i (mut i32) (i32.const 1)) (global $v (mut v128) (v128.const i64x2 0 0))
        (table 2 funcref) (elem (i32.const 1) $one) (type $t (func (result i32)))
        (func $one (result i32) (i32.const 1))
        (func $check (param i32) (if (i32.eqz (local.get 0)) (then (call $exit (i32.const 9)))))
        (func $initialise (export "wizer.initialize")
            (global.set $i (i32.const -2)) (global.set $v (v128.const i64x2 3 4))
            (drop (memory.grow (i32.const 2))) (i32.store (i32.const 196604) (i32.const 77)))
        (func $resume (export "wizer.resume")
            (call $check (i32.eq (global.get $i) (i32.const -2)))
            (call $check (i8x16.all_true (i8x16.eq (global.get $v) (v128.const i64x2 3 4))))
            (call $check (i32.eq (memory.size) (i32.const 3)))
            (call $check (i32.eq (i32.load (i32.const 196604)) (i32.const 77)))
            (call $check (i32.eqz (i32.load (i32.const 100000))))
            (call $check (call_indirect (type $t) (i32.const 1)))
            (global.set $i (i32.const 0)) (global.set $v (v128.const i64x2 0 0))
            (i32.store (i32.const 100000) (i32.const 1)) (i32.store (i32.const 196604) (i32.const 1))
            (drop (memory.grow (i32.const 1)))
            (call $exit (i32.load8_u (i32.const 8))))
        (func (export "_start") (call $initialise) (call $resume)))"#
    );
    wat::parse_str(text).expect("a module")
}

fn starts(function: &Function, letter: char) {
    for _ in 0..5 {
        let code = exit_code(function.start(&mut Untimed));
        assert_eq!(u32::try_from(code), Ok(u32::from(letter)));
    }
}

#[test]
fn a_function_its_snapshots_and_others_of_its_code_share_a_library() {
    let Some(bench) = Bench::new() else { return };
    let a = bench.upload("a", &program('a'));
    starts(&bench.load(&bench.tools, &a).expect("loaded"), 'a');
    let options = SnapshotOptions {
        count: 2,
        ..SnapshotOptions::default()
    };
    let taken = bench.store.snapshot(&bench.engine, &a, &options, false);
    assert_eq!(taken.expect("taken"), Codegen::Compiled);
    let snapshots = bench.snapshots(&a);
    assert_eq!(snapshots.len(), 2);
    for snapshot in &snapshots {
        starts(snapshot, 'a');
    }
    // Another with the same code but other data: nothing is compiled.
    let b = bench.upload("b", &program('b'));
    let idle = bench.idle_tools();
    starts(&bench.load(&idle, &b).expect("loaded"), 'b');
    for snapshot in bench.snapshots(&b) {
        starts(&snapshot, 'b');
    }
    let name = |id| bench.libraries(id)[0].file_name().map(ToOwned::to_owned);
    assert_eq!(bench.libraries(&a).len(), 1);
    assert_eq!(name(&a), name(&b));
    // And one with other code.
    let other = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let c = bench.upload("c", &other.expect("a module"));
    let refused = bench.load(&idle, &c).map(drop);
    assert!(matches!(refused, Err(FaasletError::SecondEngine { .. })));
    bench.load(&bench.tools, &c).expect("loaded");
    assert_ne!(name(&a), name(&c));
}

#[test]
fn damaged_libraries_are_not_loaded_and_old_ones_are_removed() {
    let Some(bench) = Bench::new() else { return };
    let id = bench.upload("it", &program('i'));
    let codegen = || bench.store.codegen_by_c(&bench.engine, &bench.tools, &id);
    assert_eq!(codegen().expect("made"), Codegen::Compiled);
    assert_eq!(codegen().expect("there"), Codegen::Present);
    let path = bench.libraries(&id).remove(0);
    let whole = fs::read(&path).expect("readable");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&path, damaged).expect("written");
    assert!(bench.load(&bench.idle_tools(), &id).is_err());
    starts(&bench.load(&bench.tools, &id).expect("made anew"), 'i');
    // A library of what was there before.
    let text = r#"(module (memory (export "memory") 1) (func (export "_start") (nop)))"#;
    bench.upload("it", &wat::parse_str(text).expect("a module"));
    let new = bench.load(&bench.tools, &id).expect("loaded");
    new.start(&mut Untimed).expect("it ends well");
    assert_eq!(bench.libraries(&id).len(), 1);
    assert_ne!(bench.libraries(&id)[0], path);
    assert_eq!(bench.files(&id, "adapter-", ".cwasm").len(), 1);
}

#[test]
fn what_takes_minutes_is_compiled_only_when_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let mut wasm = program('l');
    // A custom section of two MiB: id, length in LEB128, a name of no letters.
    wasm.extend([0, 0x81, 0x80, 0x80, 1, 0]);
    wasm.resize(wasm.len() + (2 << 20), 0);
    let id = bench.upload("large", &wasm);
    let error = bench.load(&bench.tools, &id).map(drop);
    assert!(matches!(error, Err(FaasletError::NotCompiled(_))));
    let made = bench.store.codegen_by_c(&bench.engine, &bench.tools, &id);
    assert_eq!(made.expect("made"), Codegen::Compiled);
    starts(&bench.load(&bench.tools, &id).expect("loaded"), 'l');
}

#[test]
fn what_this_engine_does_not_run_is_refused_with_the_reason() {
    let Some(bench) = Bench::new() else { return };
    let text = r#"(module (memory (export "memory") 1) (table 1 9 funcref)
        (func (export "_start") (drop (table.grow (ref.null func) (i32.const 1)))))"#;
    let id = bench.upload("grows", &wat::parse_str(text).expect("a module"));
    let error = bench
        .load(&bench.tools, &id)
        .map(drop)
        .expect_err("refused");
    assert!(error.to_string().contains("grows a table"), "{error}");
    assert!(bench.libraries(&id).is_empty());
}
