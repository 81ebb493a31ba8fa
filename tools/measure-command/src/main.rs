//! Measures any command; see [`measure_command`].

use std::process::ExitCode;

use measure_core::base::exit;

fn main() -> ExitCode {
    exit::report(measure_command::run(exit::parse_args(option_env!(
        "FAASM_BENCH_COMMIT"
    ))))
}
