//! What a cold start costs, over all drivers.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::base::exit::report(runtime_bench::run(measure_core::base::exit::parse_args()))
}
