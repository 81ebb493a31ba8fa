//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::base::exit::report(pss_walker::run(&measure_core::base::exit::parse_args()))
}
