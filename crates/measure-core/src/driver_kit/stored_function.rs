//! What a function of the store is given at each start, as its `function.toml` says. Read once, when a rung is prepared.
//! Functions without one (the demo functions) are given nothing, and cost nothing more.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::ids::FunctionId;
use crate::base::trust::{self, Trusted};
use crate::contract::answer::{Answer, Content};
use crate::contract::exchange::Request;
use crate::contract::function::{FILE, FunctionFile, FunctionFileError, Kind, Places};
use crate::driver_kit::refusals::{no_handlers, no_network};
use crate::driver_kit::{DriverError, output_dir};

/// Where a function that is in the host's network finds the host's own services.
const LOOPBACK: &str = "127.0.0.1";

/// A function that was brought with a `function.toml`.
#[derive(Debug)]
pub struct StoredFunction {
    /// What it says.
    pub file: FunctionFile,
    dir: PathBuf,
}

impl StoredFunction {
    /// What the function in `dir` is; `None` if nothing is said of it.
    ///
    /// # Errors
    /// Others could have written the file, or it is none.
    pub fn read(dir: &Path) -> Result<Option<Self>, DriverError> {
        let path = dir.join(FILE);
        // Where there is none there is nothing to trust; who reads what else lies there asks for itself.
        if matches!(fs::symlink_metadata(&path), Err(e) if e.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let bytes = trust::read(&path)?;
        let wrong = |e: FunctionFileError| DriverError::failed(path.display(), e);
        let text = String::from_utf8_lossy(&bytes);
        let file = FunctionFile::parse(&text).map_err(wrong)?;
        // Rungs tell their functions where their files lie by its whole path.
        let dir = std::path::absolute(dir).map_err(|e| DriverError::failed(dir.display(), e))?;
        Ok(Some(Self { file, dir }))
    }

    /// The directory that it may read, if there is one.
    #[must_use]
    pub fn files_dir(&self) -> Option<PathBuf> {
        self.file.files.as_ref().map(|files| self.dir.join(files))
    }

    /// What it reads from its standard input, if that is not empty.
    ///
    /// # Errors
    /// Others could have written it, or it is not there.
    pub fn stdin(&self) -> Result<Option<StdinFile>, DriverError> {
        let stdin = self.file.stdin.as_ref();
        let opened = stdin.map(|path| trust::open(&self.dir.join(path)).map(StdinFile));
        Ok(opened.transpose()?)
    }

    /// What it is asked, if it is a handler.
    ///
    /// # Errors
    /// Others could have written the body, or it is not there.
    pub fn request(&self) -> Result<Option<Request>, DriverError> {
        let Some(handler) = self.file.served() else {
            return Ok(None);
        };
        let body = match &handler.request {
            Some(path) => trust::read(&self.dir.join(path))?,
            None => Vec::new(),
        };
        Ok(Some(handler.request_with(body)))
    }

    /// Fails if it is a handler, and the rung runs programs only: `why`.
    ///
    /// # Errors
    /// It is one.
    pub fn require_program(&self, why: &str) -> Result<(), DriverError> {
        match self.file.kind {
            Kind::Program => Ok(()),
            Kind::Handler => Err(no_handlers(why)),
        }
    }

    /// Fails if it is granted something of the network, and the rung has none: `why`.
    ///
    /// # Errors
    /// It is.
    pub fn require_no_network(&self, function: &FunctionId, why: &str) -> Result<(), DriverError> {
        match self.file.network.is_empty() {
            true => Ok(()),
            false => Err(no_network(function, why)),
        }
    }

    /// Makes the directory that it may write to, if it is to have one, for all starts of this process; where it is.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn output_dir(&self) -> Result<Option<PathBuf>, DriverError> {
        let wanted = self.file.output_at.as_ref();
        wanted.map(|_| output_dir::ensure()).transpose()
    }

    /// Its arguments and environment on a rung whose functions see the host's files; `port` is a handler's.
    ///
    /// # Errors
    /// The directory that it may write to cannot be made.
    pub fn given_on_host(&self, port: Option<u16>) -> Result<GivenTexts, DriverError> {
        let text = |path: Option<PathBuf>| path.unwrap_or_default().to_string_lossy().into_owned();
        let (files, output) = (text(self.files_dir()), text(self.output_dir()?));
        Ok(self.given_at(Places {
            files: &files,
            output: &output,
            host: LOOPBACK,
            port,
        }))
    }

