//! See the library.

use std::process::ExitCode;

use measure_core::base::exit;

fn main() -> ExitCode {
    exit::report(wasm_component::run(&exit::parse_args(option_env!(
        "FAASM_BENCH_COMMIT"
    ))))
}
