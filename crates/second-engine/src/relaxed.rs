//! Relaxed vector instructions, which `wasm2c` does not know, become ones that it does.
//!
//! Multiply-adds become calls of functions that the host provides, which the C compiler inlines: there, and
//! only there, it may fuse. All others become the instruction whose results the relaxed one may always have.

use std::collections::BTreeSet;
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{EntityType, Instruction, SectionId, ValType};
use wasm_interface::{Interface, WASI};
use wasmparser::{FunctionBody, Operator, Parser, Payload};

use crate::error::SecondEngineError;

/// The multiply-adds, by the name of the host's function.
const MULTIPLY_ADDS: [&str; 4] = [
    "relaxed_f32x4_madd",
    "relaxed_f32x4_nmadd",
    "relaxed_f64x2_madd",
    "relaxed_f64x2_nmadd",
];

/// `wasm` with no relaxed vector instruction left.
///
/// # Errors
/// It is not a valid core module, or has an instruction that nothing else stands for.
pub fn without_relaxed(wasm: &[u8]) -> Result<Vec<u8>, SecondEngineError> {
    wasmparser::validate(wasm)?;
    let census = Census::take(wasm)?;
    let mut lowerer = Lowerer {
        census,
        imported: false,
    };
    let mut module = wasm_encoder::Module::new();
    lowerer.parse_core_module(&mut module, Parser::new(0), wasm)?;
    let new = module.finish();
    wasmparser::validate(&new)?;
    Ok(new)
}

/// What of a module must be known before it is rewritten.
#[derive(Debug)]
struct Census {
    types: u32,
    imported_functions: u32,
    /// Indices in [`MULTIPLY_ADDS`], of those that occur.
    multiply_adds: BTreeSet<usize>,
}

impl Census {
    fn take(wasm: &[u8]) -> Result<Self, SecondEngineError> {
        let interface = Interface::read(wasm)?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut census = Self {
            types: count(interface.types.len()),
            imported_functions: count(interface.imported_functions()),
            multiply_adds: BTreeSet::new(),
        };
        for payload in Parser::new(0).parse_all(wasm) {
            if let Payload::CodeSectionEntry(body) = payload? {
                census.count(&body)?;
            }
        }
        Ok(census)
    }

    fn count(&mut self, body: &FunctionBody<'_>) -> Result<(), SecondEngineError> {
        for op in body.get_operators_reader()? {
            match op? {
                op @ (Operator::I16x8RelaxedDotI8x16I7x16S
                | Operator::I32x4RelaxedDotI8x16I7x16AddS) => {
                    return Err(SecondEngineError::Unsupported(format!(
                        "it has the instruction {op:?}, of which wasm2c knows no like"
                    )));
                }
                op => self.multiply_adds.extend(multiply_add(&op)),
            }
        }
        Ok(())
    }

    /// How many functions are imported in addition.
    fn added(&self) -> u32 {
        u32::try_from(self.multiply_adds.len()).unwrap_or(0)
    }
}

/// Which of [`MULTIPLY_ADDS`] `op` is.
fn multiply_add(op: &Operator<'_>) -> Option<usize> {
    match op {
        Operator::F32x4RelaxedMadd => Some(0),
        Operator::F32x4RelaxedNmadd => Some(1),
        Operator::F64x2RelaxedMadd => Some(2),
        Operator::F64x2RelaxedNmadd => Some(3),
        _ => None,
    }
}

