//! The docker driver, as the executable that it is, on a real engine.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;
mod elsewhere;
mod faults;
mod fetch;
mod handlers;
mod rungs;
mod scripts;
mod signals;
