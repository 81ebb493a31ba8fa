//! Imported functions of which a reference is taken, each behind a function of the module's own.
//!
//! A table of `wasm2c` (1.0.42) holds for an imported function where the *pointer* to what it is called with lies, and its
//! caller passes that on as if it were the pointer: the call then jumps to a word of the host's stack. A function of the module's
//! own is called with its instance, which is right.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{Function, Instruction};
use wasm_interface::Interface;
use wasmparser::{
    ConstExpr, ElementItems, ElementSectionReader, FunctionBody, Operator, Parser, Payload, TypeRef,
};

use crate::error::SecondEngineError;

/// `wasm` with no reference to an imported function: in its place stands one to a function that calls it. A module without such
/// references stays as it is.
///
/// # Errors
/// It is not a valid core module.
pub fn with_trampolines(wasm: Vec<u8>) -> Result<Vec<u8>, SecondEngineError> {
    let interface = Interface::read(&wasm)?;
    let types: Vec<u32> = interface
        .imports
        .iter()
        .filter_map(|import| match import.ty {
            TypeRef::Func(ty) => Some(ty),
            _ => None,
        })
        .collect();
    let (references, own) = Census::take(&wasm)?;
    let imported = u32::try_from(types.len()).unwrap_or(u32::MAX);
    let referenced = references.into_iter().filter(|&f| f < imported);
    let places: BTreeMap<u32, u32> = referenced.zip(imported + own..).collect();
    if places.is_empty() {
        return Ok(wasm);
    }
    let trampoline = |&import: &u32| {
        let ty = *types.get(import as usize)?;
        let parameters = interface.function_type(import)?.params().len();
        Some((import, ty, u32::try_from(parameters).ok()?))
    };
    let mut appended = Appended {
        trampolines: places.keys().filter_map(trampoline).collect(),
        places,
    };
    let mut module = wasm_encoder::Module::new();
    appended.parse_core_module(&mut module, Parser::new(0), &wasm)?;
    let new = module.finish();
    wasmparser::validate(&new)?;
    Ok(new)
}

/// The functions of which a reference is taken.
#[derive(Debug, Default)]
struct Census(BTreeSet<u32>);

impl Census {
    /// These, and how many functions the module has of its own.
    fn take(wasm: &[u8]) -> Result<(BTreeSet<u32>, u32), SecondEngineError> {
        let (mut census, mut own) = (Self::default(), 0);
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::FunctionSection(section) => own = section.count(),
                Payload::ElementSection(section) => census.elements(section)?,
                Payload::GlobalSection(section) => {
                    for global in section {
                        census.constant(&global?.init_expr)?;
                    }
                }
                Payload::CodeSectionEntry(body) => census.body(&body)?,
                _ => {}
            }
        }
        Ok((census.0, own))
    }

    fn elements(&mut self, section: ElementSectionReader<'_>) -> Result<(), SecondEngineError> {
        for element in section {
            match element?.items {
                ElementItems::Functions(functions) => {
                    for function in functions {
                        self.0.insert(function?);
                    }
                }
                ElementItems::Expressions(_, expressions) => {
                    for expression in expressions {
                        self.constant(&expression?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn constant(&mut self, expression: &ConstExpr<'_>) -> Result<(), SecondEngineError> {
        for op in expression.get_operators_reader() {
            self.operator(&op?);
        }
        Ok(())
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), SecondEngineError> {
        for op in body.get_operators_reader()? {
            self.operator(&op?);
        }
        Ok(())
    }

    fn operator(&mut self, op: &Operator<'_>) {
        if let Operator::RefFunc { function_index } = op {
            self.0.insert(*function_index);
        }
    }
}

struct Appended {
    /// Import, its type, and how many parameters that has.
    trampolines: Vec<(u32, u32, u32)>,
    /// From an import to what stands for it.
    places: BTreeMap<u32, u32>,
}

impl Reencode for Appended {
    type Error = Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32, reencode::Error> {
        Ok(self.places.get(&func).copied().unwrap_or(func))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut wasm_encoder::FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_function_section(self, functions, section)?;
        for &(_, ty, _) in &self.trampolines {
            functions.function(ty);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_code_section(self, code, section)?;
        for &(import, _, parameters) in &self.trampolines {
            let mut function = Function::new([]);
            for parameter in 0..parameters {
                function.instruction(&Instruction::LocalGet(parameter));
            }
            function.instruction(&Instruction::Call(import));
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        Ok(())
    }

    /// No function has another number than before: names stay as they are.
    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        module.section(&wasm_encoder::CustomSection {
            name: section.name().into(),
            data: section.data().into(),
        });
        Ok(())
    }

    /// A direct call is no reference.
    fn instruction<'a>(&mut self, op: Operator<'a>) -> Result<Instruction<'a>, reencode::Error> {
        match op {
            Operator::Call { function_index } => Ok(Instruction::Call(function_index)),
            Operator::ReturnCall { function_index } => Ok(Instruction::ReturnCall(function_index)),
            other => utils::instruction(self, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMPORTS: &str = r#"
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (type $none (func (result i32)))
        (memory (export "memory") 1)
        (table 4 funcref)"#;

    fn rewritten(rest: &str) -> (Vec<u8>, Vec<u8>) {
        let wasm = wat::parse_str(format!("(module {IMPORTS} {rest})")).expect("a module");
        let new = with_trampolines(wasm.clone()).expect("rewritten");
        (wasm, new)
    }

    fn references(wasm: &[u8]) -> BTreeSet<u32> {
        Census::take(wasm).expect("a module").0
    }

    #[test]
    fn no_reference_to_an_import_is_left() {
        let (old, new) = rewritten(
            r#"(func (export "_start")
                  (drop (call_indirect (type $none) (i32.const 0)))
                  (table.set (i32.const 2) (ref.func $close))
                  (drop (call $yield)))
               (elem (i32.const 0) func $yield $own)
               (elem declare func $close)
               (func $own (result i32) (call $close (i32.const 3)))"#,
        );
        assert_eq!(references(&old), [0, 1, 3].into());
        // Own functions are 2 and 3; what stands for the imports follows.
        assert_eq!(references(&new), [3, 4, 5].into());
        let interface = Interface::read(&new).expect("a module");
        let ty = |index| interface.function_type(index).cloned();
        assert_eq!(ty(4), ty(0));
        assert_eq!(ty(5), ty(1));
    }

    #[test]
    fn a_module_that_takes_none_stays_as_it_is() {
        let (old, new) = rewritten(
            r#"(func $own (result i32) (call $yield))
               (elem (i32.const 0) func $own)"#,
        );
        assert_eq!(old, new);
    }
}
