//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::base::exit::report(wasm_post_link::run(&measure_core::base::exit::parse_args()))
}
