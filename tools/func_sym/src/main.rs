//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::base::exit::report(func_sym::run(&measure_core::base::exit::parse_args()))
}
