//! Compiles a WASI module to a shared library by way of C: `wasm2c` writes C, a C compiler makes machine code
//! of it for this CPU. The second ahead-of-time engine, to hold Cranelift's code against LLVM's. What loads and
//! runs such a library is the crate `faaslet`; what the two agree on is [`abi`].
//!
//! * The module means what it means elsewhere: no licence is given to round otherwise (`-ffp-contract=off`),
//!   and a load that nobody needs still traps. Only relaxed multiply-adds are fused, as the module asks.
//! * Bounds by the guard pages behind the memory, which the loader has: a module with an offset beyond them is refused.
//! * Stack by the thread's guard page, which no frame gets past.
//! * There is no deadline in the code: it can be left from any instruction.

pub mod abi;
mod compile;
mod error;
mod glue;
mod interface;
mod parts;
mod relaxed;
mod toolchain;
mod trampolines;

pub use error::SecondEngineError;
pub use interface::{Call, calls};
pub use parts::{Parts, Segment};
pub use relaxed::without_relaxed;
pub use toolchain::{COMPILER, DIRECTORY, Toolchain};
