//! Makes a component for WASI 0.2 of a linked program for WASI preview 1.
//!
//! Compilers of C link core modules. What such a module imports of preview 1 is translated by an adapter of Wasmtime's
//! (`wasi-preview1-component-adapter-provider`), which becomes part of the component; what it imports beside that, as sockets, by the
//! names of the canonical ABI, is described by a WIT file that the caller brings. The work is `wit-component`'s.

mod cli;
mod error;
mod make;

pub use cli::{Options, run};
pub use error::{ComponentError, UnfitError};
pub use make::{Wit, component_of};
