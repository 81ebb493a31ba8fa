//! What a cold start costs, over all drivers.

use std::process::ExitCode;

use measure_core::base::exit;

fn main() -> ExitCode {
    exit::report(runtime_bench::run(exit::parse_args(option_env!(
        "FAASM_BENCH_COMMIT"
    ))))
}
