//! Programs that never end, each in its own way, end at their deadline: no check is compiled into them.

use std::thread;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::settings::GUARD_BYTES;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError};

use crate::common::{COMPILER_LIMIT, engine_with, toolchain};

fn engine(deadline_ms: u64) -> FaasletEngine {
    engine_with(EngineSettings {
        instances: 8,
        deadline: Duration::from_millis(deadline_ms),
        tick: Duration::from_millis(1),
        ..EngineSettings::default()
    })
}

fn function(engine: &FaasletEngine, module: String) -> Function {
    crate::common::function(engine, module, Grants::default())
}

/// Each is a module's fields; `_start` is its program.
const ENDLESS: [(&str, &str); 12] = [
    (
        "touches nothing",
        r#"(func (export "_start") (loop $l (br $l)))"#,
    ),
    (
        "computes",
        r#"(func (export "_start") (local i64)
            (loop $l (local.set 0 (i64.mul (i64.add (local.get 0) (i64.const 1)) (i64.const 3))) (br $l)))"#,
    ),
    (
        "writes memory",
        r#"(func (export "_start") (local i32)
            (loop $l (i64.store (local.get 0) (i64.const 7))
              (local.set 0 (i32.and (i32.add (local.get 0) (i32.const 64)) (i32.const 0xffff))) (br $l)))"#,
    ),
    (
        "copies few bytes",
        r#"(func (export "_start")
            (loop $l (memory.copy (i32.const 0) (i32.const 99) (i32.const 48)) (br $l)))"#,
    ),
    (
        "has the engine copy many",
        r#"(func (export "_start") (local i32) (local.set 0 (i32.const 30000))
            (loop $l (memory.copy (i32.const 0) (i32.const 99) (local.get 0)) (br $l)))"#,
    ),
    (
        "grows its memory by nothing",
        r#"(func (export "_start") (loop $l (drop (memory.grow (i32.const 0))) (br $l)))"#,
    ),
    (
        "asks for the time",
        r#"(func (export "_start")
            (loop $l (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0))) (br $l)))"#,
    ),
    (
        "calls more and more",
        r#"(func $f (param i32)
            (if (local.get 0) (then
              (call $f (i32.sub (local.get 0) (i32.const 1)))
              (call $f (i32.sub (local.get 0) (i32.const 1))))))
           (func (export "_start") (call $f (i32.const 63)))"#,
    ),
    (
        "calls itself last",
        r#"(func $f (param i32) (return_call $f (i32.add (local.get 0) (i32.const 1))))
           (func (export "_start") (call $f (i32.const 0)))"#,
    ),
    (
        "calls through a table",
        r#"(table 1 funcref) (elem (i32.const 0) $f) (func $f)
           (func (export "_start") (loop $l (call_indirect (i32.const 0)) (br $l)))"#,
    ),
    (
        "is near the end of its stack",
        r#"(func $f (param i32)
            (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))
              (else (loop $l (br $l)))))
           (func (export "_start") (call $f (i32.const 9000)))"#,
    ),
    (
        "is endless before it is started",
        r#"(func $init (loop $l (br $l))) (start $init) (func (export "_start"))"#,
    ),
];

fn module(fields: &str) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "clock_time_get"
             (func $time (param i32 i64 i32) (result i32)))
           (memory (export "memory") 1) {fields})"#
    )
}

