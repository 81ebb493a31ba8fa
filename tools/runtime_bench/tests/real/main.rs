//! `runtime_bench` as a process, over the real drivers.
//!
//! The drivers are found beside the executable, as in an installation; a test whose driver is not built, or
//! whose host cannot do what it needs, says so and is skipped. Runs on one host exclude each other, so
//! do these tests.

mod capacity;
mod engines;
mod faults;
mod isolation;
mod load;
mod load_scripts;
mod outputs;
mod replicates;
mod resume;
mod signals;
mod tool;
mod usage;
