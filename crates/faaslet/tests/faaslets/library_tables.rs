//! Tables and segments of modules that were compiled by way of C: as they are made, in each start, and within their limit.

use std::fs;
use std::thread;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::{EngineSettings, FaasletError, Grants, StartError};

use crate::common::{engine_with, toolchain};
use crate::library::{Compiled, engine};

#[test]
fn each_start_finds_tables_and_segments_as_they_are_made() {
    let Some(tools) = toolchain() else { return };
    let engine = engine();
    // What runs first counts; `_start` changes whatever it can, and ends wrongly if another has before it.
    let module = |changes: &str| {
        format!(
            r#"(module (memory (export "memory") 1) (data $d "xyz") (type $t (func (result i32)))
            (table 4 funcref) (elem (i32.const 0) $one $two) (elem $e func $two)
            (global $g (mut i64) (i64.const 7)) (global $first (mut i32) (i32.const 0))
            (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
            (func $must (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
            (func $begin (global.set $first (i32.add (global.get $first) (i32.const 1)))) (start $begin)
            (func (export "_start")
                (call $must (i32.eq (global.get $first) (i32.const 1)))
                (call $must (i64.eq (global.get $g) (i64.const 7))) (global.set $g (i64.const 8))
                (call $must (i32.eq (call_indirect (type $t) (i32.const 0)) (i32.const 1)))
                (call $must (i32.eq (call_indirect (type $t) (i32.const 1)) (i32.const 2)))
                {changes}))"#
        )
    };
    for changes in [
        "",
        "(call $must (ref.is_null (table.get (i32.const 2))))
         (table.init $e (i32.const 2) (i32.const 0) (i32.const 1)) (elem.drop $e)
         (memory.init $d (i32.const 8) (i32.const 0) (i32.const 3)) (data.drop $d)
         (call $must (i32.eq (call_indirect (type $t) (i32.const 2)) (i32.const 2)))
         (table.set (i32.const 0) (ref.func $two)) (table.copy (i32.const 1) (i32.const 3) (i32.const 1))
         (call $must (i32.eq (call_indirect (type $t) (i32.const 0)) (i32.const 2)))",
    ] {
        let program = Compiled::new(&tools, &module(changes));
        let function = program.load(&engine, Grants::default()).expect("loaded");
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        function.start(&mut Untimed).expect("it ends well");
                    }
                });
            }
        });
    }
}

#[test]
fn a_start_that_is_late_while_its_tables_are_made_loses_nothing() {
    let Some(tools) = toolchain() else { return };
    // Two MiB of table, filled before anything runs.
    let functions = "$f ".repeat(65_000);
    let text = format!(
        r#"(module (memory (export "memory") 1) (table 65000 funcref) (elem (i32.const 0) {functions})
            (func $f) (func (export "_start") (loop $l (call_indirect (i32.const 64999)) (br $l))))"#
    );
    let program = Compiled::new(&tools, &text);
    let starts = |count: u64| {
        for i in 0..count {
            let engine = engine_with(EngineSettings {
                instances: 1,
                deadline: Duration::from_micros(1 + i * 61 % 1200),
                tick: Duration::from_millis(1),
                ..EngineSettings::default()
            });
            let function = program.load(&engine, Grants::default()).expect("loaded");
            for _ in 0..3 {
                let result = function.start(&mut Untimed);
                assert!(matches!(result, Err(StartError::Deadline(_))), "{result:?}");
            }
        }
    };
    starts(20);
    let before = resident_bytes();
    starts(60);
    // One table for every ten starts would be more.
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
}

/// Memory of this process.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("readable");
    let pages = statm.split_whitespace().nth(1).expect("a second number");
    pages.parse::<u64>().expect("a number") * 4096
}

#[test]
fn a_table_above_the_limit_is_refused() {
    let Some(tools) = toolchain() else { return };
    let text =
        r#"(module (memory (export "memory") 1) (table 70000 funcref) (func (export "_start")))"#;
    let refused = Compiled::new(&tools, text).load(&engine(), Grants::default());
    assert!(matches!(
        refused.map(drop),
        Err(FaasletError::Refused { .. })
    ));
}
