//! From a random module to a program: a `_start` that calls its functions and writes down what came of it.
//!
//! After each call it writes eight bytes, into which results and globals are folded, and in the end the memory. Given an
//! argument beside its name it does so again and again, without an end.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{BlockType, ExportKind, Function, Instruction as I, MemArg, ValType as Type};
use wasm_interface::Interface;
use wasmparser::{FuncType, Parser, Payload, ValType};

use crate::seed::Draw;

/// Rounds of the memory in the end: so many pages of it.
const HASHED_PAGES: i32 = 2;
/// Where it writes from: a list of one buffer, the buffer, how much was written.
const LIST: i32 = 0;
const BUFFER: i32 = 8;
const WRITTEN: i32 = 16;

/// The program of `wasm`, which the shape of this crate was the model of.
///
/// # Errors
/// It is no module.
pub fn program(wasm: &[u8], draw: &mut Draw) -> Result<Vec<u8>, reencode::Error> {
    let interface = Interface::read(wasm)?;
    let imports = interface.imports.iter().zip(0_u32..);
    let call = |name: &str| {
        let mut named = imports.clone().filter(|(import, _)| import.name == name);
        named.next().map_or(0, |(_, index)| index)
    };
    let mut writer = Writer {
        body: Vec::new(),
        locals: Locals::default(),
        write: call("fd_write"),
        globals: globals(wasm)?,
    };
    writer.start(&interface, call("args_sizes_get"), draw);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut appended = Appended {
        types: count(interface.types.len()),
        functions: count(interface.function_count()),
        writer,
    };
    let mut module = wasm_encoder::Module::new();
    appended.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

fn globals(wasm: &[u8]) -> Result<Vec<ValType>, wasmparser::Error> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::GlobalSection(section) = payload? {
            let globals = section.into_iter();
            return globals.map(|global| Ok(global?.ty.content_type)).collect();
        }
    }
    Ok(Vec::new())
}

/// Locals of `_start`: the sum and a counter, then one for each type of a result.
#[derive(Default)]
struct Locals(Vec<Type>);

const SUM: u32 = 0;
const AT: u32 = 1;
const FOREVER: u32 = 2;

impl Locals {
    fn local_of(&mut self, ty: Type) -> u32 {
        let known = self.0.iter().position(|known| *known == ty);
        let index = known.unwrap_or_else(|| {
            self.0.push(ty);
            self.0.len() - 1
        });
        FOREVER + 1 + u32::try_from(index).unwrap_or(0)
    }

    fn declared(&self) -> Vec<(u32, Type)> {
        let first = [(1, Type::I64), (1, Type::I32), (1, Type::I32)];
        first
            .into_iter()
            .chain(self.0.iter().map(|ty| (1, *ty)))
            .collect()
    }
}

/// Writes the body of `_start`.
struct Writer {
    body: Vec<I<'static>>,
    locals: Locals,
    write: u32,
    globals: Vec<ValType>,
}

fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        memory_index: 0,
    }
}

impl Writer {
    fn start(&mut self, interface: &Interface, args_sizes_get: u32, draw: &mut Draw) {
        self.body.extend([
            I::I32Const(LIST),
            I::I32Const(BUFFER),
            I::Call(args_sizes_get),
            I::Drop,
            I::I32Const(LIST),
            I::I32Load(at(0)),
            I::I32Const(1),
            I::I32GtU,
            I::LocalSet(FOREVER),
            I::Loop(BlockType::Empty),
        ]);
        let own = interface
            .exported_functions()
            .filter(|export| export.name.starts_with('f'));
        for export in own {
            if let Some(ty) = interface.function_type(export.index) {
                self.call(export.index, ty, draw);
                self.fold_globals();
                self.write_sum();
            }
        }
        self.fold_memory();
        self.write_sum();
        self.body
            .extend([I::LocalGet(FOREVER), I::BrIf(0), I::End, I::End]);
    }

