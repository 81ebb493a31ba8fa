//! The executable on real kernels, the smallest dataset of them.

mod bench;
mod compare;
mod disk;
mod engines;
mod programs;
mod results;
mod signals;
mod usage;
mod wasm2c;
