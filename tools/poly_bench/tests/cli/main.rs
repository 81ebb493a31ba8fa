//! The executable on real kernels, the smallest dataset of them.

mod bench;
mod closed_pipe;
mod compare;
mod disk;
mod engines;
mod on_demand;
mod programs;
mod results;
mod signals;
mod usage;
mod wasm2c;
