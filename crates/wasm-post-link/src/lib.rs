//! Rewrites a linked Wasm module so that an ahead-of-time compiler makes better loops of it.
//!
//! C compilers write Wasm as if a loop header cost nothing, as if every engine fused multiplications and
//! additions by itself, and without knowing which additions of an address may wrap. Under an engine that
//! bounds running time and translates instruction by instruction each of these costs. Three passes mend
//! them: `fuse`, `unroll` and `address`. The first changes rounding, as C compilers do by default; the others
//! change nothing that a program can observe, but that its memory may grow only to 1 MiB below 4 GiB.
//! Whatever the sandbox checks, it checks in the new module as in the old.

mod address;
mod body;
mod cli;
mod error;
mod fuse;
mod module;
mod share;
mod stack;
mod unroll;

pub use address::REACH_BYTES;
pub use cli::{Options, run};
pub use error::{PostLinkError, RewriteError};
pub use module::{Done, Passes, rewrite};
