//! PolyBench/C, native against Wasm.
