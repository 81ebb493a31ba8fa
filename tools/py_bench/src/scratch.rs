//! A directory for temporary files of the interpreters, gone when we are.

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::interrupt;
use measure_core::base::label::Owner;
use native_vs_wasm::CompareError;

/// Below the runtime directory: a directory per running `py_bench`, named by its process.
const DIR: &str = "py_bench";

/// Removed when dropped; what a killed run left is removed by the next.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn make() -> Result<Self, CompareError> {
        // Before anything is made: a signal then ends a run by its own way out.
        interrupt::install().map_err(|e| CompareError::failed("cannot catch signals", e))?;
        let parent = home::runtime().join(DIR);
        let mine = parent.join(Owner::this_process().to_string());
        let failed = |e: std::io::Error| CompareError::failed(mine.display(), e);
        fs::create_dir_all(&parent).map_err(failed)?;
        for entry in fs::read_dir(&parent).map_err(failed)?.flatten() {
            let owner = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<Owner>().ok());
            if owner.is_some_and(Owner::is_gone) {
                // Another run may be removing it as well.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let _ = fs::remove_dir_all(&mine);
        fs::create_dir(&mine).map_err(failed)?;
        Ok(Self(mine))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
