//! Runs [`microvm_driver`].

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::exit::report(microvm_driver::run(measure_core::exit::parse_args()))
}
