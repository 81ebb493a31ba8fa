//! Rewrites a linked Wasm module so that an ahead-of-time compiler makes better loops of it.
//!
//! C compilers write Wasm as if a loop header cost nothing, as if every engine fused multiplications and
//! additions by itself, and without knowing which additions of an address may wrap or which stores come near
//! which loads. Under an engine that bounds running time and translates instruction by instruction each of
//! these costs. Four passes mend them: `fuse`, `carry`, `unroll` and `address`. The first changes rounding, as C
//! compilers do by default; the others change nothing that a program can observe, but that its memory may grow
//! only to 1 MiB below 4 GiB. Whatever the sandbox checks, it checks in the new module as in the old.
//!
//! `carry` and `address` reason about 32-bit addresses of one memory that nobody else has: a module with
//! another kind of memory goes without them.

mod address;
mod body;
mod carry;
mod cli;
mod error;
mod fuse;
mod module;
mod share;
mod stack;
mod sum;
mod unroll;

pub use address::REACH_BYTES;
pub use cli::{Options, run};
pub use error::{PostLinkError, RewriteError};
pub use module::{Done, Passes, rewrite};
