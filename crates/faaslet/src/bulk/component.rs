//! Components: each of their modules is rewritten where it lies, all else stays byte for byte as it is.

use wasm_encoder::Encode;
use wasm_encoder::reencode;
use wasmparser::{BinaryReader, BinaryReaderError};

use super::{Interrupted, rewritten};

/// Part of the key of a component's compiled code: changed with what is made of its modules.
pub(crate) const COMPONENT_VERSION: u32 = 1;

/// Sections that are a module, and another component.
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;
const HEADER_BYTES: usize = 8;
/// Components within one another; tools make two or three.
const DEPTH_MAX: usize = 100;

/// Why a component cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRewritten {
    #[error(transparent)]
    Module(#[from] reencode::Error),
    #[error("it is not a valid component: {0}")]
    Broken(#[from] BinaryReaderError),
    #[error("its components lie within one another more than {DEPTH_MAX} deep")]
    Deep,
}

/// `wasm`, a component, as the engine is to compile it; what is not valid stays so.
///
/// # Errors
/// It is not valid, or nested too deep.
pub(crate) fn component_in_pieces(wasm: &[u8]) -> Result<Vec<u8>, NotRewritten> {
    let mut out = Vec::with_capacity(wasm.len());
    append(wasm, 0, &mut out)?;
    Ok(out)
}

fn append(wasm: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), NotRewritten> {
    if depth > DEPTH_MAX {
        return Err(NotRewritten::Deep);
    }
    let mut reader = BinaryReader::new(wasm, 0);
    out.extend_from_slice(reader.read_bytes(HEADER_BYTES)?);
    while !reader.eof() {
        let id = reader.read_u8()?;
        let bytes = reader.read_var_u32()?;
        let section = reader.read_bytes(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        out.push(id);
        match id {
            MODULE => rewritten(section, Interrupted::ByItself)?.encode(out),
            COMPONENT => {
                let mut inner = Vec::with_capacity(section.len());
                append(section, depth + 1, &mut inner)?;
                inner.as_slice().encode(out);
            }
            _ => section.encode(out),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasmparser::{Operator, Parser, Payload, Validator, WasmFeatures};

    use super::*;

    /// How many loops its functions have.
    fn loops(wasm: &[u8]) -> usize {
        let mut loops = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            if let Payload::CodeSectionEntry(body) = payload.expect("a section") {
                for op in body.get_operators_reader().expect("code") {
                    let op = op.expect("an instruction");
                    loops += usize::from(matches!(op, Operator::Loop { .. }));
                }
            }
        }
        loops
    }

    /// A component with two modules that fill and copy, within so many others.
    fn nested(depth: usize) -> Vec<u8> {
        let module = r#"(core module (import "m" "m" (memory 1)) (func
            (memory.fill (i32.const 0) (i32.const 7) (memory.size))
            (memory.copy (i32.const 0) (i32.const 7) (memory.size))))"#;
        let text = format!("(component {module} (core module) {module})");
        let mut wasm = wat::parse_str(text).expect("a component");
        for _ in 0..depth {
            let mut outer = b"\0asm\x0d\0\x01\0".to_vec();
            outer.push(COMPONENT);
            wasm.as_slice().encode(&mut outer);
            wasm = outer;
        }
        wasm
    }

    #[test]
    fn the_modules_of_inner_components_are_rewritten_too() {
        let wasm = nested(3);
        let rewritten = component_in_pieces(&wasm).expect("rewritten");
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(&rewritten)
            .expect("valid");
        // What moves pieces of a fill, of a copy upwards and of one downwards, in each.
        assert_eq!((loops(&wasm), loops(&rewritten)), (0, 2 * 3));
    }

    #[test]
    fn one_without_such_instructions_stays_and_one_too_deep_is_refused() {
        let wasm = wat::parse_str(r#"(component (core module (func (export "f"))) (component))"#);
        let wasm = wasm.expect("a component");
        assert_eq!(component_in_pieces(&wasm).expect("the same"), wasm);
        component_in_pieces(&nested(DEPTH_MAX)).expect("as deep as it may be");
        let refused = component_in_pieces(&nested(DEPTH_MAX + 1));
        assert!(matches!(refused, Err(NotRewritten::Deep)), "{refused:?}");
    }

    #[test]
    fn one_that_is_cut_short_does_not_panic() {
        let wasm = nested(1);
        for end in 0..wasm.len() {
            let _ = component_in_pieces(&wasm[..end]);
        }
    }
}
