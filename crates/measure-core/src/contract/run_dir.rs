//! A run's directory: locked while in use, samples appended as they are measured, everything else
//! rewritten whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;

use crate::base::exit::{Exit, HasExit};
use crate::base::files::{self, replace_file};
use crate::contract::sample::{SCHEMA, Sample};

/// The file of samples within a run directory, one JSON line each.
pub const SAMPLES: &str = "samples.jsonl";
/// Where runs go unless told otherwise.
pub const RESULTS: &str = "results";
/// The link beside the runs that points to the last one.
pub const LATEST: &str = "latest";

/// What is wrong with a run directory.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// Cannot be written: permission, a read-only or full file system.
    #[error("cannot write {}: {cause}; {}", path.display(), advice(cause))]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        cause: io::Error,
    },
    /// Another process writes to it.
    #[error("{what} is in use by another run{}; wait for it to end", holder(*pid))]
    Busy {
        /// A run's directory, or the host.
        what: String,
        /// By whom, where that could be found out.
        pid: Option<i32>,
    },
    /// Not there or not readable.
    #[error("cannot read {}: {cause}{}", path.display(), where_runs_are(cause))]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        cause: io::Error,
    },
    /// Written by a later version of these tools.
    #[error("{}:{line}: schema {found}, this tool knows up to {SCHEMA}; use the version that wrote it", path.display())]
    Newer {
        /// The file of samples.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The schema that it says it is of.
        found: u64,
    },
    /// A line, other than a torn last one, that is no sample.
    #[error("{}:{line}: not a record: {cause}", path.display())]
    Malformed {
        /// The file of samples.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What the parser says.
        cause: String,
    },
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space (the samples written so far are kept)"
        }
        _ => "choose another directory with --output",
    }
}

fn where_runs_are(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::NotFound => {
            "; name the directory of a run, such as results/latest, made by the tool that is to read it"
        }
        _ => "",
    }
}

fn holder(pid: Option<i32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (pid {pid})"))
}

impl HasExit for RunDirError {
    fn exit(&self) -> Exit {
        match self {
            Self::Write { .. } => Exit::Output,
            Self::Busy { .. } => Exit::Busy,
            Self::Read { .. } | Self::Newer { .. } | Self::Malformed { .. } => Exit::Failed,
        }
    }
}

/// An open, locked run directory. Dropping it unlocks it.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    samples: Flock<File>,
    /// Length of the whole lines in the file of samples; known once something is appended.
    len: Option<u64>,
}

impl RunDir {
    /// Makes `<results>/<time>-<host>/` and points `<results>/latest` to it. Finds out here, before
    /// anything is measured, that it cannot be written.
    ///
    /// # Errors
    /// [`RunDirError::Write`].
    pub fn create(results: &Path) -> Result<Self, RunDirError> {
        fs::create_dir_all(results).map_err(|e| write_error(results, e))?;
        let base = format!("{}-{}", utc_now(), host());
        let mut path = results.join(&base);
        let mut attempt = 1;
        while let Err(error) = fs::create_dir(&path) {
            if error.kind() != ErrorKind::AlreadyExists {
                return Err(write_error(&path, error));
            }
            attempt += 1;
            path = results.join(format!("{base}-{attempt}"));
        }
        let run = Self::open(&path)?;
        point_latest(results, &run.name())?;
        Ok(run)
    }

    /// Opens `path`, which is made if it does not exist; samples are appended to those already there.
    ///
    /// # Errors
    /// [`RunDirError::Write`], or [`RunDirError::Busy`] if another process has it open.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        fs::create_dir_all(path).map_err(|e| write_error(path, e))?;
        let file = path.join(SAMPLES);
        let samples = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&file)
            .map_err(|e| write_error(&file, e))?;
        let samples = Flock::lock(samples, FlockArg::LockExclusiveNonblock).map_err(
            |(_, errno)| match errno {
                Errno::EWOULDBLOCK => RunDirError::Busy {
                    what: path.display().to_string(),
                    pid: None,
                },
                other => write_error(&file, other.into()),
            },
        )?;
        let run = Self {
            path: path.to_owned(),
            samples,
            len: None,
        };
        // A directory may refuse new files although an old one can be appended to.
        let probe = run.path.join(".probe");
        files::beside(&probe)
            .and_then(|file| file.as_file().write_all(b"probe\n"))
            .map_err(|e| write_error(&probe, e))?;
        Ok(run)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last component, which every sample carries as `run`.
    #[must_use]
    pub fn name(&self) -> String {
        let full = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        full.file_name()
            .map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned())
    }

    /// Whether no sample has been written yet.
    ///
    /// # Errors
    /// [`RunDirError::Read`].
    pub fn is_empty(&self) -> Result<bool, RunDirError> {
        self.samples
            .metadata()
            .map(|m| m.len() == 0)
            .map_err(|cause| RunDirError::Read {
                path: self.path.join(SAMPLES),
                cause,
            })
    }

    /// Appends one line, handed to the kernel at once: what a killed run measured stays. A torn last line
    /// of an earlier, killed writer is cut off first.
    ///
    /// # Errors
    /// [`RunDirError::Write`]; the file then still ends with a whole line.
    pub fn append(&mut self, sample: &Sample) -> Result<(), RunDirError> {
        let path = self.path.join(SAMPLES);
        let mut line = serde_json::to_vec(sample).map_err(|e| write_error(&path, e.into()))?;
        line.push(b'\n');
        let len = match self.len {
            Some(len) => len,
            None => drop_torn_tail(&mut self.samples).map_err(|e| write_error(&path, e))?,
        };
        if let Err(error) = self.samples.write_all(&line) {
            // Part of the line may have gone in before the disk was full.
            let _ = self.samples.set_len(len);
            return Err(write_error(&path, error));
        }
        self.len = Some(len + line.len() as u64);
        Ok(())
    }

    /// Writes the file `name` of this directory whole: a reader sees the old one or the new one.
    ///
    /// # Errors
    /// [`RunDirError::Write`]; the old file is then still there.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), RunDirError> {
        write_whole(&self.path.join(name), content)
    }
}

