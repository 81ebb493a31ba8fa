//! Rewrites a linked Wasm module so that an ahead-of-time compiler makes better loops of it.
//!
//! C compilers write Wasm without knowing which additions of an address may wrap or which stores come near which
//! loads, and an engine that translates instruction by instruction makes each address and each load anew. Four passes
//! mend that: `jam` makes several turns of an outer loop at once, `carry` keeps what a loop's last turn loaded, `unroll` puts the turns of an innermost loop one after the
//! other, and `address` has their accesses share addresses. A fifth, `extreme`, has a minimum or maximum predicted where the
//! module has it computed. They change nothing that a program can observe, but that its
//! memory may grow only to 1 MiB below 4 GiB. Whatever the sandbox checks, it checks in the new module as in the old.
//!
//! `jam`, `carry` and `address` reason about 32-bit addresses of one memory that nobody else has: a module with
//! another kind of memory goes without them.

mod address;
mod body;
mod carry;
mod cli;
mod error;
mod extreme;
mod jam;
mod module;
mod operators;
mod stack;
mod sum;
mod unroll;

pub use address::REACH_BYTES;
pub use cli::{Options, run};
pub use error::{PostLinkError, RewriteError};
pub use module::{Done, Passes, rewrite};
