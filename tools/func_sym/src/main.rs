//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::exit::report(func_sym::run(&measure_core::exit::parse_args()))
}