/// The same by way of C.
#[test]
fn whatever_a_library_does_its_deadline_ends_it() {
    let Some(tools) = toolchain() else { return };
    let engine = engine(20);
    let dir = tempfile::tempdir().expect("a directory");
    let library = |name: &str, fields: &str| {
        let wasm = wat::parse_str(module(fields)).expect("a module");
        let path = dir.path().join(name);
        tools
            .compile(&wasm, &path, GUARD_BYTES, COMPILER_LIMIT)
            .expect("compiled");
        Function::from_library(&engine, "test", &wasm, &path, Grants::default()).expect("loaded")
    };
    let fine = library("fine", r#"(func (export "_start"))"#);
    for (i, (what, fields)) in ENDLESS.into_iter().enumerate() {
        let function = library(&i.to_string(), fields);
        for _ in 0..5 {
            let result = function.start(&mut Untimed);
            assert!(
                matches!(result, Err(StartError::Deadline(_))),
                "{what}: {result:?}"
            );
            fine.start(&mut Untimed).expect("it ends");
        }
    }
}

#[test]
fn whatever_a_program_does_its_deadline_ends_it() {
    let engine = engine(20);
    for (what, fields) in ENDLESS {
        let function = function(&engine, module(fields));
        let result = function.start(&mut Untimed);
        assert!(
            matches!(result, Err(StartError::Deadline(_))),
            "{what}: {result:?}"
        );
    }
    // The slots that they had are as good as new.
    let fine = function(&engine, module(r#"(func (export "_start"))"#));
    for _ in 0..16 {
        fine.start(&mut Untimed).expect("it ends");
    }
}

/// Sorts, recurses, copies and calls the host, so that it is interrupted in all kinds of places; traps if what it
/// finds in memory is not what it put there.
const BUSY: &str = r#"
    (table 2 funcref) (elem (i32.const 0) $fill $check)
    (type $step (func (param i32)))
    (func $fill (param $n i32)
      (if (local.get $n) (then
        (i32.store (i32.shl (local.get $n) (i32.const 2)) (i32.mul (local.get $n) (i32.const 77)))
        (call $fill (i32.sub (local.get $n) (i32.const 1))))))
    (func $check (param $n i32)
      (loop $l
        (if (i32.ne (i32.load (i32.shl (local.get $n) (i32.const 2))) (i32.mul (local.get $n) (i32.const 77)))
          (then unreachable))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "_start")
      (loop $l
        (call_indirect (type $step) (i32.const 200) (i32.const 0))
        (memory.copy (i32.const 4096) (i32.const 4) (i32.const 800))
        (memory.copy (i32.const 4) (i32.const 4096) (i32.const 64))
        (drop (call $time (i32.const 1) (i64.const 0) (i32.const 8192)))
        (call_indirect (type $step) (i32.const 200) (i32.const 1))
        (br $l)))"#;

#[test]
fn many_at_once_are_ended_in_all_kinds_of_places() {
    let engine = engine(3);
    let busy = function(&engine, module(BUSY));
    let quick = function(&engine, module(r#"(func (export "_start"))"#));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..40 {
                    let result = busy.start(&mut Untimed);
                    assert!(matches!(result, Err(StartError::Deadline(_))), "{result:?}");
                    // A poke meant for the one before must not end this one, unless it is late itself.
                    match quick.start(&mut Untimed) {
                        Ok(()) | Err(StartError::Deadline(_)) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
}

#[test]
fn a_trap_before_the_deadline_is_a_trap() {
    let engine = engine(60_000);
    let function = function(&engine, module(r#"(func (export "_start") unreachable)"#));
    let result = function.start(&mut Untimed);
    assert!(matches!(result, Err(StartError::Trap { .. })), "{result:?}");
}

#[test]
fn a_trap_names_the_functions_that_it_came_from() {
    let engine = engine(60_000);
    let cause = |fields: &str| {
        let function = function(&engine, module(fields));
        match function.start(&mut Untimed) {
            Err(StartError::Trap { cause, .. }) => cause,
            other => panic!("{other:?}"),
        }
    };
    let main = r#"(func $main (call $inner (i32.const 8))) (func (export "_start") (call $main))"#;
    for (body, trap) in [
        (
            "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))",
            "divide by zero",
        ),
        ("(drop (i32.load (i32.const -8)))", "out of bounds"),
        ("unreachable", "unreachable"),
    ] {
        let said = cause(&format!("(func $inner (param i32) {body}) {main}"));
        assert!(said.contains(trap), "{said}");
        assert!(said.contains(" in `inner` < `main` < "), "{said}");
    }
    // Of many frames only the innermost are named.
    let deep = cause(&format!(
        r#"(func $inner (param i32)
            (if (i32.eqz (local.get 0)) (then unreachable))
            (call $inner (i32.sub (local.get 0) (i32.const 1)))) {main}"#
    ));
    assert!(
        deep.ends_with(&format!("{}...", "`inner` < ".repeat(6))),
        "{deep}"
    );
    let endless = cause(&format!(
        "(func $inner (param i32) (call $inner (i32.const 1)) (drop (i32.load (i32.const 0)))) {main}"
    ));
    assert!(endless.contains("`inner` < `inner`"), "{endless}");
}
