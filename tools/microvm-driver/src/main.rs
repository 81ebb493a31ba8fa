//! Runs [`microvm_driver`].

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::base::exit::report(microvm_driver::run(measure_core::base::exit::parse_args()))
}
