//! What `poly_bench` and `py_bench` share: the same benchmark in several columns (native, Wasm, ...), its
//! outputs compared, its runs interleaved, its times kept.
//!
//! A [`Tool`] describes its benchmarks and makes [`Column`]s, mostly of [`columns`]; [`tool::run`] does the rest:
//! everything that can be checked before anything runs, verification, calibration, timing in a seeded
//! order, samples as they are taken, CSV after each benchmark, tables at the end.
//!
//! Design constraints:
//! * the timer's boundaries are the same in every column: the kernel by the program's own clock, the whole
//!   run from asked for to nothing left of it;
//! * no shell and no fork in a timed path; what a program writes goes to memory on every side;
//! * a column that cannot run, fails or disagrees is reported by name and never silently left out.

mod again;
pub mod capture;
pub mod column;
pub mod columns;
mod compare_runs;
pub mod comparison;
pub mod engines;
pub mod error;
pub mod layout;
mod options;
mod output;
mod plan;
mod pyperf_files;
mod recorder;
mod session;
mod suite;
pub mod times;
pub mod tool;

pub use column::{
    About, Benchmark, Column, MakeColumn, NATIVE, NotReady, Program, Run, RunError, Side, Task,
    WASM,
};
pub use error::CompareError;
pub use options::{CommonOptions, CsvTime, NoIterations};
pub use output::say;
pub use session::run;
pub use suite::{Compare, Disagreement, Entry, Lack, Suite};
pub use tool::Tool;