    /// The same on a rung whose functions have a root of their own.
    #[must_use]
    pub fn given_inside(&self, port: Option<u16>) -> GivenTexts {
        self.given_at(Places {
            port,
            ..self.file.own_places()
        })
    }

    /// The same on a rung whose functions have a root of their own, and the host's network.
    #[must_use]
    pub fn given_inside_network_of_host(&self, port: Option<u16>) -> GivenTexts {
        self.given_at(Places {
            port,
            host: LOOPBACK,
            ..self.file.own_places()
        })
    }

    fn given_at(&self, places: Places<'_>) -> GivenTexts {
        GivenTexts {
            args: self.file.args_at(places),
            env: self.file.env_at(places),
        }
    }

    /// How long one run may take when its answer is asked for.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.file.timeout_s)
    }

    /// What it wrote into the directory that it may write to.
    fn files_written(&self) -> Result<BTreeMap<String, Content>, DriverError> {
        let Some(dir) = self.output_dir()? else {
            return Ok(BTreeMap::new());
        };
        output_dir::written_files(&dir).map_err(|e| DriverError::failed(dir.display(), e))
    }
}

/// Why a function that was brought cannot run where its `side` is needed.
#[must_use]
pub fn lacks_side(function: &FunctionId, side: &str) -> DriverError {
    DriverError::Unavailable {
        why: format!("{function} has no {side}"),
        mend: format!("bring one by `runtime_bench add {function} --replace`, with all its sides"),
    }
}

/// The answer of a run that `ended` so and wrote `stdout`; `stored` is what is known of its function, where that finds the
/// directory to write to on the host.
///
/// # Errors
/// It could not run, or what it wrote cannot be read.
pub fn answer_of_run(
    ended: Result<(), DriverError>,
    stdout: Content,
    stored: Option<&StoredFunction>,
) -> Result<Answer, DriverError> {
    let (exit_code, failure) = match ended {
        Ok(()) => (Some(0), None),
        Err(DriverError::Exited { code, words }) => (Some(code), Some(words)),
        Err(DriverError::StartFailed(words)) => (None, Some(words)),
        Err(other) => return Err(other),
    };
    Ok(Answer {
        exit_code,
        stdout,
        responses: Vec::new(),
        files: stored.map_or_else(|| Ok(BTreeMap::new()), StoredFunction::files_written)?,
        failure,
    })
}

/// Arguments and environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenTexts {
    /// Without the program's name.
    pub args: Vec<String>,
    /// Names and values.
    pub env: Vec<(String, String)>,
}

/// A standard input that every start reads from its beginning.
#[derive(Debug)]
pub struct StdinFile(Trusted);

impl StdinFile {
    /// The file `path`, if only the trusted could have written it.
    ///
    /// # Errors
    /// They could not, or it is not there.
    pub fn open_trusted(path: &Path) -> Result<Self, DriverError> {
        Ok(Self(trust::open(path)?))
    }

    /// Its name without any link.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file that was found to be trusted, opened once more.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn open(&self) -> io::Result<File> {
        File::open(format!("/proc/self/fd/{}", self.0.file().as_raw_fd()))
    }

    /// All of it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut self.open()?, &mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_function_without_a_file_is_given_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(StoredFunction::read(dir.path()).expect("none").is_none());
        fs::write(dir.path().join(FILE), "agrs = []").expect("written");
        let error = StoredFunction::read(dir.path())
            .expect_err("wrong")
            .to_string();
        assert!(error.contains("did you mean `args`?"), "{error}");
        assert!(error.contains(FILE), "{error}");
    }

    #[test]
    fn every_start_reads_its_input_from_the_beginning() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(
            dir.path().join(FILE),
            "stdin = 'in'\nfiles = 'd'\nargs = ['{files}']",
        )
        .expect("written");
        fs::write(dir.path().join("in"), "twice").expect("written");
        let stored = StoredFunction::read(dir.path())
            .expect("right")
            .expect("there");
        let stdin = stored.stdin().expect("trusted").expect("there");
        for _ in 0..2 {
            assert_eq!(stdin.read().expect("readable"), b"twice");
        }
        assert_eq!(stored.given_inside(None).args, ["/files"]);
        let host = stored.given_on_host(None).expect("no output");
        assert_eq!(Path::new(&host.args[0]), dir.path().join("d"));
    }
}
