//! The module that stands for a library's: the same memory, with the same data in it, the same imports, and a `_start` that runs
//! the library.
//!
//! So a library gets its memory, its files, its limits and its deadline exactly as any module does: it is the host function
//! that this module calls. Its memory is the engine's copy-on-write image of the data. It calls the host back through functions
//! that this module exports, by number.

use second_engine::Parts;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, Instruction, MemorySection, MemoryType, Module, TypeSection,
    ValType,
};

use crate::wasi;

/// Where `run` is imported from.
pub(super) const MODULE: &str = "faaslet";
pub(super) const RUN: &str = "run";
pub(super) const MEMORY: &str = "memory";

/// The adapter of the module that `parts` are of.
pub(crate) fn adapter(parts: &Parts<'_>) -> Vec<u8> {
    let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    let mut exports = ExportSection::new();
    let count = index(parts.calls.len());
    for (i, call) in parts.calls.iter().enumerate() {
        let i = index(i);
        types.ty().function(
            call.params.iter().map(integer),
            call.result.iter().map(integer),
        );
        imports.import(wasi::MODULE, &call.name, EntityType::Function(i));
        functions.function(i);
        let mut body = Function::new([]);
        for n in 0..index(call.params.len()) {
            body.instruction(&Instruction::LocalGet(n));
        }
        body.instruction(&Instruction::Call(i));
        body.instruction(&Instruction::End);
        code.function(&body);
        exports.export(&i.to_string(), ExportKind::Func, count + 1 + i);
    }
    types.ty().function([], []);
    imports.import(MODULE, RUN, EntityType::Function(count));
    functions.function(count);
    let mut body = Function::new([]);
    body.instruction(&Instruction::Call(count));
    body.instruction(&Instruction::End);
    code.function(&body);
    exports.export("_start", ExportKind::Func, 2 * count + 1);
    exports.export(MEMORY, ExportKind::Memory, 0);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memory(parts))
        .section(&exports)
        .section(&code)
        .section(&data(parts));
    module.finish()
}

fn memory(parts: &Parts<'_>) -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: parts.memory_pages,
        maximum: parts.memory_pages_max,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    memories
}

fn data(parts: &Parts<'_>) -> DataSection {
    let mut data = DataSection::new();
    for segment in &parts.data {
        let offset = ConstExpr::i32_const(segment.offset.cast_signed());
        data.active(0, &offset, segment.bytes.iter().copied());
    }
    data
}

/// The two kinds of value that a call passes.
fn integer(ty: &wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I64 => ValType::I64,
        _ => ValType::I32,
    }
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_interface::Interface;
    use wasmparser::{Parser, Payload};

    #[test]
    fn an_adapter_has_the_memory_and_the_calls_of_its_module() {
        let wasm = wat::parse_str(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 2 9) (data (i32.const 5) "ab") (data (i32.const 5) "c")
                (func (export "_start")))"#,
        )
        .expect("a module");
        let adapter = adapter(&Parts::read(&wasm).expect("parts"));
        wasmparser::validate(&adapter).expect("valid");
        let interface = Interface::read(&adapter).expect("an interface");
        let memory = interface.memories[0];
        assert_eq!((memory.initial, memory.maximum), (2, Some(9)));
        let names: Vec<&str> = interface.imports.iter().map(|i| &*i.name).collect();
        assert_eq!(names, ["fd_seek", "fd_seek", "proc_exit", RUN]);
        // Its last import is not of WASI.
        let error = Parts::read(&adapter).expect_err("refused").to_string();
        assert_eq!(error, format!("it imports {MODULE}.{RUN}"));
        let mut data = Vec::new();
        for payload in Parser::new(0).parse_all(&adapter) {
            if let Payload::DataSection(section) = payload.expect("a section") {
                data.extend(section.into_iter().map(|data| data.expect("data").data));
            }
        }
        assert_eq!(data, [&b"ab"[..], b"c"]);
    }
}
