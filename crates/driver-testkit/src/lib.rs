//! What the tests of drivers and other tools share: a driver as a child process ([`Running`], [`Ended`]), the search for
//! what it may have left behind ([`left`]), and small functions for it to run ([`functions`], [`component`], [`handler`]); and, for whoever tests the
//! [`playbooks`], how they are run.
//!
//! What goes wrong here is a test that fails, so it panics.

pub mod closed_pipe;
mod components;
mod elsewhere;
mod ended;
pub mod functions;
pub mod left;
pub mod overhead;
mod page;
pub mod playbooks;
mod process;
pub mod python;
mod running;

pub use components::{component, handler};
pub use elsewhere::EngineElsewhere;
pub use ended::{Ended, assert_phases, run};
pub use page::Page;
pub use process::{PATIENCE, Started, alive, children, eventually, marked};
pub use running::Running;

/// Says that `what` was not tested, and why. `make test` counts these lines.
pub fn skipped(what: impl std::fmt::Display, why: impl std::fmt::Display) {
    eprintln!("SKIPPED: {what}: {why}");
}
