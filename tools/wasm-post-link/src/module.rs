//! From module to module.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasmparser::{FunctionBody, KnownCustom, MemoryType, Parser, Payload, TypeRef, ValType};

use crate::address::{self, REACH_BYTES};
use crate::body::Body;
use crate::carry::carry;
use crate::error::RewriteError;
use crate::extreme;
use crate::jam::jam;
use crate::unroll::{Limits, unroll};

/// What is done to a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passes {
    /// The most copies of an innermost loop; 1 unrolls nothing.
    pub copies: usize,
    /// The most operators of all copies of a loop together.
    pub operators: usize,
    /// Share addresses between neighbouring accesses.
    pub addresses: bool,
    /// The most turns of a loop around innermost ones that are made at once, up to 16; 1 leaves
    /// them one after the other.
    pub jam: usize,
    /// Carry vectors over from turn to turn of a loop.
    pub carry: bool,
    /// Branch where a loop carries an integer minimum or maximum along.
    pub extremes: bool,
}

impl Default for Passes {
    fn default() -> Self {
        Self {
            copies: 16,
            operators: 400,
            addresses: true,
            jam: 4,
            carry: true,
            extremes: true,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Loops unrolled.
    pub loops: usize,
    /// Loads and stores given an address that was there already.
    pub accesses: usize,
    /// Loops several turns of which are made at once.
    pub jammed: usize,
    /// Loads made from what was loaded already.
    pub carried: usize,
    /// Minima and maxima that became branches.
    pub branches: usize,
}

/// `wasm`, rewritten.
///
/// # Errors
/// It is not a valid core module.
pub fn rewrite(wasm: &[u8], passes: Passes) -> Result<(Vec<u8>, Done), RewriteError> {
    wasmparser::validate(wasm)?;
    let plain = has_plain_memory(wasm)?;
    let passes = Passes {
        addresses: passes.addresses && plain,
        carry: passes.carry && plain,
        jam: if plain { passes.jam } else { 1 },
        ..passes
    };
    let mut rewriter = Rewriter {
        passes,
        params: param_types(wasm)?,
        next: 0,
        done: Done::default(),
    };
    let mut module = wasm_encoder::Module::new();
    rewriter.parse_core_module(&mut module, Parser::new(0), wasm)?;
    let new = module.finish();
    wasmparser::validate(&new)?;
    Ok((new, rewriter.done))
}

/// The most pages that a memory may have where addresses are added up otherwise than they were.
const MOST_PAGES: u64 = (1 << 16) - (REACH_BYTES as u64 >> 16);

/// Whether all memories are of the module's own, for it alone, with 32-bit addresses, of pages of 64 KiB, and can
/// be kept from growing to 4 GiB; what is known of addresses is known of these.
fn has_plain_memory(wasm: &[u8]) -> Result<bool, wasmparser::Error> {
    let plain = |ty: &MemoryType| {
        !ty.memory64 && !ty.shared && ty.page_size_log2.is_none() && ty.initial <= MOST_PAGES
    };
    let mut memories = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if matches!(import?.ty, TypeRef::Memory(_)) {
                        return Ok(false);
                    }
                }
            }
            Payload::MemorySection(section) => {
                for ty in section {
                    memories += 1;
                    if !plain(&ty?) {
                        return Ok(false);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(memories == 1)
}

/// The parameters of each function with a body.
fn param_types(wasm: &[u8]) -> Result<Vec<Vec<ValType>>, wasmparser::Error> {
    let mut types = Vec::new();
    let mut params = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        types.push(match ty.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(f) => f.params().to_vec(),
                            _ => Vec::new(),
                        });
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    params.push(types.get(ty? as usize).cloned().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    Ok(params)
}

struct Rewriter {
    passes: Passes,
    params: Vec<Vec<ValType>>,
    /// Index of the next function body.
    next: usize,
    done: Done,
}

impl Reencode for Rewriter {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        func: FunctionBody<'_>,
    ) -> Result<(), reencode::Error> {
        let params = self.params.get(self.next).map_or(&[][..], Vec::as_slice);
        self.next += 1;
        let mut body = Body::read(&func, params)?;
        if self.passes.jam > 1 {
            self.done.jammed += jam(&mut body, self.passes.jam);
        }
        if self.passes.carry {
            self.done.carried += carry(&mut body);
        }
        if self.passes.copies > 1 {
            let limits = Limits {
                copies: self.passes.copies,
                operators: self.passes.operators,
            };
            self.done.loops += unroll(&mut body, limits);
        }
        if self.passes.addresses {
            self.done.accesses += address::merge(&mut body);
        }
        // Last: what is known of addresses ends at a branch.
        if self.passes.extremes {
            self.done.branches += extreme::branch(&mut body);
        }
        let mut locals = Vec::new();
        for group in func.get_locals_reader()? {
            let (count, ty) = group?;
            locals.push((count, self.val_type(ty)?));
        }
        for ty in body.added() {
            locals.push((1, self.val_type(*ty)?));
        }
        let mut function = wasm_encoder::Function::new(locals);
        for op in body.ops {
            function.instruction(&self.instruction(op)?);
        }
        code.function(&function);
        Ok(())
    }

    /// What adds up addresses relies on a memory that never reaches the last [`REACH_BYTES`] of 4 GiB.
    fn memory_type(
        &mut self,
        mut ty: MemoryType,
    ) -> Result<wasm_encoder::MemoryType, reencode::Error> {
        if self.passes.addresses || self.passes.carry {
            ty.maximum = Some(ty.maximum.unwrap_or(MOST_PAGES).min(MOST_PAGES));
        }
        Ok(utils::memory_type(self, ty))
    }

    /// Names stay true; what speaks of positions in the code does not.
    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        let by_position = section.name().starts_with(".debug_")
            || matches!(section.as_known(), KnownCustom::BranchHints(_));
        if by_position {
            return Ok(());
        }
        // What is damaged in a section that means nothing costs that section, not the module.
        utils::parse_custom_section(self, module, section).or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_name_section_does_not_keep_a_valid_module_from_being_rewritten() {
        let mut wasm = wat::parse_str(r#"(module (func (export "f")))"#).expect("a module");
        // A custom section `name` whose content is cut short.
        wasm.extend([0, 8, 4, b'n', b'a', b'm', b'e', 1, 200, 1]);
        let (new, _) = rewrite(&wasm, Passes::default()).expect("rewritten");
        assert!(!new.windows(4).any(|bytes| bytes == b"name"));
    }
}
