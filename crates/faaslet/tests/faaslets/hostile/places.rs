//! Other places to be late in: a file without end, a reader that does not read, an initialiser.

use std::fs::File;
use std::sync::Arc;

use faaslet::function::Untimed;
use faaslet::snapshot::{self, Names, Plan};
use faaslet::{EngineSettings, FaasletEngine, Grants, StartError};
use wasm_encoder::{
    CodeSection, ElementSection, Elements, ExportKind, ExportSection, FunctionSection,
    MemorySection, MemoryType, Module, TypeSection,
};

use crate::common::{engine_with, function};

fn engine() -> FaasletEngine {
    engine_with(EngineSettings {
        instances: 2,
        deadline: std::time::Duration::from_millis(50),
        ..EngineSettings::default()
    })
}

fn ends(module: impl AsRef<[u8]>, grants: Grants) {
    let engine = engine();
    let result = function(&engine, module, grants).start(&mut Untimed);
    assert!(matches!(result, Err(StartError::Deadline(_))), "{result:?}");
}

/// Opens `file` in the first directory as descriptor 4, then does `body` for ever.
fn on_a_file(body: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 4096) (data (i32.const 0) "file")
        (func (export "_start")
            (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
                    (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 8)) (i32.const 4)) (then unreachable))
            (i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 0xfffe000))
            (loop $l {body} (br $l))))"#
    )
}

#[test]
fn a_file_without_end_is_not_read_for_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = File::create(dir.path().join("file")).expect("a file");
    file.set_len(1 << 40).expect("a sparse file");
    let buffer = "(i32.const 16) (i32.const 1)";
    for body in [
        format!("(drop (call $read (i32.const 4) {buffer} (i32.const 32)))"),
        format!("(drop (call $pread (i32.const 4) {buffer} (i64.const 0) (i32.const 32)))"),
        "(drop (call $list (i32.const 3) (i32.const 4096) (i32.const 0xfff0000) (i64.const 0) (i32.const 32)))".to_owned(),
        "(drop (call $stat (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 4096)))".to_owned(),
    ] {
        ends(on_a_file(&body), Grants::default().with_dir(dir.path(), "/", true));
    }
}

#[test]
fn a_file_is_not_written_for_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    File::create(dir.path().join("file")).expect("a file");
    let body = "(drop (call $pwrite (i32.const 4) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 32)))";
    ends(
        on_a_file(body),
        Grants::default().with_dir(dir.path(), "/", true),
    );
}

#[test]
fn a_reader_that_does_not_read_is_not_waited_for() {
    let (unread, pipe) = std::io::pipe().expect("a pipe");
    let (unread_socket, socket) = std::os::unix::net::UnixStream::pair().expect("a socket");
    for stdout in [pipe.into(), socket.into()] {
        let grants = Grants {
            stdout: Some(Arc::new(stdout)),
            ..Grants::default()
        };
        ends(
            r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (func (export "_start") (i32.store (i32.const 4) (i32.const 100000))
                (loop $l (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))))"#,
            grants,
        );
    }
    drop((unread, unread_socket));
}

#[test]
fn what_takes_long_to_begin_is_late_though_it_ends_at_once() {
    let engine = engine_with(EngineSettings {
        instances: 1,
        deadline: std::time::Duration::from_micros(1),
        tick: std::time::Duration::from_millis(1),
        ..EngineSettings::default()
    });
    let result = function(&engine, with_elements(130_000), Grants::default()).start(&mut Untimed);
    assert!(matches!(result, Err(StartError::Deadline(_))), "{result:?}");
}

/// A program that does nothing, and so many elements of it. As text it would take longer to read than to compile.
fn with_elements(count: usize) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("_start", ExportKind::Func, 0);
    let mut elements = ElementSection::new();
    elements.passive(Elements::Functions(vec![0; count].into()));
    let mut code = CodeSection::new();
    let mut start = wasm_encoder::Function::new([]);
    start.instructions().end();
    code.function(&start);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&elements)
        .section(&code);
    module.finish()
}

#[test]
fn an_initialiser_is_late_too() {
    for body in [
        "(memory.fill (i32.const 0) (i32.const 7) (i32.const 0x10000000))",
        "(drop (call $random (i32.const 0) (i32.const 0x10000000)))",
        "(drop (memory.grow (i32.const 0)))",
    ] {
        let wasm = wat::parse_str(format!(
            r#"(module
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (memory (export "memory") 4096) (func (export "_start")) (func (export "wizer.resume"))
            (func (export "wizer.initialize") (loop $l {body} (br $l))))"#
        ))
        .expect("a module");
        let plan = Plan::from_exports("it", &wasm, &Names::default()).expect("a plan");
        let refused = snapshot::take(&engine(), "it", &wasm, &Grants::default(), &plan);
        let refused = refused.expect_err("it never returns").to_string();
        assert!(refused.contains("deadline"), "{body}: {refused}");
    }
}
