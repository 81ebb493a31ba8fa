//! The one module that does what a script says: it reads that as data, as compiling a module for each of hundreds of scripts would take
//! most of these tests' time.

use std::fmt::Write;
use std::sync::OnceLock;

use faaslet::FaasletEngine;
use wasmtime::Module;

use super::{
    ARG_BYTES, ARGS, ARGS_AT, BUFFER, BYTES, CALL, CALLS, FIRST_SLOTS, FIRST_STRINGS, INPUT, LIST,
    LOG, OUT, PAGES, SLOT_COUNT, SLOTS, STEPS, STEPS_END, STORE, STRINGS, TIMES, USED,
};

/// It for `engine`: compiled once, as no setting that tests vary changes the code.
pub fn interpreter(engine: &FaasletEngine) -> Module {
    static CODE: OnceLock<Vec<u8>> = OnceLock::new();
    let code = CODE.get_or_init(|| {
        let wasm = wat::parse_str(text()).expect("a module");
        let module = engine.compile(&wasm).expect("code");
        module.serialize().expect("its bytes")
    });
    // SAFETY: the engine's own bytes, made above by this process.
    unsafe { Module::deserialize(engine.wasmtime(), code) }.expect("the same engine")
}

/// Calls the import that a step names with the arguments that it has.
fn call() -> String {
    let mut text = String::from("(func $call (param $at i32) (result i32) ");
    text.push_str(&"(block ".repeat(CALLS.len()));
    let labels: Vec<String> = (0..CALLS.len()).map(|n| n.to_string()).collect();
    let _ = write!(
        text,
        "(br_table {} (i32.load offset=4 (local.get $at)))",
        labels.join(" ")
    );
    for (name, params) in CALLS {
        let _ = write!(text, ") (return (call ${name}");
        for (at, param) in (ARGS_AT..).step_by(ARG_BYTES as usize).zip(params.chars()) {
            let _ = match param {
                'i' => write!(
                    text,
                    " (call $word (i32.add (local.get $at) (i32.const {at})))"
                ),
                _ => write!(text, " (i64.load offset={} (local.get $at))", at + 4),
            };
        }
        text.push_str("))");
    }
    text + " unreachable)"
}

/// Steps from the first to the last.
fn steps() -> String {
    let call_bytes = ARGS_AT + ARGS * ARG_BYTES;
    format!(
        r"(func $steps (local $at i32)
        (local.set $at (i32.const {STEPS}))
        (loop $next
            (if (i32.ge_u (local.get $at) (i32.load (i32.const {STEPS_END}))) (then (return)))
            (if (i32.eq (i32.load (local.get $at)) (i32.const {CALL})) (then
                ;; What an answer leaves as it was is zero.
                (memory.fill (i32.const {OUT}) (i32.const 0) (i32.const 64))
                (call $record (call $call (local.get $at))
                    (select (i32.const {BUFFER}) (i32.const {OUT}) (i32.load offset=8 (local.get $at)))
                    (select (i32.load (i32.const {USED})) (i32.load offset=12 (local.get $at)) (i32.load offset=8 (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const {call_bytes})))
                (br $next)))
            (if (i32.eq (i32.load (local.get $at)) (i32.const {STORE})) (then
                (i32.store (i32.load offset=4 (local.get $at)) (i32.load offset=8 (local.get $at)))
                (local.set $at (i32.add (local.get $at) (i32.const 12)))
                (br $next)))
            (if (i32.ne (i32.load (local.get $at)) (i32.const {BYTES})) (then unreachable))
            (memory.copy (i32.load offset=4 (local.get $at)) (i32.add (local.get $at) (i32.const 12)) (i32.load offset=8 (local.get $at)))
            (local.set $at (i32.add (i32.add (local.get $at) (i32.const 12))
                (i32.and (i32.add (i32.load offset=8 (local.get $at)) (i32.const 3)) (i32.const -4))))
            (br $next)))"
    )
}

fn text() -> String {
    let mut imports = String::new();
    for (name, params) in CALLS {
        let params: String = params
            .chars()
            .map(|c| if c == 'i' { " i32" } else { " i64" })
            .collect();
        let _ = writeln!(
            imports,
            r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param{params}) (result i32)))"#
        );
    }
    format!(
        r#"(module {imports}
        (memory (export "memory") {PAGES})
        (global $end (mut i32) (i32.const {LOG}))
        (func $record (param $errno i32) (param $at i32) (param $len i32)
            (if (local.get $errno) (then (local.set $len (i32.const 0))))
            (i32.store (global.get $end) (local.get $errno))
            (i32.store offset=4 (global.get $end) (local.get $len))
            (memory.copy (i32.add (global.get $end) (i32.const 8)) (local.get $at) (local.get $len))
            (global.set $end (i32.add (global.get $end) (i32.add (i32.const 8) (local.get $len))))
            ;; What is to be done begins there.
            (if (i32.gt_u (global.get $end) (i32.const {INPUT})) (then unreachable)))
        (func $word (param $at i32) (result i32)
            (if (result i32) (i32.load (local.get $at))
                (then (i32.load (i32.load offset=4 (local.get $at))))
                (else (i32.load offset=4 (local.get $at)))))
        {call}
        {steps}
        (func $read (local $used i32)
            (i32.store (i32.const {LIST}) (i32.const {INPUT}))
            (loop $more
                (i32.store (i32.const {list_len}) (i32.sub (i32.const {memory_bytes}) (i32.load (i32.const {LIST}))))
                (if (call $fd_read (i32.const 0) (i32.const {LIST}) (i32.const 1) (i32.const {USED})) (then unreachable))
                (local.set $used (i32.load (i32.const {USED})))
                (i32.store (i32.const {LIST}) (i32.add (i32.load (i32.const {LIST})) (local.get $used)))
                (br_if $more (local.get $used)))
            (memory.copy (i32.const {SLOTS}) (i32.const {FIRST_SLOTS}) (i32.const {slot_bytes}))
            (memory.copy (i32.const {STRINGS}) (i32.const {FIRST_STRINGS}) (i32.const {string_bytes})))
        (func (export "_start") (local $left i32)
            (call $read)
            (local.set $left (i32.load (i32.const {TIMES})))
            (loop $again
                (call $steps)
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $again (local.get $left)))
            (i32.store (i32.const {LIST}) (i32.const {LOG}))
            (i32.store (i32.const {list_len}) (i32.sub (global.get $end) (i32.const {LOG})))
            (if (call $fd_write (i32.const 1) (i32.const {LIST}) (i32.const 1) (i32.const {USED}))
                (then unreachable))))"#,
        call = call(),
        steps = steps(),
        list_len = LIST + 4,
        memory_bytes = PAGES << 16,
        slot_bytes = 4 * SLOT_COUNT,
        string_bytes = BUFFER - STRINGS,
    )
}