/// Writes `path` whole, through a temporary file beside it and a rename.
///
/// # Errors
/// [`RunDirError::Write`]; the old file is then still there.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), RunDirError> {
    replace_file(path, content).map_err(|error| write_error(path, error))
}

pub(super) fn write_error(path: &Path, cause: io::Error) -> RunDirError {
    RunDirError::Write {
        path: path.to_owned(),
        cause,
    }
}

/// Cuts off a last line without its end, which a killed writer left, and returns the length.
fn drop_torn_tail(file: &mut File) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut position = end;
    let mut buffer = [0; 4096];
    while position > 0 {
        let chunk = position.min(buffer.len() as u64);
        file.seek(SeekFrom::Start(position - chunk))?;
        // `chunk` is at most the buffer's length.
        let bytes = &mut buffer[..chunk as usize];
        file.read_exact(bytes)?;
        if let Some(newline) = bytes.iter().rposition(|&b| b == b'\n') {
            position = position - chunk + newline as u64 + 1;
            break;
        }
        position -= chunk;
    }
    if position < end {
        file.set_len(position)?;
    }
    Ok(position)
}

fn point_latest(results: &Path, name: &str) -> Result<(), RunDirError> {
    let link = results.join(LATEST);
    tempfile::Builder::new()
        .prefix(&format!(".{LATEST}."))
        .make_in(results, |temporary| symlink(name, temporary))
        .and_then(|temporary| temporary.persist(&link).map_err(|e| e.error))
        .map_err(|e| write_error(&link, e))?;
    Ok(())
}

fn host() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name: String = name
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    if name.is_empty() { "host".into() } else { name }
}

/// Now in UTC as `20261124T034500Z`: sorts by time, and has no character that a shell minds.
fn utc_now() -> String {
    utc(Timestamp::now())
}

fn utc(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// What a file of samples holds.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Every whole line, in order.
    pub samples: Vec<Sample>,
    /// The last line was torn (its writer was killed) and is left out.
    pub torn: bool,
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: u64,
}

/// Reads the samples of the run directory `dir`; a torn last line is left out.
///
/// # Errors
/// [`RunDirError::Read`], [`RunDirError::Newer`] or [`RunDirError::Malformed`].
pub fn read_samples(dir: &Path) -> Result<Recorded, RunDirError> {
    let path = dir.join(SAMPLES);
    let read_error = |cause| RunDirError::Read {
        path: path.clone(),
        cause,
    };
    let mut reader = BufReader::new(files::open_file(&path).map_err(read_error)?);
    let mut recorded = Recorded::default();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(read_error)? == 0 {
            break;
        }
        if bytes.last() != Some(&b'\n') {
            recorded.torn = true;
            break;
        }
        recorded.samples.push(parse(&path, line, &bytes)?);
    }
    Ok(recorded)
}

fn parse(path: &Path, line: usize, bytes: &[u8]) -> Result<Sample, RunDirError> {
    // The schema first: a newer line may well lack or change a field that this version wants.
    let schema = serde_json::from_slice::<SchemaOnly>(bytes).map(|s| s.schema);
    if let Ok(found) = schema
        && found > u64::from(SCHEMA)
    {
        return Err(RunDirError::Newer {
            path: path.to_owned(),
            line,
            found,
        });
    }
    schema
        .and_then(|_| serde_json::from_slice(bytes))
        .map_err(|cause| RunDirError::Malformed {
            path: path.to_owned(),
            line,
            cause: cause.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_calendar_times() {
        for (seconds, name) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            let time = Timestamp::from_second(seconds).expect("a time");
            assert_eq!(utc(time), name);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join(SAMPLES), &bytes).expect("write");
            let _ = read_samples(dir.path());
        }
    }
}