/// An instruction whose result is one of those that the relaxed `op` may have.
fn strict(op: Operator<'_>) -> Operator<'_> {
    match op {
        Operator::I8x16RelaxedSwizzle => Operator::I8x16Swizzle,
        Operator::I32x4RelaxedTruncF32x4S => Operator::I32x4TruncSatF32x4S,
        Operator::I32x4RelaxedTruncF32x4U => Operator::I32x4TruncSatF32x4U,
        Operator::I32x4RelaxedTruncF64x2SZero => Operator::I32x4TruncSatF64x2SZero,
        Operator::I32x4RelaxedTruncF64x2UZero => Operator::I32x4TruncSatF64x2UZero,
        Operator::I8x16RelaxedLaneselect
        | Operator::I16x8RelaxedLaneselect
        | Operator::I32x4RelaxedLaneselect
        | Operator::I64x2RelaxedLaneselect => Operator::V128Bitselect,
        Operator::F32x4RelaxedMin => Operator::F32x4Min,
        Operator::F32x4RelaxedMax => Operator::F32x4Max,
        Operator::F64x2RelaxedMin => Operator::F64x2Min,
        Operator::F64x2RelaxedMax => Operator::F64x2Max,
        Operator::I16x8RelaxedQ15mulrS => Operator::I16x8Q15MulrSatS,
        other => other,
    }
}

struct Lowerer {
    census: Census,
    /// Whether the functions were added.
    imported: bool,
}

impl Lowerer {
    fn import(&mut self, imports: &mut wasm_encoder::ImportSection) {
        for &index in &self.census.multiply_adds {
            let ty = EntityType::Function(self.census.types);
            imports.import(WASI, MULTIPLY_ADDS[index], ty);
        }
        self.imported = true;
    }
}

impl Reencode for Lowerer {
    type Error = Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32, reencode::Error> {
        let first_own = self.census.imported_functions;
        Ok(func
            + if func < first_own {
                0
            } else {
                self.census.added()
            })
    }

    fn parse_type_section(
        &mut self,
        types: &mut wasm_encoder::TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_type_section(self, types, section)?;
        if self.census.added() > 0 {
            types.ty().function([ValType::V128; 3], [ValType::V128]);
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut wasm_encoder::ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_import_section(self, imports, section)?;
        self.import(imports);
        Ok(())
    }

    /// A module without imports gets its first.
    fn intersperse_section_hook(
        &mut self,
        module: &mut wasm_encoder::Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), reencode::Error> {
        let here = !matches!(before, Some(SectionId::Type | SectionId::Import));
        if here && !self.imported && self.census.added() > 0 {
            let mut imports = wasm_encoder::ImportSection::new();
            self.import(&mut imports);
            module.section(&imports);
        }
        Ok(())
    }

    fn instruction<'a>(&mut self, op: Operator<'a>) -> Result<Instruction<'a>, reencode::Error> {
        if let Some(index) = multiply_add(&op) {
            let place = self.census.multiply_adds.iter().position(|&i| i == index);
            // The census has seen every instruction.
            let place = u32::try_from(place.unwrap_or(0)).unwrap_or(0);
            return Ok(Instruction::Call(self.census.imported_functions + place));
        }
        utils::instruction(self, strict(op))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relaxed_left(wasm: &[u8]) -> bool {
        let strict_features =
            wasmparser::WasmFeatures::default() - wasmparser::WasmFeatures::RELAXED_SIMD;
        wasmparser::Validator::new_with_features(strict_features)
            .validate_all(wasm)
            .is_err()
    }

    fn lower(text: &str) -> Vec<u8> {
        let wasm = wat::parse_str(text).expect("a module");
        assert!(relaxed_left(&wasm), "the test is about relaxed operators");
        let new = without_relaxed(&wasm).expect("lowered");
        assert!(!relaxed_left(&new));
        new
    }

    fn imports(wasm: &[u8]) -> Vec<String> {
        let interface = Interface::read(wasm).expect("an interface");
        interface.imports.into_iter().map(|i| i.name).collect()
    }

    #[test]
    fn multiply_adds_are_imported_and_every_index_moves() {
        let new = lower(
            r#"(module
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (table 2 funcref) (elem (i32.const 0) $own $exit)
                (func $own (param v128) (result v128)
                    (f64x2.relaxed_nmadd (local.get 0) (local.get 0)
                        (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))
                (func (export "_start")
                    (drop (call $own (v128.const i64x2 1 2))) (call $exit (i32.const 0))))"#,
        );
        assert_eq!(
            imports(&new),
            ["proc_exit", "relaxed_f32x4_madd", "relaxed_f64x2_nmadd"]
        );
    }

    #[test]
    fn a_module_without_imports_gets_its_first() {
        let new = lower(
            r#"(module (memory 1) (func (export "f") (param v128) (result v128)
                (f64x2.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))"#,
        );
        assert_eq!(imports(&new), ["relaxed_f64x2_madd"]);
    }

    #[test]
    fn the_others_become_their_strict_kin() {
        for (op, operands) in [
            ("i8x16.relaxed_swizzle", 2),
            ("i32x4.relaxed_trunc_f32x4_s", 1),
            ("i32x4.relaxed_trunc_f32x4_u", 1),
            ("i32x4.relaxed_trunc_f64x2_s_zero", 1),
            ("i32x4.relaxed_trunc_f64x2_u_zero", 1),
            ("i8x16.relaxed_laneselect", 3),
            ("i16x8.relaxed_laneselect", 3),
            ("i32x4.relaxed_laneselect", 3),
            ("i64x2.relaxed_laneselect", 3),
            ("f32x4.relaxed_min", 2),
            ("f32x4.relaxed_max", 2),
            ("f64x2.relaxed_min", 2),
            ("f64x2.relaxed_max", 2),
            ("i16x8.relaxed_q15mulr_s", 2),
        ] {
            let operands = "(local.get 0) ".repeat(operands);
            let new = lower(&format!(
                r#"(module (func (export "f") (param v128) (result v128) ({op} {operands})))"#
            ));
            assert!(imports(&new).is_empty(), "{op}");
        }
    }

    #[test]
    fn a_dot_product_is_refused_by_name() {
        let wasm = wat::parse_str(
            r#"(module (func (param v128) (result v128)
                (i16x8.relaxed_dot_i8x16_i7x16_s (local.get 0) (local.get 0))))"#,
        );
        let refused = without_relaxed(&wasm.expect("a module")).expect_err("refused");
        assert!(refused.to_string().contains("RelaxedDot"), "{refused}");
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(without_relaxed(b"\0asm\x01\0\0\0\x07").is_err());
    }
}
