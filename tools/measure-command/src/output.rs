//! Where results go.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::report::Report;
use super::{CommandError, table};
use measure_core::base::files::replace_file;

/// Where results go: a table on standard output, and JSON if asked for.
pub(super) enum Output {
    Table,
    /// JSON on standard output, in place of the table.
    Json,
    TableAndFile(PathBuf),
}

impl Output {
    /// Finds out before anything is measured whether the results can be written.
    pub(super) fn open(json: Option<&Path>) -> Result<Self, CommandError> {
        match json {
            None => Ok(Self::Table),
            Some(path) if path == Path::new("-") => Ok(Self::Json),
            Some(path) => {
                try_out(path).map_err(|error| refused(path, &error))?;
                Ok(Self::TableAndFile(path.to_path_buf()))
            }
        }
    }

    /// Writes the file, if there is one.
    pub(super) fn keep(&self, report: &Report) -> Result<(), CommandError> {
        match self {
            Self::TableAndFile(path) => {
                write(path, report.to_json().as_bytes()).map_err(|error| refused(path, &error))
            }
            Self::Table | Self::Json => Ok(()),
        }
    }

    /// Prints to standard output. A reader that has gone away (`| head`) is no error.
    pub(super) fn print(&self, report: &Report) {
        let text = match self {
            Self::Json => report.to_json(),
            Self::Table | Self::TableAndFile(_) => table::render(report, ::table::terminal_width()),
        };
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            eprintln!("error: cannot write to standard output: {error}");
        }
    }
}

fn refused(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Output {
        path: path.to_path_buf(),
        why: error.to_string(),
    }
}

/// A device or pipe is written to as it is; anything else is replaced as a whole.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn try_out(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if is_special(path) {
        return OpenOptions::new().write(true).open(path).map(drop);
    }
    let temporary = beside(path);
    fs::write(&temporary, "")?;
    fs::remove_file(&temporary)
}

/// Whole or not at all: a reader never sees half a file.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if is_special(path) {
        return OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(content));
    }
    replace_file(path, content)
}
