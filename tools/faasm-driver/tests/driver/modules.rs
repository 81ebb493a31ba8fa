//! Programs as text, so that these tests need no compiler for C.

pub const NOOP: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Exits with code 3 through `proc_exit`.
pub const EXIT_3: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 3))))"#;

/// Reads standard input to its end, as demo/park does.
pub const PARK: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\01\00\00\00")
    (func (export "_start")
        (loop $again
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)) (then unreachable))
            (br_if $again (i32.load (i32.const 16))))))"#;

/// The same, but it ends with code 5.
pub const PARK_THEN_5: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\01\00\00\00")
    (func (export "_start")
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
        (call $exit (i32.const 5))))"#;

pub const ENDLESS: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))"#;

/// Sleeps for a hundred days in the host.
pub const SLEEPER: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 8640000000000000))
        (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#;

/// Writes without end.
pub const TALKER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 17)
    (func (export "_start")
        (i32.store (i32.const 4) (i32.const 0x100000))
        (loop $l (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))))"#;

/// Fills a memory of 64 MiB again and again.
pub const FILLER: &str = r#"(module
    (memory (export "memory") 1024)
    (func (export "_start")
        (loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x4000000)) (br $l))))"#;

/// Sleeps for five milliseconds in the host.
pub const NAP: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 5000000))
        (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)) (then unreachable))))"#;

/// Grows its memory until it is denied, then gives up.
pub const MEMORY_BOMB: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start")
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 256)) (i32.const -1))))
        unreachable))"#;

/// Begins above any limit.
pub const MEMORY_HUGE: &str =
    r#"(module (memory (export "memory") 65536) (func (export "_start")))"#;

pub const TABLE_BOMB: &str = r#"(module
    (memory (export "memory") 1)
    (table 1 funcref)
    (func (export "_start")
        (loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 4096)) (i32.const -1))))
        unreachable))"#;

pub const TRAP: &str =
    r#"(module (memory (export "memory") 1) (func $boom (export "_start") unreachable))"#;

/// Traps before its main begins.
pub const TRAP_IN_START: &str = r#"(module
    (memory (export "memory") 1) (func $early unreachable) (start $early) (func (export "_start")))"#;

/// No compiler can make a loop of it: it has something to do when it comes back.
pub const RECURSION: &str = r#"(module
    (memory (export "memory") 1)
    (func $deeper (param i32) (result i32)
        (if (result i32) (i32.load (local.get 0)) (then (i32.const 0))
            (else (i32.add (call $deeper (local.get 0)) (call $deeper (i32.add (local.get 0) (i32.const 4)))))))
    (func (export "_start") (drop (call $deeper (i32.const 1024)))))"#;

pub const OUT_OF_BOUNDS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start") (drop (i32.load (i32.const 0x7fffffff)))))"#;

/// Exits with the error number of opening `/etc/passwd` below whatever descriptor 3 is.
pub const OPENS_FILE: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "../../../../etc/passwd")
    (func (export "_start")
        (call $exit (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 22)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))))"#;

/// Exits with the sum of what writing to descriptors 3 to 9 and asking for their directories answers,
/// divided by the number of questions: 8, if each says "no such descriptor".
pub const PROBES_DESCRIPTORS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $fd i32) (local $sum i32)
        (local.set $fd (i32.const 3))
        (loop $next
            (local.set $sum (i32.add (local.get $sum)
                (i32.add
                    (call $write (local.get $fd) (i32.const 0) (i32.const 0) (i32.const 64))
                    (call $prestat (local.get $fd) (i32.const 64)))))
            (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $fd) (i32.const 10))))
        (call $exit (i32.div_u (local.get $sum) (i32.const 14)))))"#;

/// Writes to standard error, then exits with code 1.
pub const COMPLAINS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\10\00\00\00")
    (data (i32.const 16) "out of\1b[31m luck")
    (func (export "_start")
        (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 64)))
        (call $exit (i32.const 1))))"#;
