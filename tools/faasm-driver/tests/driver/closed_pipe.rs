//! A reader that goes away ends the tool quietly.

use std::process::Command;

use driver_testkit::closed_pipe;

#[test]
fn a_closed_pipe_ends_it_quietly() {
    for arguments in [&["info"][..], &["info", "--json"], &["list"], &["--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faasm-driver"));
        closed_pipe::ends_quietly(command.args(arguments));
    }
}
