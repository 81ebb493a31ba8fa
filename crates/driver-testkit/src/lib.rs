//! What the tests of all drivers share: a driver as a child process ([`Running`], [`Ended`]), the search for
//! what it may have left behind ([`left`]), and small functions for it to run ([`functions`]); and, for whoever tests the
//! [`playbooks`], how they are run.
//!
//! What goes wrong here is a test that fails, so it panics.

pub mod functions;
pub mod left;
pub mod playbooks;
mod process;
mod running;

pub use process::{PATIENCE, alive, children, eventually};
pub use running::{Ended, Running, assert_phases, run};

/// Says that `what` was not tested, and why. `make test` counts these lines.
pub fn skipped(what: impl std::fmt::Display, why: impl std::fmt::Display) {
    eprintln!("SKIPPED: {what}: {why}");
}
