//! Where results go besides the run directory.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use measure_core::base::files::replace_file;

use crate::error::CompareError;

/// Writes `text` to standard output. A reader that has gone away (`| head`) is no error.
///
/// # Errors
/// It cannot be written.
pub fn say(text: &[u8]) -> Result<(), CompareError> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(CompareError::Output {
            path: "standard output".into(),
            cause,
            option: "",
        }),
        _ => Ok(()),
    }
}

/// The CSV file that old scripts read.
#[derive(Debug)]
pub(crate) struct CsvFile {
    path: PathBuf,
    /// A device or pipe is written to once, as it is; anything else is replaced as a whole.
    special: bool,
}

impl CsvFile {
    /// Finds out, before anything is measured and without changing what is there, whether it can be written.
    pub(crate) fn open(path: &Path) -> Result<Self, CompareError> {
        let special = fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir());
        let csv = Self {
            path: path.to_owned(),
            special,
        };
        csv.try_out().map_err(|cause| csv.refused(cause))?;
        Ok(csv)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn try_out(&self) -> io::Result<()> {
        if self.special {
            return OpenOptions::new().write(true).open(&self.path).map(drop);
        }
        if self.path.is_dir() || self.path.file_name().is_none() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        let beside = self.path.with_file_name(format!(
            ".{}.{}.probe",
            self.path.file_name().unwrap_or_default().to_string_lossy(),
            std::process::id()
        ));
        let tried = fs::write(&beside, "benchmark,type,microseconds\n");
        let _ = fs::remove_file(&beside);
        tried
    }

    /// Replaces the file's content, in one step for its readers.
    pub(crate) fn write(&self, content: &str) -> Result<(), CompareError> {
        if self.special {
            return Ok(());
        }
        replace_file(&self.path, content.as_bytes()).map_err(|cause| self.refused(cause))
    }

    /// The last content: what devices and pipes get.
    pub(crate) fn finish(&self, content: &str) -> Result<(), CompareError> {
        if !self.special {
            return self.write(content);
        }
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(|cause| self.refused(cause))
    }

    fn refused(&self, cause: io::Error) -> CompareError {
        CompareError::Output {
            path: self.path.clone(),
            cause,
            option: "--output",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_not_before_there_is_something() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.csv");
        fs::write(&path, "old").expect("written");
        let csv = CsvFile::open(&path).expect("writable");
        assert_eq!(fs::read(&path).expect("there"), b"old");
        csv.write("new").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        for path in [
            dir.path().to_owned(),
            dir.path().join("no/x.csv"),
            "/".into(),
        ] {
            let error = CsvFile::open(&path).expect_err("refused");
            assert!(error.to_string().contains("--output"), "{error}");
        }
    }

    #[test]
    fn a_full_device_is_told() {
        let csv = CsvFile::open(Path::new("/dev/full")).expect("opens");
        csv.write("kept back").expect("nothing done");
        let error = csv.finish("benchmark").expect_err("full");
        assert!(error.to_string().contains("space"), "{error}");
    }
}
