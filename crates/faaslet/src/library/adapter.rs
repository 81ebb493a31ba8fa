//! The module that stands for a library's: the same memory and the same imports, and a `_start` that runs the library.
//!
//! So a library gets its memory, its files, its limits and its deadline exactly as any module does: it is the host function
//! that this module calls. It calls the host back through functions that this module exports, by number.

use second_engine::{Call, SecondEngineError};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasm_interface::Interface;

use crate::wasi;

/// Where `run` is imported from.
pub(super) const MODULE: &str = "faaslet";
pub(super) const RUN: &str = "run";

/// What of a module its library does not bring along.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) calls: Vec<Call>,
    /// Initial and greatest number of pages.
    memory: Option<(u64, Option<u64>)>,
}

impl Outline {
    /// That of a module of this `interface`.
    pub(super) fn new(interface: &Interface) -> Result<Self, SecondEngineError> {
        let memory = interface.memories.last();
        Ok(Self {
            calls: second_engine::calls(interface)?,
            memory: memory.map(|memory| (memory.initial, memory.maximum)),
        })
    }

    /// The adapter.
    pub(super) fn adapter(&self) -> Vec<u8> {
        let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        let mut exports = ExportSection::new();
        let count = index(self.calls.len());
        for (i, call) in self.calls.iter().enumerate() {
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
        exports.export("memory", ExportKind::Memory, 0);
        let (minimum, maximum) = self.memory.unwrap_or_default();
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum,
            maximum,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut module = Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&functions)
            .section(&memories)
            .section(&exports)
            .section(&code);
        module.finish()
    }
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

    fn outline(wasm: &[u8]) -> Result<Outline, SecondEngineError> {
        Outline::new(&Interface::read(wasm)?)
    }

    #[test]
    fn an_adapter_has_the_memory_and_the_calls_of_its_module() {
        let wasm = wat::parse_str(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 2 9) (func (export "_start")))"#,
        );
        let outline = outline(&wasm.expect("a module")).expect("an outline");
        let adapter = outline.adapter();
        wasmparser::validate(&adapter).expect("valid");
        assert_eq!(outline.calls.len(), 3);
        assert_eq!(outline.memory, Some((2, Some(9))));
        let adapter = Interface::read(&adapter).expect("an interface");
        let memory = adapter.memories[0];
        assert_eq!((memory.initial, memory.maximum), (2, Some(9)));
        // Its last import is not of WASI.
        let error = Outline::new(&adapter).expect_err("refused").to_string();
        assert_eq!(error, format!("it imports {MODULE}.{RUN}"));
    }

    #[test]
    fn what_is_not_of_wasi_is_refused() {
        for import in [
            r#"(import "env" "f" (func))"#,
            r#"(import "wasi_snapshot_preview1" "memory" (memory 1))"#,
            r#"(import "wasi_snapshot_preview1" "f" (func (param f64)))"#,
        ] {
            let wasm = wat::parse_str(format!("(module {import})")).expect("a module");
            assert!(outline(&wasm).is_err(), "{import}");
        }
    }
}
