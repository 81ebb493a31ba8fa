//! Runs [`process_driver`].

use std::process::ExitCode;

use measure_core::base::exit;

fn main() -> ExitCode {
    exit::report(process_driver::run(exit::parse_args(option_env!(
        "FAASM_BENCH_COMMIT"
    ))))
}
