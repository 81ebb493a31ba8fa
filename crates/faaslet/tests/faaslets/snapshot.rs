//! Snapshots of real programs, on the real engine.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::snapshot::{self, Names, Plan};
use faaslet::{EngineSettings, FaasletEngine, FaasletError, Grants};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::common::{engine_with, function};

const STARTS: usize = 5;

/// One slot, so that each start gets the memory that the last one dirtied.
pub fn engine() -> FaasletEngine {
    engine_with(EngineSettings {
        instances: 1,
        deadline: Duration::from_millis(250),
        memory_limit_bytes: 8 << 20,
        ..EngineSettings::default()
    })
}

/// A program with an initialiser and an entry; `more` is put beside them.
pub fn program(more: &str, initialise: &str, resume: &str) -> Vec<u8> {
    let wat = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            {more}
            (func $check (param i32 i32)
                (if (i32.ne (local.get 0) (local.get 1)) (then (call $exit (i32.const 9)))))
            (func $initialise (export "wizer.initialize") {initialise})
            (func $resume (export "wizer.resume") {resume})
            (func (export "_start") (call $initialise) (call $resume)))"#
    );
    wat::parse_str(wat).expect("a module")
}

pub const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const LARGE_MEMORY: &str = r#"(memory (export "memory") 100)"#;

fn take(engine: &FaasletEngine, wasm: &[u8], grants: &Grants) -> Result<Vec<u8>, FaasletError> {
    let plan = Plan::from_exports("it", wasm, &Names::default())?;
    snapshot::take(engine, "it", wasm, grants, &plan)
}

fn refused(wasm: &[u8], grants: &Grants) -> String {
    take(&engine(), wasm, grants)
        .expect_err("refused")
        .to_string()
}

fn given(dir: &Path) -> Grants {
    Grants::default().with_dir(dir, "/", false)
}

/// Starts a snapshot of `wasm` again and again, in one slot.
fn starts_from_snapshot(engine: &FaasletEngine, wasm: &[u8], grants: &Grants) {
    let snapshot = take(engine, wasm, grants).expect("a snapshot");
    let restored = function(engine, &snapshot, grants.clone());
    for _ in 0..STARTS {
        restored.start(&mut Untimed).expect("exit code 0");
    }
}

#[test]
fn each_start_is_the_initialised_state_and_nothing_else() {
    let engine = engine();
    let wasm = program(
        r#"(memory (export "memory") 1)
           (global $i (mut i32) (i32.const 1)) (global $l (mut i64) (i64.const 1))
           (global $f (mut f64) (f64.const 1)) (global $v (mut v128) (v128.const i64x2 0 0))
           (table 2 funcref) (elem (i32.const 1) $one) (type $t (func (result i32)))
           (func $one (result i32) (i32.const 1))
           (data (i32.const 8) "as linked")"#,
        // Leaves a mark in each kind of state; the memory has grown by two pages.
        r#"(global.set $i (i32.const -2)) (global.set $l (i64.const 0x123456789abcdef0))
           (global.set $f (f64.const 2.5)) (global.set $v (v128.const i64x2 3 4))
           (drop (memory.grow (i32.const 2)))
           (i32.store8 (i32.const 8) (i32.const 65))
           (i32.store (i32.const 196604) (i32.const 77))"#,
        r#"(call $check (global.get $i) (i32.const -2))
           (call $check (i64.eq (global.get $l) (i64.const 0x123456789abcdef0)) (i32.const 1))
           (call $check (f64.eq (global.get $f) (f64.const 2.5)) (i32.const 1))
           (call $check (i8x16.all_true (i8x16.eq (global.get $v) (v128.const i64x2 3 4))) (i32.const 1))
           (call $check (memory.size) (i32.const 3))
           (call $check (i32.load8_u (i32.const 8)) (i32.const 65))
           (call $check (i32.load8_u (i32.const 9)) (i32.const 115))
           (call $check (i32.load (i32.const 196604)) (i32.const 77))
           (call $check (i32.load (i32.const 100000)) (i32.const 0))
           (call $check (call_indirect (type $t) (i32.const 1)) (i32.const 1))
           ;; What the next start must not see.
           (global.set $i (i32.const 0)) (global.set $l (i64.const 0)) (global.set $f (f64.const 0))
           (global.set $v (v128.const i64x2 0 0))
           (i32.store (i32.const 100000) (i32.const 1)) (i32.store (i32.const 196604) (i32.const 1))
           (i32.store8 (i32.const 8) (i32.const 1)) (drop (memory.grow (i32.const 1)))"#,
    );
    // As a command, it does both one after the other.
    let command = function(&engine, &wasm, Grants::default());
    command.start(&mut Untimed).expect("exit code 0");
    drop(command);
    starts_from_snapshot(&engine, &wasm, &Grants::default());
}

#[test]
fn constructors_of_a_reactor_run_before_the_initialiser_and_once() {
    let engine = engine();
    let wasm = program(
        r#"(memory (export "memory") 1)
           (func (export "_initialize") (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))))"#,
        "(call $check (i32.load (i32.const 0)) (i32.const 1)) (i32.store (i32.const 4) (i32.const 7))",
        "(call $check (i32.load (i32.const 0)) (i32.const 1)) (call $check (i32.load (i32.const 4)) (i32.const 7))",
    );
    starts_from_snapshot(&engine, &wasm, &Grants::default());
}

