//! The docker driver, as the executable that it is, on a real engine.

mod common;
mod faults;
mod rungs;
