//! A reader that goes away ends the tool quietly.

use std::process::Command;

use driver_testkit::closed_pipe;

#[test]
fn a_closed_pipe_ends_it_quietly() {
    for arguments in [
        &["1"][..],
        &["--json", "1"],
        &["--interval", "10ms", "1"],
        &["--help"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pss-walker"));
        closed_pipe::ends_quietly(command.args(arguments));
    }
}
