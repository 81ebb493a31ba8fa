//! The Python side: one script, natively and as Wasm by the same CPython.

use std::path::Path;
use std::process::{Command, Stdio};

use measure_core::base::home;

use super::error::FunctionError;
use super::paths::{READABLE, copy_file, make_dir, write_text};

/// Below the home directory, as `make python` builds it.
const INTERPRETER: &str = "python/native/bin/python3.13";
/// The same with a start that can be in a snapshot, as `make python-functions` links it.
pub(super) const MODULE: &str = "python/wasi/function.wasm";
/// Where the script lies, in its function's directory.
pub(super) const SCRIPT: &str = "python/function.py";
/// What the check of a script without a `main` ends with.
const NO_MAIN: i32 = 3;
const MEND: &str = "make python python-functions";

/// How a script is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starts {
    /// As a script, and by its `main` from a snapshot.
    Main,
    /// As a script: a handler, whose Wasm side is a component.
    Script,
}

/// Puts the script `from` into the function's directory `dir`, with the command that runs it.
///
/// # Errors
/// It is no Python, or there is no CPython.
pub(super) fn install(from: &Path, dir: &Path, starts: Starts) -> Result<(), FunctionError> {
    let interpreter = home::root().join(INTERPRETER);
    for needed in [&interpreter, &home::root().join(MODULE)] {
        // A handler's component has an interpreter of its own.
        let skipped = starts == Starts::Script && *needed != interpreter;
        if !skipped && !needed.is_file() {
            let needed = needed.display();
            return Err(FunctionError::Unavailable(format!("no {needed}: {MEND}")));
        }
    }
    make_dir(&dir.join("python"))?;
    let script = dir.join(SCRIPT);
    copy_file(from, &script, READABLE)?;
    check_syntax(&interpreter, from, &script, starts)?;
    let words = format!("{{home}}/{INTERPRETER}\n-S\n-E\n{{function}}/{SCRIPT}\n");
    write_text(&dir.join("command"), &words)
}

/// Reads the `script`, which is called `name` in messages, as the interpreter does, and runs nothing of it.
fn check_syntax(
    interpreter: &Path,
    name: &Path,
    script: &Path,
    starts: Starts,
) -> Result<(), FunctionError> {
    const CHECK: &str = "\
import ast, sys
tree = ast.parse(open(sys.argv[2], 'rb').read(), sys.argv[1])
sys.exit(0 if any(isinstance(node, ast.FunctionDef) and node.name == 'main' for node in tree.body) else 3)";
    let output = Command::new(interpreter)
        .args(["-S", "-E", "-c", CHECK])
        .args([name, script])
        .stdin(Stdio::null())
        .output()
        .map_err(FunctionError::io(interpreter))?;
    let needs_main = starts == Starts::Main;
    if output.status.success() || (!needs_main && output.status.code() == Some(NO_MAIN)) {
        return Ok(());
    }
    if output.status.code() == Some(NO_MAIN) {
        return Err(FunctionError::Refused(format!(
            "{} has no function main(), which a start from a snapshot calls; as a script it is to call it itself: if __name__ == \"__main__\": main()",
            name.display()
        )));
    }
    // Its last lines are the place and the error; what stands before is our own.
    let said = String::from_utf8_lossy(&output.stderr);
    let own = said
        .lines()
        .skip_while(|line| !line.contains(&*name.to_string_lossy()));
    let own: Vec<&str> = own.map(str::trim_end).collect();
    Err(FunctionError::Refused(format!(
        "no Python:\n{}",
        own.join("\n")
    )))
}
