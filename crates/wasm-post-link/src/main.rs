//! See the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    measure_core::exit::report(wasm_post_link::run(&measure_core::exit::parse_args()))
}
