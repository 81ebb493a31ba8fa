//! A random module: what `wasm-smith` makes of a shape that is drawn first.

use std::fmt::Write;

use arbitrary::Unstructured;
use wasm_smith::{Config, MemoryOffsetChoices, Module};
use wasmparser::Error as InvalidModule;

use crate::seed::Draw;

/// The calls that a module may make: such as have the same answer in every run and change nothing outside.
const IMPORTS: [(&str, &str); 6] = [
    ("fd_write", "(param i32 i32 i32 i32) (result i32)"),
    ("args_sizes_get", "(param i32 i32) (result i32)"),
    ("args_get", "(param i32 i32) (result i32)"),
    ("environ_sizes_get", "(param i32 i32) (result i32)"),
    ("sched_yield", "(result i32)"),
    ("proc_exit", "(param i32)"),
];

/// The most pages of memory: enough to grow, little to look through.
pub const MAX_PAGES: u64 = 16;
const TYPES: [&str; 5] = ["i32", "i64", "f32", "f64", "v128"];

/// The module of a case, which exports its memory as `memory` and some functions as `f0` and so on.
///
/// # Errors
/// Its shape is no module: a mistake of ours.
pub fn module(draw: &mut Draw) -> Result<Option<Vec<u8>>, InvalidModule> {
    let simd = !draw.once_in(3);
    let shape = wat::parse_str(text(draw, simd)).unwrap_or_default();
    wasmparser::validate(&shape)?;
    let config = Config {
        module_shape: Some(shape),
        canonicalize_nans: true,
        disallow_traps: draw.once_in(2),
        bulk_memory_enabled: true,
        tail_call_enabled: !draw.once_in(3),
        reference_types_enabled: draw.once_in(4),
        simd_enabled: simd,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        max_memories: 1,
        max_memory32_bytes: MAX_PAGES << 16,
        memory_max_size_required: true,
        memory_offset_choices: MemoryOffsetChoices(90, 9, 1),
        max_tables: 1,
        max_table_elements: 200,
        table_max_size_required: true,
        max_funcs: 12,
        max_globals: 8,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 20,
        max_instructions: [30, 100, 300][draw.index(3)],
        max_types: 20,
        ..Config::default()
    };
    let len = [512, 2048, 6000][draw.index(3)];
    let bytes = draw.bytes(len);
    let mut source = Unstructured::new(&bytes);
    // It may run out of bytes in the midst of something that it cannot leave out.
    Ok(Module::new(config, &mut source)
        .ok()
        .map(|module| module.to_bytes()))
}

fn text(draw: &mut Draw, simd: bool) -> String {
    let mut text = String::from("(module");
    // Writing to a string cannot fail.
    for (name, ty) in IMPORTS {
        let _ = write!(
            text,
            r#" (import "wasi_snapshot_preview1" "{name}" (func {ty}))"#
        );
    }
    let initial = 1 + draw.below(3);
    let _ = write!(text, r#" (memory (export "memory") {initial} {MAX_PAGES})"#);
    let types = &TYPES[..TYPES.len() - usize::from(!simd)];
    let list = |draw: &mut Draw, most: u64| -> String {
        (0..draw.below(most + 1))
            .map(|_| format!(" {}", draw.one(types)))
            .collect()
    };
    for i in 0..1 + draw.below(6) {
        let params = list(draw, 5);
        let results = list(draw, 3);
        let _ = write!(
            text,
            r#" (func (export "f{i}") (param{params}) (result{results}) unreachable)"#
        );
    }
    text.push(')');
    text
}