    fn call(&mut self, index: u32, ty: &FuncType, draw: &mut Draw) {
        for param in ty.params() {
            let value = draw.edge();
            self.body.push(match param {
                ValType::I32 => I::I32Const(value as i32),
                ValType::I64 => I::I64Const(value.cast_signed()),
                ValType::F32 => I::F32Const(f32::from_bits(value as u32).into()),
                ValType::F64 => I::F64Const(f64::from_bits(value).into()),
                ValType::V128 => {
                    I::V128Const(i128::from(value.cast_signed()) << 32 | i128::from(value))
                }
                ValType::Ref(ty) => I::RefNull(heap_type(*ty)),
            });
        }
        self.body.push(I::Call(index));
        // The last result is on top.
        for result in ty.results().iter().rev() {
            self.fold(*result);
        }
    }

    /// Folds the value on the stack into the sum.
    fn fold(&mut self, ty: ValType) {
        match ty {
            ValType::I32 => self.body.push(I::I64ExtendI32U),
            ValType::I64 => {}
            ValType::F32 => self.body.extend([I::I32ReinterpretF32, I::I64ExtendI32U]),
            ValType::F64 => self.body.push(I::I64ReinterpretF64),
            ValType::V128 => {
                let kept = self.locals.local_of(Type::V128);
                self.body.extend([
                    I::LocalTee(kept),
                    I::I64x2ExtractLane(0),
                    I::LocalGet(kept),
                    I::I64x2ExtractLane(1),
                    I::I64Const(3),
                    I::I64Rotl,
                    I::I64Xor,
                ]);
            }
            ValType::Ref(_) => self.body.extend([I::RefIsNull, I::I64ExtendI32U]),
        }
        self.body.extend([
            I::LocalGet(SUM),
            I::I64Const(5),
            I::I64Rotl,
            I::I64Xor,
            I::I64Const(0x9e37_79b9_7f4a_7c15_u64.cast_signed()),
            I::I64Mul,
            I::LocalSet(SUM),
        ]);
    }

    fn fold_globals(&mut self) {
        for (ty, index) in self.globals.clone().into_iter().zip(0..) {
            self.body.push(I::GlobalGet(index));
            self.fold(ty);
        }
    }

    /// Eight bytes at a time, from behind what [`Writer::write_sum`] writes, and how much there is.
    fn fold_memory(&mut self) {
        self.body.push(I::MemorySize(0));
        self.fold(ValType::I32);
        self.body
            .extend([I::I32Const(24), I::LocalSet(AT), I::Loop(BlockType::Empty)]);
        self.body.extend([I::LocalGet(AT), I::I64Load(at(0))]);
        self.fold(ValType::I64);
        self.body.extend([
            I::LocalGet(AT),
            I::I32Const(8),
            I::I32Add,
            I::LocalTee(AT),
            // As far as there is memory, which no function can take away.
            I::MemorySize(0),
            I::I32Const(HASHED_PAGES),
            I::MemorySize(0),
            I::I32Const(HASHED_PAGES),
            I::I32LtU,
            I::Select,
            I::I32Const(16),
            I::I32Shl,
            I::I32LtU,
            I::BrIf(0),
            I::End,
        ]);
    }

    fn write_sum(&mut self) {
        let store = |value: I<'static>, to: i32| [I::I32Const(to), value, I::I32Store(at(0))];
        self.body.extend(store(I::I32Const(BUFFER), LIST));
        self.body.extend(store(I::I32Const(8), LIST + 4));
        self.body
            .extend([I::I32Const(BUFFER), I::LocalGet(SUM), I::I64Store(at(0))]);
        self.body.extend([1, LIST, 1, WRITTEN].map(I::I32Const));
        self.body.extend([I::Call(self.write), I::Drop]);
    }
}

fn heap_type(ty: wasmparser::RefType) -> wasm_encoder::HeapType {
    let shared = false;
    let ty = if ty.is_func_ref() {
        wasm_encoder::AbstractHeapType::Func
    } else {
        wasm_encoder::AbstractHeapType::Extern
    };
    wasm_encoder::HeapType::Abstract { shared, ty }
}

/// A module with `_start` at the end of its functions.
struct Appended {
    types: u32,
    functions: u32,
    writer: Writer,
}

impl Reencode for Appended {
    type Error = Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], []);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.types);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_export_section(self, exports, section)?;
        exports.export("_start", ExportKind::Func, self.functions);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_code_section(self, code, section)?;
        let mut start = Function::new(self.writer.locals.declared());
        for op in &self.writer.body {
            start.instruction(op);
        }
        code.function(&start);
        Ok(())
    }
}
