//! A native side that is a script: it runs by a program of this host, which does not come along.

use std::path::Path;

use measure_core::base::programs::on_path;

use super::error::FunctionError;
use super::paths::{READABLE, copy_file, make_dir, write_text};

/// Where the script lies, in its function's directory.
const DIR: &str = "script";
const NAME: &str = "main";
const COMMAND: &str = "command";

/// Puts the script `from`, which `interpreter` runs, into the function's directory `dir`; returns where it lies there.
///
/// # Errors
/// There is no such program on PATH.
pub(super) fn install(from: &Path, interpreter: &str, dir: &Path) -> Result<String, FunctionError> {
    let program = on_path(interpreter).ok_or_else(|| {
        FunctionError::Unavailable(format!(
            "no `{interpreter}` on PATH, which is to run {}: install it, or leave out its native side",
            from.display()
        ))
    })?;
    // Interpreters go by its ending; the rest of its name may have what a line of the command cannot.
    let end = from.extension().and_then(|end| end.to_str());
    let end = end.filter(|end| end.bytes().all(|b| b.is_ascii_alphanumeric()));
    let place = match end {
        Some(end) => format!("{DIR}/{NAME}.{end}"),
        None => format!("{DIR}/{NAME}"),
    };
    make_dir(&dir.join(DIR))?;
    copy_file(from, &dir.join(&place), READABLE)?;
    let words = format!("{}\n{{function}}/{place}\n", program.display());
    write_text(&dir.join(COMMAND), &words)?;
    Ok(place)
}
