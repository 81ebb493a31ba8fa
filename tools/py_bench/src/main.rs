//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::exit::report(py_bench::run(&measure_core::exit::parse_args()))
}
