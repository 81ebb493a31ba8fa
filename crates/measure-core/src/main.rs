//! Measures any command; see [`measure_core::command`].

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::exit::report(measure_core::command::run(measure_core::exit::parse_args()))
}
