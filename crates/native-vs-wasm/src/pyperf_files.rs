//! The files of `--export-pyperf`.

use std::io;
use std::path::Path;

use measure_core::base::files::OutputFile;

use crate::comparison::{Comparison, pyperf};
use crate::error::CompareError;

/// Stands for a column's name in the name of a file.
const COLUMN: &str = "{column}";
const OPTION: &str = "--export-pyperf";

/// Where they go.
#[derive(Debug)]
pub(crate) enum PyperfFiles {
    /// All columns into one.
    One(OutputFile),
    /// A file for each column, by a name that holds [`COLUMN`].
    EachColumn(String),
}

impl PyperfFiles {
    /// Finds out before anything is measured whether they can be written.
    ///
    /// # Errors
    /// They cannot.
    pub(crate) fn open(pattern: &str) -> Result<Self, CompareError> {
        let probe = |path: &Path| OutputFile::open(path).map_err(refused(path));
        if pattern.contains(COLUMN) {
            probe(Path::new(&pattern.replace(COLUMN, "native")))?;
            return Ok(Self::EachColumn(pattern.to_owned()));
        }
        probe(Path::new(pattern)).map(Self::One)
    }

    /// # Errors
    /// One cannot be written.
    pub(crate) fn write(&self, comparison: &Comparison) -> Result<(), CompareError> {
        match self {
            Self::One(file) => file
                .finish(pyperf::of_all_columns(comparison).as_bytes())
                .map_err(refused(file.path())),
            Self::EachColumn(pattern) => {
                for column in &comparison.info.columns {
                    let name = pattern.replace(COLUMN, &column.name);
                    let path = Path::new(&name);
                    if let Some(text) = pyperf::of_column(comparison, &column.name) {
                        let file = OutputFile::open(path).map_err(refused(path))?;
                        file.finish(text.as_bytes()).map_err(refused(path))?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> CompareError {
    let path = path.to_owned();
    move |cause| CompareError::Output {
        path,
        cause,
        option: OPTION,
    }
}
