//! A function that somebody brought, native against Wasm.

use std::process::ExitCode;

use measure_core::base::exit;

fn main() -> ExitCode {
    if let Some(compiled) = faaslet::compile::worker_if_asked() {
        return compiled;
    }
    exit::report(function_bench::run(&exit::parse_args(option_env!(
        "FAASM_BENCH_COMMIT"
    ))))
}
