//! Files that are made of runs that are over.

use std::fs;
use std::path::Path;

use measure_core::contract::run_dir::{RunDir, RunDirError, write_whole};

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

/// Writes the tables of the run in `run` there, or into `output`, which leaves a run as it is that may not be written to; where
/// they are.
///
/// # Errors
/// The run is in use, or one of them cannot be written.
pub(crate) fn write_tables_of<'a>(
    run: &'a Path,
    output: Option<&'a Path>,
    files: &[(&str, String)],
) -> Result<&'a Path, RunDirError> {
    if let Some(output) = output {
        write_files(output, files)?;
        return Ok(output);
    }
    let locked = RunDir::open(run)?;
    for (name, content) in files {
        locked.write(name, content.as_bytes())?;
    }
    Ok(run)
}
