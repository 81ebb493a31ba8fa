//! Instructions for which the engine calls the host are rewritten before it compiles them, so that a program comes back from
//! each within a bounded time, and is then asked for its deadline.
//!
//! * `memory.copy` and `memory.fill` become calls of functions that are appended to the module. Up to [`LOOP_BYTES`](helpers::LOOP_BYTES) they are loops of its
//!   own, which can be interrupted at any instruction; beyond, one instruction for each [`PIECE_BYTES`](helpers::PIECE_BYTES). Bounds are
//!   checked first and the direction of a copy is kept, as the instruction would.
//! * `memory.init` becomes such pieces too.
//! * `memory.grow` by nothing, of which no limiter is told, becomes `memory.size`.
//! * After each piece, and after each instruction on a table or on references that calls the host, comes [`ask`](helpers::ask).
//!
//! Asking is a growth that no memory has room for: the engine tells the store's limiter that it fails, and that ends the
//! program if it is late. Nothing is imported for it, so functions keep their indices, in profiles too.
//!
//! A [`component`]'s code looks at the time itself, at each turn of a loop. So of its modules only what moves memory is rewritten: one
//! instruction for each piece, in a loop.

mod component;
mod helpers;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{CodeSection, FunctionSection, Instruction, Module, TypeSection, ValType};
use wasm_interface::Interface;
use wasmparser::{FunctionBody, Operator, Parser, Payload};

pub(crate) use component::{COMPONENT_VERSION, component_in_pieces};

/// Part of the key of compiled code: changed with what is made here.
pub(crate) const VERSION: u32 = 1;

/// A copy of so many bytes, if the code says so, the engine does without the host.
const INLINE_BYTES: i32 = 128;

/// How a program comes to be told that it is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupted {
    /// By a signal, in its own functions alone.
    BySignal,
    /// Its loops and functions look at the time.
    ByItself,
}

/// What of `wasm` must be known before it is rewritten.
#[derive(Debug, Default)]
struct Census {
    types: u32,
    functions: u32,
    /// Segments from which memory is initialised.
    segments: Vec<u32>,
    /// Whether anything is to be rewritten.
    found: bool,
}

impl Census {
    fn take(wasm: &[u8], interrupted: Interrupted) -> wasmparser::Result<Self> {
        let interface = Interface::read(wasm)?;
        let mut census = Self {
            types: count(interface.types.len()),
            functions: count(interface.function_count()),
            ..Self::default()
        };
        for payload in Parser::new(0).parse_all(wasm) {
            if let Payload::CodeSectionEntry(body) = payload? {
                for op in body.get_operators_reader()? {
                    census.count(&op?, interrupted);
                }
            }
        }
        census.segments.sort_unstable();
        census.segments.dedup();
        // Without a memory there is nothing to ask by; programs have one.
        census.found &= interrupted == Interrupted::ByItself || !interface.memories.is_empty();
        Ok(census)
    }

    fn count(&mut self, op: &Operator<'_>, interrupted: Interrupted) {
        if let Operator::MemoryInit { data_index, .. } = op {
            self.segments.push(*data_index);
        }
        let is_told = matches!(op, Operator::MemoryGrow { .. }) || asks(op);
        self.found |= matches!(
            op,
            Operator::MemoryInit { .. } | Operator::MemoryCopy { .. } | Operator::MemoryFill { .. }
        ) || (is_told && interrupted == Interrupted::BySignal);
    }

    /// The index of the helper at this place among them.
    fn helper(&self, place: usize) -> u32 {
        self.functions + count(place)
    }

    fn init(&self, segment: u32) -> u32 {
        let place = self.segments.iter().position(|&s| s == segment);
        // The census has seen every instruction.
        self.helper(INIT + place.unwrap_or(0))
    }
}

/// Places of the helpers: the four below, then one for each segment.
const COPY: usize = 0;
const COPY_PIECES: usize = 1;
const FILL: usize = 2;
const GROW: usize = 3;
const INIT: usize = 4;

/// Whether the program is to be asked after this instruction.
fn asks(op: &Operator<'_>) -> bool {
    matches!(
        op,
        Operator::TableGrow { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::RefFunc { .. }
    )
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// `wasm` as the engine is to compile it; what is not valid stays so.
///
/// # Errors
/// It is not valid.
pub(crate) fn in_pieces(wasm: &[u8]) -> Result<Cow<'_, [u8]>, reencode::Error> {
    rewritten(wasm, Interrupted::BySignal)
}

fn rewritten(wasm: &[u8], interrupted: Interrupted) -> Result<Cow<'_, [u8]>, reencode::Error> {
    let census = Census::take(wasm, interrupted)?;
    if !census.found {
        return Ok(Cow::Borrowed(wasm));
    }
    let mut module = Module::new();
    Rewriter(census, interrupted).parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(Cow::Owned(module.finish()))
}

struct Rewriter(Census, Interrupted);

impl Reencode for Rewriter {
    type Error = Infallible;

    /// As it is: functions keep their indices, and what of it cannot be read, such as broken names, is no fault of the program's.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        let section = self.custom_section(section)?;
        module.section(&section);
        Ok(())
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32; 3], []);
        types.ty().function([ValType::I32], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_function_section(self, functions, section)?;
        for place in 0..INIT + self.0.segments.len() {
            functions.function(self.0.types + u32::from(place == GROW));
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_code_section(self, code, section)?;
        code.function(&helpers::copy(self.0.helper(COPY_PIECES), self.1));
        code.function(&helpers::copy_pieces(self.1));
        code.function(&helpers::fill(self.1));
        code.function(&helpers::grow());
        for &segment in &self.0.segments {
            code.function(&helpers::init(segment, self.1));
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), reencode::Error> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let (copied, filled) = match self.1 {
            Interrupted::BySignal => (INLINE_BYTES, 0),
            Interrupted::ByItself => (helpers::PIECE_BYTES, helpers::PIECE_BYTES),
        };
        let mut length: Option<i32> = None;
        for op in body.get_operators_reader()? {
            let op = op?;
            let known = length.take().map(i32::cast_unsigned);
            let longer = |than: i32| known.is_none_or(|n| n > than.cast_unsigned());
            match op {
                Operator::MemoryCopy {
                    dst_mem: 0,
                    src_mem: 0,
                } if longer(copied) => {
                    function.instruction(&Instruction::Call(self.0.helper(COPY)));
                }
                Operator::MemoryFill { mem: 0 } if filled == 0 || longer(filled) => {
                    function.instruction(&Instruction::Call(self.0.helper(FILL)));
                }
                Operator::MemoryGrow { mem: 0 } if self.1 == Interrupted::BySignal => {
                    function.instruction(&Instruction::Call(self.0.helper(GROW)));
                }
                Operator::MemoryInit { data_index, mem: 0 } => {
                    function.instruction(&Instruction::Call(self.0.init(data_index)));
                }
                op => {
                    if let Operator::I32Const { value } = op {
                        length = Some(value);
                    }
                    let asks = asks(&op);
                    function.instruction(&self.instruction(op)?);
                    if asks {
                        helpers::ask(&mut function.instructions(), self.1);
                    }
                }
            }
        }
        code.function(&function);
        Ok(())
    }
}
