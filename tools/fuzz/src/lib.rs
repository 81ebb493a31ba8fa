//! Looks for what breaks: random modules by all engines, random calls of WASI, damaged files for every reader of what
//! others wrote, damaged requests to the upload server.
//!
//! A case follows from its seed alone, and is tried in a process of its own kind: one that dies, hangs, panics or takes
//! too much memory is a finding like any other, named by target and seed.

mod broken;
mod calls;
mod campaign;
mod child;
mod error;
mod files;
mod lines;
mod modules;
mod options;
mod requests;
mod seed;
mod target;

use measure_core::base::exit::Exit;
use measure_core::base::interrupt;

pub use error::FuzzError;
pub use options::Options;
pub use target::{Name, UnknownTarget};

/// Makes a round.
///
/// # Errors
/// There can be none; what it finds is its exit code.
pub fn run(options: &Options) -> Result<Exit, FuzzError> {
    if options.child {
        return child::run(options);
    }
    if options.jobs == 0 {
        return Err(FuzzError::Usage("--jobs must be at least 1".to_owned()));
    }
    interrupt::install().map_err(FuzzError::Signals)?;
    campaign::run(options)
}
