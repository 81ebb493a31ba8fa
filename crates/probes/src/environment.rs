//! What a run was measured on: facts for `environment.json`, and whether the machine is fit.
//!
//! A fact is a value or the reason why it is unknown. Nothing here changes the machine.

mod cpu;
mod fact_error;
mod fitness;
mod kernel;
mod load;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fact_error::FactError;
use procfs::FromBufRead;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use fitness::{Concern, Severity};
pub use load::{Activity, Load};

/// Version of the file's form.
pub const SCHEMA: u32 = 1;

/// A value, or why it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// Any JSON value.
    Value(Value),
    /// Why not.
    Unknown(String),
}

impl Fact {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Value(value) => value.as_str(),
            Self::Unknown(_) => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Value(value) => value.as_f64(),
            Self::Unknown(_) => None,
        }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Value(value) => value.as_bool(),
            Self::Unknown(_) => None,
        }
    }
}

impl<V: Into<Value>, E: ToString> From<Result<V, E>> for Fact {
    fn from(result: Result<V, E>) -> Self {
        match result {
            Ok(value) => Self::Value(value.into()),
            Err(why) => Self::Unknown(why.to_string()),
        }
    }
}

/// Facts by name.
pub type Facts = BTreeMap<String, Fact>;

/// Everything about the machine and the run that a reader of the numbers needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The processor and its settings.
    pub cpu: Facts,
    /// Operating system, memory and kernel settings.
    pub system: Facts,
    /// This program, its command line, its revision, the seed.
    pub run: Facts,
    /// Versions and hashes of engines, images, tools and functions, by whoever knows them.
    pub engines: BTreeMap<String, Facts>,
    /// Load before the first measurement.
    pub before: Load,
    /// Load after the last one, once [`Environment::finish`] has been called.
    pub after: Option<Load>,
}

impl Environment {
    /// Reads everything now. Watches the machine for a quarter of a second to see whether it is idle, so
    /// call it before anything of the run's own is at work.
    #[must_use]
    pub fn capture() -> Self {
        let host = Host::real();
        Self {
            schema: SCHEMA,
            cpu: cpu::facts(&host),
            system: kernel::facts(&host),
            run: run::facts(),
            engines: BTreeMap::new(),
            before: Load::watch(&host),
            after: None,
        }
    }

    /// Adds a fact about the run, such as its seed.
    pub fn note_run(&mut self, name: &str, fact: impl Into<Fact>) {
        self.run.insert(name.to_owned(), fact.into());
    }

    /// Adds a fact about an engine, image, tool or function.
    pub fn note_engine(&mut self, engine: &str, name: &str, fact: impl Into<Fact>) {
        self.engines
            .entry(engine.to_owned())
            .or_default()
            .insert(name.to_owned(), fact.into());
    }

    /// Records the load after the last measurement.
    pub fn finish(&mut self) {
        self.after = Some(Load::now(&Host::real()));
    }

    /// What makes the numbers less trustworthy, worst first, each with what to do about it. After
    /// [`Environment::finish`] what happened during the run is included.
    #[must_use]
    pub fn concerns(&self) -> Vec<Concern> {
        fitness::concerns(self)
    }

    /// The file's content.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A fact of any group, for tables.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        [&self.cpu, &self.system, &self.run]
            .into_iter()
            .find_map(|facts| facts.get(name))
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Self::Value(text.into())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Self::Value(text.into())
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Self {
        Self::Value(number.into())
    }
}

impl From<bool> for Fact {
    fn from(truth: bool) -> Self {
        Self::Value(truth.into())
    }
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
