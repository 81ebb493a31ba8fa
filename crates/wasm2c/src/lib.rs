//! Compiles a WASI module to an executable by way of C: `wasm2c` writes C, a C compiler makes machine code
//! of it for this CPU, and a small host of our own (`host.c`) is its memory, its WASI and its way out of a
//! trap. The second ahead-of-time engine, to hold Cranelift's code against LLVM's.
//!
//! * The module means what it means elsewhere: no licence is given to round otherwise (`-ffp-contract=off`),
//!   and a load that nobody needs still traps. Only relaxed multiply-adds are fused, as the module asks.
//! * Bounds by guard pages, stack by the thread's guard page, each instance in a process of its own.
//! * There is no deadline in the code: whoever starts the process kills it.

mod compile;
mod error;
mod interface;
mod relaxed;
mod toolchain;

pub use error::Wasm2cError;
pub use relaxed::without_relaxed;
pub use toolchain::{DIRECTORY, Toolchain};
