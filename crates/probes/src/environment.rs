//! What a run was measured on, read from this machine into [`Environment`]. Nothing here changes the machine.

mod cpu;
mod fact_error;
mod kernel;
mod load;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fact_error::FactError;
use procfs::FromBufRead;

use measure_core::contract::environment::{Environment, Fact, Facts, SCHEMA};

/// Reads everything now. Watches the machine for a quarter of a second to see whether it is idle, so
/// call it before anything of the run's own is at work.
#[must_use]
pub fn capture() -> Environment {
    let host = Host::real();
    Environment {
        schema: SCHEMA,
        cpu: cpu::facts(&host),
        system: kernel::facts(&host),
        run: run::facts(),
        engines: BTreeMap::new(),
        before: load::watch(&host),
        after: None,
    }
}

/// Records the load after the last measurement.
pub fn finish(environment: &mut Environment) {
    environment.after = Some(load::now(&Host::real()));
}

/// Where facts are read from: the root directory, or a made-up one in tests.
struct Host {
    root: PathBuf,
}

impl Host {
    fn real() -> Self {
        Self {
            root: PathBuf::from("/"),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The file's text, trimmed.
    fn text(&self, path: &str) -> Result<String, FactError> {
        let path_below_root = self.path(path);
        let path = path.to_owned();
        match fs::read_to_string(path_below_root) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(FactError::NoFile(path)),
            Err(cause) => Err(FactError::Read { path, cause }),
        }
    }

    fn number(&self, path: &str) -> Result<u64, FactError> {
        let text = self.text(path)?;
        text.parse().map_err(|_| FactError::no_number(path, &text))
    }

    /// A file of /proc that `procfs` knows.
    fn parsed<T: FromBufRead>(&self, path: &'static str) -> Result<T, FactError> {
        let text = self.text(path)?;
        T::from_buf_read(text.as_bytes()).map_err(|cause| FactError::Parse { path, cause })
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(&self.path(path)).exists()
    }
}

/// Collects facts under their names.
struct Collector(Facts);

impl Collector {
    fn add(&mut self, name: &str, fact: impl Into<Fact>) {
        self.0.insert(name.to_owned(), fact.into());
    }
}

#[cfg(test)]
mod tests;
