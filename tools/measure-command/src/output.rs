//! Where results go.

use std::io;
use std::path::Path;

use super::report::Report;
use super::{CommandError, table};
use measure_core::base::files::OutputFile;
use measure_core::base::stdout::print;

/// Where results go: a table on standard output, and JSON if asked for.
pub(super) enum Output {
    Table,
    /// JSON on standard output, in place of the table.
    Json,
    TableAndFile(OutputFile),
}

impl Output {
    /// Finds out before anything is measured whether the results can be written.
    pub(super) fn open(json: Option<&Path>) -> Result<Self, CommandError> {
        match json {
            None => Ok(Self::Table),
            Some(path) if path == Path::new("-") => Ok(Self::Json),
            Some(path) => OutputFile::open(path)
                .map(Self::TableAndFile)
                .map_err(refused(path)),
        }
    }

    /// Writes the file, if there is one, with what there is so far.
    pub(super) fn keep(&self, report: &Report) -> Result<(), CommandError> {
        match self {
            Self::TableAndFile(file) => file
                .write(report.to_json().as_bytes())
                .map_err(refused(file.path())),
            Self::Table | Self::Json => Ok(()),
        }
    }

    /// Writes the file, if there is one, and prints to standard output.
    pub(super) fn finish(&self, report: &Report) -> Result<(), CommandError> {
        if let Self::TableAndFile(file) = self {
            file.finish(report.to_json().as_bytes())
                .map_err(refused(file.path()))?;
        }
        let text = match self {
            Self::Json => report.to_json(),
            Self::Table | Self::TableAndFile(_) => table::render(report, ::table::terminal_width()),
        };
        // The command was measured, whether or not anyone reads of it: its outcome is the exit code.
        if let Err(error) = print(text) {
            eprintln!("error: cannot write to standard output: {error}");
        }
        Ok(())
    }
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> CommandError {
    let path = path.to_owned();
    move |cause| CommandError::Output { path, cause }
}
