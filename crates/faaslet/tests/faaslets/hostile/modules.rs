//! Modules that try to outlive their deadline, or to take their process with them.

use std::fmt::Write;

/// One module: what it does, and its fields; `_start` is its program, and never ends by itself.
pub struct Hostile {
    pub what: &'static str,
    fields: String,
    /// Pages of memory.
    pages: u32,
}

impl Hostile {
    fn new(what: &'static str, pages: u32, fields: impl Into<String>) -> Self {
        Self {
            what,
            fields: fields.into(),
            pages,
        }
    }

    pub fn text(&self) -> String {
        let Self { fields, pages, .. } = self;
        format!(r#"(module {IMPORTS} (memory (export "memory") {pages}) {fields})"#)
    }
}

const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))"#;

/// Functions that call one another last, with so many parameters each: their frames move with every call.
pub fn ring(parameters: &[usize]) -> String {
    let mut fields = String::new();
    for (i, &count) in parameters.iter().enumerate() {
        let next = (i + 1) % parameters.len();
        let arguments: String = (0..parameters[next])
            .map(|n| format!("(i64.add (local.get {}) (i64.const {n}))", n % count))
            .collect();
        let _ = write!(
            fields,
            "(func $f{i} (param {}) (return_call $f{next} {arguments}))",
            "i64 ".repeat(count)
        );
    }
    let arguments = "(i64.const 0x7ff8123456789abc) ".repeat(parameters[0]);
    let _ = write!(
        fields,
        r#"(func (export "_start") (return_call $f0 {arguments}))"#
    );
    fields
}

/// What each does for ever.
pub fn endless() -> Vec<Hostile> {
    let forever = |what, pages, before: &str, body: &str| {
        let fields = format!(
            r#"{before} (func (export "_start") (local i32 i32 i64) (loop $l {body} (br $l)))"#
        );
        Hostile::new(what, pages, fields)
    };
    let tail_calls = |what, parameters: &[usize]| Hostile::new(what, 1, ring(parameters));
    vec![
        tail_calls("moves frames by tail calls", &[40, 2, 25]),
        tail_calls("moves other frames", &[1, 60]),
        forever("computes nothing", 1, "", ""),
        forever("fills much", MUCH, "", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 0x10000000))"),
        forever("copies much", MUCH, "", "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0xfffffff))"),
        forever("copies much down", MUCH, "", "(memory.copy (i32.const 0) (i32.const 1) (i32.const 0xfffffff))"),
        forever("fills pieces", MUCH, "", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 0x100000))"),
        forever("fills some", 1, "", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 20000))"),
        forever("copies some", 1, "", "(memory.copy (i32.const 5) (i32.const 0) (i32.const 16000))"),
        forever("copies bytes it counted", 1, "", "(memory.copy (i32.const 5) (i32.const 0) (i32.const 130))"),
        forever("initialises", 2, &segment(), "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 100000))"),
        forever("initialises nothing", 2, &segment(), "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))"),
        forever("grows by nothing", 1, "", "(drop (memory.grow (i32.const 0)))"),
        forever("grows until it cannot", 1, "", "(drop (memory.grow (i32.const 1)))"),
        forever("grows by what there is not", 1, "", "(drop (memory.grow (i32.const -1)))"),
        forever("fills its table", 1, TABLE, "(table.fill (i32.const 0) (ref.null func) (i32.const 65000))"),
        forever("fills its table with functions", 1, TABLE, "(table.fill (i32.const 0) (ref.func $f) (i32.const 65000))"),
        forever("copies its table", 1, TABLE, "(table.copy (i32.const 1) (i32.const 0) (i32.const 64000))"),
        forever("initialises its table", 1, TABLE, "(table.init $e (i32.const 1) (i32.const 0) (i32.const 2))"),
        forever("grows its table by nothing", 1, TABLE, "(drop (table.grow (ref.null func) (i32.const 0)))"),
        forever("grows its table", 1, TABLE, "(drop (table.grow (ref.null func) (i32.const 100)))"),
        forever("drops elements", 1, TABLE, "(elem.drop $e)"),
        forever("refers to functions", 1, TABLE, "(drop (ref.func $f))"),
        forever("is random", MUCH, "", "(drop (call $random (i32.const 0) (i32.const 0x10000000)))"),
        forever("sleeps", 1, "", "(i64.store (i32.const 24) (i64.const 900000000))
            (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))"),
        forever("sleeps shortly", 1, "", "(i64.store (i32.const 24) (i64.const 1000))
            (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))"),
        forever("yields", 1, "", "(drop (call $yield))"),
        forever("asks for the time", 1, "", "(drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))"),
        forever("writes much", MUCH, "", "(i32.store (i32.const 4) (i32.const 0xfffffff))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"),
        forever("writes the same many times", MUCH, "", &format!("{BUFFERS}
            (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1000) (i32.const 8)))")),
        forever("reads without end", MUCH, "", "(i32.store (i32.const 4) (i32.const 0xfffffff))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"),
        Hostile::new("recurses at the end of its stack", 1, "(func $f (param i32) (result i32)
            (if (result i32) (local.get 0) (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
              (else (i32.const 1))))
            (func (export \"_start\") (loop $l (drop (call $f (i32.const 7000))) (br $l)))"),
        Hostile::new("never gets started", MUCH, "(func $init (loop $l
              (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x10000000)) (br $l)))
            (start $init) (func (export \"_start\"))"),
    ]
}

/// The default memory limit, in pages.
const MUCH: u32 = 4096;
const TABLE: &str =
    "(table 65000 65536 funcref) (elem $e func $f $f) (elem declare func $f) (func $f)";
/// Makes 1000 buffers of the whole memory, from address 16 on.
const BUFFERS: &str =
    "(local.set 0 (i32.const 16)) (loop $b (i32.store (local.get 0) (i32.const 0))
    (i32.store offset=4 (local.get 0) (i32.const 0x1000000))
    (br_if $b (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 8))) (i32.const 8016))))";

fn segment() -> String {
    format!("(data $d \"{}\")", "0123456789".repeat(10_000))
}
