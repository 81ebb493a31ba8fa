//! `docker-driver`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::exit::report(docker_driver::run(measure_core::exit::parse_args()))
}
