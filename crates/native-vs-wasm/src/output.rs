//! Where results go besides the run directory.

use std::io;
use std::path::Path;

use measure_core::base::stdout::print;

use crate::error::CompareError;

/// Writes `text` to standard output. A reader that has gone away (`| head`) is no error.
///
/// # Errors
/// It cannot be written.
pub fn say(text: impl AsRef<[u8]>) -> Result<(), CompareError> {
    print(text).map_err(|cause| CompareError::Output {
        path: "standard output".into(),
        cause,
        option: "",
    })?;
    Ok(())
}

/// Why the file of `--output`, which old scripts read, cannot be written.
pub(crate) fn refused(path: &Path) -> impl FnOnce(io::Error) -> CompareError {
    let path = path.to_owned();
    move |cause| CompareError::Output {
        path,
        cause,
        option: "--output",
    }
}
