//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::base::exit::report(py_bench::run(&measure_core::base::exit::parse_args()))
}
