//! The Python Performance Benchmark Suite, native against Wasm.
