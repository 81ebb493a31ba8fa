//! Sources to both sides: C and C++ by one clang, Cargo packages by the toolchain's own targets.

mod c;
mod package;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use measure_core::base::words::plain;

use super::error::FunctionError;

/// A compiler says more than this only if there is no end to it.
const SAID_CHARS: usize = 4000;

/// What came of a source.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) native: PathBuf,
    /// Nothing where the toolchain has no target for it.
    pub(super) wasm: Option<PathBuf>,
    /// What to tell the user.
    pub(super) note: Option<String>,
}

impl Compiled {
    fn only(native: PathBuf) -> Self {
        Self {
            native,
            wasm: None,
            note: None,
        }
    }
}

/// Which sides are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    Both,
    Native,
}

/// Compiles `source` into `scratch`.
pub(super) fn compile(
    source: &Path,
    scratch: &Path,
    sides: Sides,
) -> Result<Compiled, FunctionError> {
    match source.join("Cargo.toml").is_file() {
        true => package::compile(source, scratch, sides),
        false => c::compile(source, scratch, sides),
    }
}

/// Runs a compiler, which makes a side of a function `what`; `hint` says what may be done where it does not.
fn run(
    mut command: Command,
    what: &str,
    hint: impl FnOnce() -> String,
) -> Result<(), FunctionError> {
    let program = command.get_program().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(FunctionError::io(OsString::from(&program)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let skipped = said.chars().count().saturating_sub(SAID_CHARS);
    let said: String = said.chars().skip(skipped).collect();
    let hint = hint();
    let hint = match hint.is_empty() {
        true => hint,
        false => format!(" ({hint})"),
    };
    Err(FunctionError::Refused(format!(
        "{} does not compile it {what}{hint}:\n{}",
        program.to_string_lossy(),
        plain(said.trim())
    )))
}
