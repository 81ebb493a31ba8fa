//! The module that stands for a library's: the same memory and the same imports, and a `_start` that runs the library.
//!
//! So a library gets its memory, its files, its limits and its deadline exactly as any module does: it is the host function
//! that this module calls. It calls the host back through functions that this module exports, by number.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{Parser, Payload, TypeRef};

use crate::wasi;

/// Where `run` is imported from.
pub(super) const MODULE: &str = "faaslet";
pub(super) const RUN: &str = "run";
/// More than any function of WASI takes.
pub(super) const PARAMS_MAX: usize = 16;

/// A function of WASI that the library calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) params: Vec<ValType>,
    pub(super) results: Vec<ValType>,
}

/// What of a module its library does not bring along.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) calls: Vec<Call>,
    /// Initial and greatest number of pages.
    memory: Option<(u64, Option<u64>)>,
}

impl Outline {
    /// Of `wasm`, or why it has none.
    pub(super) fn of(wasm: &[u8]) -> Result<Self, String> {
        let broken = |e: wasmparser::BinaryReaderError| format!("it is not a valid module: {e}");
        let mut types = Vec::new();
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(broken)? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        types.push(ty.map_err(broken)?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(broken)?;
                        let ty = match import.ty {
                            TypeRef::Func(ty) if import.module == wasi::MODULE => {
                                types.get(ty as usize)
                            }
                            _ => None,
                        };
                        let ty = ty.ok_or_else(|| {
                            format!("it imports {}.{}", import.module, import.name)
                        })?;
                        outline.calls.push(Call {
                            name: import.name.to_owned(),
                            params: integers(ty.params())?,
                            results: integers(ty.results())?,
                        });
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = memory.map_err(broken)?;
                        outline.memory = Some((memory.initial, memory.maximum));
                    }
                }
                // Nothing of interest comes after.
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(outline)
    }

    /// The adapter.
    pub(super) fn adapter(&self) -> Vec<u8> {
        let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        let mut exports = ExportSection::new();
        let count = index(self.calls.len());
        for (i, call) in self.calls.iter().enumerate() {
            let i = index(i);
            types
                .ty()
                .function(call.params.iter().copied(), call.results.iter().copied());
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

fn integers(types: &[wasmparser::ValType]) -> Result<Vec<ValType>, String> {
    if types.len() > PARAMS_MAX {
        return Err("it imports a function of more parameters than any has".to_owned());
    }
    types
        .iter()
        .map(|ty| match ty {
            wasmparser::ValType::I32 => Ok(ValType::I32),
            wasmparser::ValType::I64 => Ok(ValType::I64),
            other => Err(format!("it imports a function of {other}")),
        })
        .collect()
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_has_the_memory_and_the_calls_of_its_module() {
        let wasm = wat::parse_str(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (memory (export "memory") 2 9) (func (export "_start")))"#,
        );
        let outline = Outline::of(&wasm.expect("a module")).expect("an outline");
        let adapter = outline.adapter();
        wasmparser::validate(&adapter).expect("valid");
        let mut of_adapter = Outline::of(&adapter[..]);
        // Its last import is not of WASI.
        assert_eq!(of_adapter, Err(format!("it imports {MODULE}.{RUN}")));
        of_adapter = Ok(outline);
        assert_eq!(
            of_adapter.map(|o| (o.calls.len(), o.memory)),
            Ok((3, Some((2, Some(9)))))
        );
    }

    #[test]
    fn what_is_not_of_wasi_is_refused() {
        for import in [
            r#"(import "env" "f" (func))"#,
            r#"(import "wasi_snapshot_preview1" "memory" (memory 1))"#,
            r#"(import "wasi_snapshot_preview1" "f" (func (param f64)))"#,
        ] {
            let wasm = wat::parse_str(format!("(module {import})")).expect("a module");
            assert!(Outline::of(&wasm).is_err(), "{import}");
        }
    }
}