#[test]
fn a_program_without_an_initialiser_does_all_at_each_start() {
    let engine = engine();
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func (export "_start") (if (i32.load (i32.const 0)) (then unreachable))
                (i32.store (i32.const 0) (i32.const 1))))"#,
    )
    .expect("a module");
    starts_from_snapshot(&engine, &wasm, &Grants::default());
}

const PATH_OPEN: &str = r#"(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 512) "file")
    (func $opens (call $check (i32.const 0) (call $open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 4)
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))))"#;

#[test]
fn files_may_be_read_while_initialising_but_not_left_open() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("file"), "x").expect("a file");
    let left_open = program(PATH_OPEN, "(call $opens)", "");
    let error = refused(&left_open, &given(dir.path()));
    assert!(error.contains("left descriptor 4 open"), "{error}");
    // A start from the snapshot finds its directory under the number that it had, and opens files there.
    let closed = program(
        PATH_OPEN,
        "(call $opens) (drop (call $close (i32.load (i32.const 64))))",
        "(call $opens) (call $check (i32.load (i32.const 64)) (i32.const 4))",
    );
    let engine = engine();
    starts_from_snapshot(&engine, &closed, &given(dir.path()));
}

#[test]
fn what_cannot_be_snapshotted_is_refused_with_the_reason() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            MEMORY,
            "(call $exit (i32.const 3))",
            &["exit code 3", "instead of returning"],
        ),
        (MEMORY, "unreachable", &["wizer.initialize", "unreachable"]),
        (MEMORY, "(loop $l (br $l))", &["deadline", "--deadline"]),
        (
            LARGE_MEMORY,
            "(loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 6000000)) (br $l))",
            &["deadline", "--deadline"],
        ),
        (
            LARGE_MEMORY,
            "(loop $l (drop (call $random (i32.const 0) (i32.const 6000000))) (br $l))",
            &["deadline", "--deadline"],
        ),
        (
            r#"(memory (export "memory") 1) (func $s (loop $l (br $l))) (start $s)"#,
            "",
            &["deadline", "--deadline"],
        ),
        (
            MEMORY,
            "(drop (call $close (i32.const 0)))",
            &["closed descriptor 0"],
        ),
        (
            MEMORY,
            "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))",
            &["denied"],
        ),
        (
            r#"(memory (export "memory") 1) (table 1 funcref)"#,
            "(table.set (i32.const 0) (ref.null func))",
            &["table.set"],
        ),
        (
            r#"(memory (export "memory") 1) (global (mut funcref) (ref.null func))"#,
            "",
            &["mutable global"],
        ),
    ];
    for (more, initialise, says) in cases {
        let error = refused(&program(more, initialise, ""), &Grants::default());
        assert!(
            error.starts_with("cannot take a snapshot of it: "),
            "{error}"
        );
        for says in *says {
            assert!(error.contains(says), "`{says}` is not in: {error}");
        }
    }
}

/// Writes eight random bytes that the initialiser drew, then eight of its own.
pub fn draws() -> Vec<u8> {
    program(
        r#"(memory (export "memory") 1) (data (i32.const 0) "\40\00\00\00\10\00\00\00")"#,
        "(drop (call $random (i32.const 64) (i32.const 8)))",
        "(drop (call $random (i32.const 72) (i32.const 8)))
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))",
    )
}

#[test]
fn what_is_drawn_at_random_by_a_start_is_fresh_and_by_the_initialiser_is_not() {
    let engine = engine();
    let snapshot = take(&engine, &draws(), &Grants::default()).expect("a snapshot");
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let grants = Grants {
        stdout: Some(Arc::new(write.into())),
        ..Grants::default()
    };
    let restored = function(&engine, &snapshot, grants);
    let mut said: [[u8; 16]; 2] = [[0; 16]; 2];
    for said in &mut said {
        restored.start(&mut Untimed).expect("exit code 0");
        read.read_exact(said).expect("sixteen bytes");
    }
    assert_eq!(said[0][..8], said[1][..8]);
    assert_ne!(said[0][8..], said[1][8..]);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is in memory, in however many pieces, is there again.
    #[test]
    fn memory_is_restored_byte_for_byte(
        pages in 1_u32..5,
        words in prop::collection::btree_map(0_u32..(4 << 14), any::<u32>(), 0..60),
    ) {
        let words: Vec<(u32, u32)> = words
            .into_iter()
            .map(|(word, value)| (word * 4, value))
            .filter(|(at, _)| *at < pages << 16)
            .collect();
        let each = |text: fn(u32, u32) -> String| {
            words.iter().map(|&(at, value)| text(at, value)).collect::<String>()
        };
        let wasm = program(
            &format!(r#"(memory (export "memory") {pages})"#),
            &each(|at, value| format!("(i32.store (i32.const {at}) (i32.const {value}))")),
            // Every word is read and added up, so that one too many shows.
            &format!(
                "(local $at i32) (local $sum i64)
                 {}
                 (loop $next
                    (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $at))))
                    (local.set $at (i32.add (local.get $at) (i32.const 4)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const {}))))
                 (call $check (i64.eq (local.get $sum) (i64.const {})) (i32.const 1))",
                each(|at, value| format!("(call $check (i32.load (i32.const {at})) (i32.const {value}))")),
                pages << 16,
                words.iter().map(|&(_, value)| u64::from(value)).sum::<u64>(),
            ),
        );
        let engine = engine();
        let snapshot = take(&engine, &wasm, &Grants::default()).expect("a snapshot");
        let restored = function(&engine, &snapshot, Grants::default());
        for _ in 0..2 {
            prop_assert!(restored.start(&mut Untimed).is_ok());
        }
    }
}
