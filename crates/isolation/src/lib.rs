//! What a rung really isolates, found by trying.
//!
//! A probe is a small C program (`functions/isolation/<id>.c`) that every rung runs as it runs any function. It tries one thing
//! and says by its exit code how that went ([`outcome`]). What it aims at is planted on the host ([`plant`]); what it
//! did there counts more than what it says. A control runs each probe without any rung: only one that reads *reached* there
//! says something elsewhere. docs/isolation.md is the manual.
//!
//! Adding a probe: its file, and a line in [`catalogue`].

pub mod catalogue;
pub mod cell;
pub mod control;
mod error;
pub mod facts;
pub mod filters;
pub mod home;
pub mod host_starts;
pub mod interference;
pub mod letter;
pub mod letters;
mod listener;
pub mod networks;
pub mod outcome;
pub mod plant;
pub mod record;
pub mod report;
mod victim;

pub use error::IsolationError;
