//! Functions that users bring: `add`, `list`, `show`, `remove`, `test`, and the comparison of what every rung answers before any is
//! measured with one.
//!
//! What is brought is put together in a directory of its own beside the store, through the same ways that everything in a store
//! came by (modules by `faasm-driver upload`, which compiles them in confinement), and then takes its place in one step.

mod add;
pub(crate) mod answers;
mod compare;
mod describe;
mod elf;
mod error;
mod normalise;
mod options;
mod paths;
mod python;
mod script;
mod source;
mod stage;
mod stored;
mod table;

pub(crate) use add::add;
pub use error::FunctionError;
pub use options::{AddOptions, ComputeOptions, NameOptions, TestOptions};
pub(crate) use stage::place_of;
pub(crate) use stored::{compute, list, remove, require_known, show, stored_file, test};
