//! What of Wasm a module needs, and an engine takes.

use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

/// What every engine takes: WebAssembly 2.0 without its vectors.
pub const BASE: WasmFeatures = WasmFeatures::WASM2.difference(WasmFeatures::SIMD);

/// What engines differ in, by the names of the proposals.
pub const NAMED: [(&str, WasmFeatures); 14] = [
    ("simd", WasmFeatures::SIMD),
    ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
    ("tail-call", WasmFeatures::TAIL_CALL),
    ("extended-const", WasmFeatures::EXTENDED_CONST),
    ("multi-memory", WasmFeatures::MULTI_MEMORY),
    ("memory64", WasmFeatures::MEMORY64),
    ("threads", WasmFeatures::THREADS),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("function-references", WasmFeatures::FUNCTION_REFERENCES),
    ("gc", WasmFeatures::GC),
    ("legacy-exceptions", WasmFeatures::LEGACY_EXCEPTIONS),
    ("stack-switching", WasmFeatures::STACK_SWITCHING),
    ("wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    ("custom-page-sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
];

/// The features that `wasm` needs and `takes` lacks, by name; empty where it lacks none.
///
/// # Errors
/// It is no valid module even with all of them.
pub fn lacking(wasm: &[u8], takes: WasmFeatures) -> Result<Vec<&'static str>, BinaryReaderError> {
    let validate = |features| {
        Validator::new_with_features(features)
            .validate_all(wasm)
            .map(drop)
    };
    if validate(takes).is_ok() {
        return Ok(Vec::new());
    }
    let all = NAMED.iter().fold(BASE, |all, (_, feature)| all | *feature);
    validate(all)?;
    let needed = NAMED
        .iter()
        .filter(|(_, feature)| !takes.contains(*feature))
        .filter(|(_, feature)| validate(all.difference(*feature)).is_err());
    Ok(needed.map(|(name, _)| *name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("a module")
    }

    #[test]
    fn what_a_module_needs_is_found_by_name() {
        let relaxed = module(
            "(module (func (param v128 v128 v128) (result v128)
                (f64x2.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))",
        );
        let tail = module("(module (func $f (return_call $f)))");
        let plain =
            module("(module (func (param i32) (result i32) (i32.extend8_s (local.get 0))))");
        let vectors = BASE | WasmFeatures::SIMD;
        for (wasm, takes, lacks) in [
            (&relaxed, vectors, &["relaxed-simd"][..]),
            (&relaxed, vectors | WasmFeatures::RELAXED_SIMD, &[]),
            (&tail, vectors, &["tail-call"]),
            (&plain, BASE, &[]),
        ] {
            let found = lacking(wasm, takes).expect("a module");
            assert_eq!(found, lacks, "{takes:?}");
        }
        assert!(lacking(b"\0asm\x01\0\0\0\xff", BASE).is_err());
    }
}
