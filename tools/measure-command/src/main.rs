//! Measures any command; see [`measure_command`].

use std::process::ExitCode;

use measure_command::Options;
use measure_core::base::exit;

fn main() -> ExitCode {
    let options = Options::parse(option_env!("FAASM_BENCH_COMMIT"));
    exit::report(measure_command::run(options))
}
