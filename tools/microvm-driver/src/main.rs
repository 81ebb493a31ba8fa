//! Runs [`microvm_driver`].

use std::process::ExitCode;

use measure_core::base::exit;

fn main() -> ExitCode {
    exit::report(microvm_driver::run(exit::parse_args(option_env!(
        "FAASM_BENCH_COMMIT"
    ))))
}
