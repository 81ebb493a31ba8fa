//! A tool whose standard output nobody reads, as after `| head`.

use std::io::pipe;
use std::process::{Command, Stdio};

/// Runs `command` with a standard output that is closed at the other end: it must end well and without a word.
///
/// # Panics
/// It does not.
pub fn ends_quietly(command: &mut Command) {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let output = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("the tool starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    for word in ["error", "panic", "pipe"] {
        assert!(!said.contains(word), "{said}");
    }
}
