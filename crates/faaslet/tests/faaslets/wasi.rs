//! What a program sees of the host, with the light functions and with a file context.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use faaslet::Grants;
use faaslet::function::Untimed;
use tempfile::TempDir;

use crate::common::{engine, exit_code, function};

/// A program that exits with what `call` leaves, `import`s given.
fn exits_with(import: &str, call: &str) -> String {
    format!(
        r#"(module {import}
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 512) "secret")
            (func (export "_start") (call $exit {call})))"#
    )
}

const PATH_OPEN: &str = r#"(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;

/// Opens `secret` below descriptor 3, with `oflags` (1: create) and rights (2: read, 64: write).
fn open_secret(oflags: u32, rights: u32) -> String {
    exits_with(
        PATH_OPEN,
        &format!(
            "(call $open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 6) (i32.const {oflags}) \
             (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 64))"
        ),
    )
}

fn granted(dir: &Path, writable: bool) -> Grants {
    Grants::default().with_dir(dir, "/", writable)
}

#[test]
fn a_program_has_the_directories_it_was_given_and_no_other() {
    let engine = engine(2);
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("secret"), "x").expect("a file");
    let opens = open_secret(0, 2);
    let start = |wat: &str, grants| exit_code(function(&engine, wat, grants).start(&mut Untimed));
    assert_eq!(start(&opens, Grants::default()), 8, "no directory: EBADF");
    assert_eq!(start(&opens, granted(dir.path(), false)), 0);
    fs::remove_file(dir.path().join("secret")).expect("removed");
    let creates = open_secret(1, 64);
    assert_ne!(start(&creates, granted(dir.path(), false)), 0, "read-only");
    assert!(!dir.path().join("secret").exists());
    assert_eq!(start(&creates, granted(dir.path(), true)), 0);
    assert!(dir.path().join("secret").exists());
    // A link that leads out of the directory does not.
    let outside = TempDir::new().expect("a directory");
    fs::write(outside.path().join("f"), "x").expect("a file");
    fs::remove_file(dir.path().join("secret")).expect("removed");
    std::os::unix::fs::symlink(outside.path().join("f"), dir.path().join("secret"))
        .expect("a link");
    assert_ne!(start(&opens, granted(dir.path(), true)), 0, "leads out");
}

/// As `wasmtime-wasi` tells it; a list of one buffer of no bytes does the same.
#[test]
fn who_appends_nothing_is_at_the_end_of_the_file() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("secret"), "seven..").expect("a file");
    for buffers in [0, 1] {
        let wat = format!(
            r#"(module {PATH_OPEN}
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 512) "secret")
            (func (export "_start")
                (if (call $open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 6) (i32.const 0)
                    (i64.const 66) (i64.const 0) (i32.const 1) (i32.const 64)) (then unreachable))
                (if (call $write (i32.load (i32.const 64)) (i32.const 0) (i32.const {buffers}) (i32.const 32)) (then unreachable))
                (if (call $tell (i32.load (i32.const 64)) (i32.const 40)) (then unreachable))
                (if (i64.ne (i64.load (i32.const 40)) (i64.const 7)) (then unreachable))))"#
        );
        let engine = engine(1);
        let ended = function(&engine, wat, granted(dir.path(), true)).start(&mut Untimed);
        assert_eq!(exit_code(ended), 0, "{buffers}");
    }
}

#[test]
fn only_programs_that_deal_with_files_have_a_file_context() {
    let engine = engine(2);
    let plain = exits_with("", "(i32.const 0)");
    assert!(!function(&engine, &plain, Grants::default()).has_files());
    assert!(function(&engine, open_secret(0, 2), Grants::default()).has_files());
    assert!(function(&engine, &plain, granted(Path::new("/"), false)).has_files());
}

#[test]
fn arguments_environment_and_output_are_those_given() {
    let engine = engine(2);
    // Writes its argument buffer, as args_get laid it out, to standard output.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $esizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (if (call $sizes (i32.const 0) (i32.const 4)) (then unreachable))
            (if (call $args (i32.const 16) (i32.const 100)) (then unreachable))
            (i32.store (i32.const 8) (i32.const 100))
            (i32.store (i32.const 12) (i32.load (i32.const 4)))
            (if (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 64)) (then unreachable))
            (if (call $esizes (i32.const 0) (i32.const 4)) (then unreachable))
            (if (call $env (i32.const 16) (i32.const 100)) (then unreachable))
            (i32.store (i32.const 12) (i32.load (i32.const 4)))
            (if (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 64)) (then unreachable))))"#;
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let grants = Grants {
        args: vec!["name".into(), "ünï".into()],
        env: vec![("A".into(), "b=c".into())],
        stdout: Some(Arc::new(write.into())),
        ..Grants::default()
    };
    function(&engine, wat, grants)
        .start(&mut Untimed)
        .expect("exit code 0");
    let mut said = String::new();
    read.read_to_string(&mut said).expect("text");
    assert_eq!(said, "name\0ünï\0A=b=c\0");
}

#[test]
fn bad_addresses_are_an_error_number_and_no_more() {
    let engine = engine(2);
    let i = |value| ("i32", value);
    let cases: [(&str, &[(&str, i64)]); 7] = [
        ("random_get", &[i(65530), i(100)]),
        ("random_get", &[i(0), i(-1)]),
        ("clock_time_get", &[i(1), ("i64", 0), i(-4)]),
        ("fd_write", &[i(1), i(-8), i(1), i(0)]),
        ("fd_write", &[i(1), i(0), i(0), i(-2)]),
        ("poll_oneoff", &[i(-8), i(0), i(1), i(0)]),
        ("fd_fdstat_get", &[i(0), i(65530)]),
    ];
    for (name, args) in cases {
        let each = |text: fn(&str, i64) -> String| -> String {
            args.iter().map(|&(ty, value)| text(ty, value)).collect()
        };
        let params = each(|ty, _| format!(" {ty}"));
        let values = each(|ty, value| format!(" ({ty}.const {value})"));
        let import = format!(
            r#"(import "wasi_snapshot_preview1" "{name}" (func $f (param{params}) (result i32)))"#
        );
        let wat = exits_with(&import, &format!("(call $f{values})"));
        let result = function(&engine, &wat, Grants::default()).start(&mut Untimed);
        assert_eq!(exit_code(result), 21, "{name}: EFAULT");
    }
}

#[test]
fn nothing_of_one_start_is_there_in_the_next() {
    let engine = engine(1);
    // Exits with 9 if a byte that it writes at the end, here and there, is there already.
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 40) (global $g (mut i32) (i32.const 0)) (table 8 funcref)
        (func $mark (param $at i32)
            (if (i32.load8_u (local.get $at)) (then (call $exit (i32.const 9))))
            (i32.store8 (local.get $at) (i32.const 1)))
        (func (export "_start") (local $at i32)
            (if (global.get $g) (then (call $exit (i32.const 9))))
            (global.set $g (i32.const 1))
            (if (i32.ne (memory.size) (i32.const 40)) (then (call $exit (i32.const 9))))
            (loop $next
                (call $mark (local.get $at))
                (local.set $at (i32.add (local.get $at) (i32.const 4096)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 2621440))))
            (drop (memory.grow (i32.const 3)))
            (call $mark (i32.const 2621440))))"#;
    let function = function(&engine, wat, Grants::default());
    for _ in 0..20 {
        assert_eq!(exit_code(function.start(&mut Untimed)), 0);
    }
}
