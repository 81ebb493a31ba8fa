//! Files that are made of several runs, in a directory that the user names.

use std::fs;
use std::path::Path;

use measure_core::contract::run_dir::{RunDirError, write_whole};

/// Writes each of `files`, a name and its content, whole into `dir`, which is made if it is not there.
///
/// # Errors
/// It cannot be made, or one of them not be written.
pub(crate) fn write_files(dir: &Path, files: &[(&str, String)]) -> Result<(), RunDirError> {
    fs::create_dir_all(dir).map_err(|cause| RunDirError::Write {
        path: dir.to_owned(),
        cause,
    })?;
    for (name, content) in files {
        write_whole(&dir.join(name), content.as_bytes())?;
    }
    Ok(())
}
