//! The server's log.

use std::fmt::Arguments;
use std::io::{Write, stderr};

/// A line for whoever runs the server; if nobody reads it, the server goes on.
pub(super) fn log(line: Arguments<'_>) {
    let _ = writeln!(stderr(), "{line}");
}
