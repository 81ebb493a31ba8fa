//! `docker-driver`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::base::exit::report(docker_driver::run(measure_core::base::exit::parse_args()))
}
