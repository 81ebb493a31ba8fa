//! Whether an engine is here, and which.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::words::one_line;
use measure_core::base::{home, programs};

use super::Entry;
use crate::column::NotReady;
use crate::columns::Executable;
use crate::columns::process::Runner;

/// Kept of what an engine says of itself.
const VERSION_CHARS: usize = 100;
/// And how long it may take to say that.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// The search path of engines: that of all programs, then `bin/` of the home directory, where our installers put them.
pub(crate) fn search_path() -> OsString {
    programs::search_path(&[home::root().join("bin")])
}

impl Entry {
    /// The executable that `word` names.
    ///
    /// # Errors
    /// It is not installed.
    pub(crate) fn find(&self, word: &str) -> Result<PathBuf, NotReady> {
        programs::find_in(word, &search_path()).ok_or_else(|| NotReady {
            why: format!("`{word}` is not installed"),
            mend: self.install.clone(),
        })
    }

    /// Its version, if it is installed and runs.
    ///
    /// # Errors
    /// Why it is not, and how to mend that.
    pub fn probe(&self) -> Result<String, NotReady> {
        for executable in self.executables() {
            self.find(executable)?;
        }
        let (name, arguments) = self.version.split_first().ok_or_else(|| NotReady {
            why: "no command tells its version".to_owned(),
            mend: self.install.clone(),
        })?;
        let failed = |why: String| NotReady {
            why: format!("`{}`: {why}", self.version.join(" ")),
            mend: self.install.clone(),
        };
        let executable = Executable {
            path: self.find(name)?,
            args: arguments.iter().map(Into::into).collect(),
            env: self.process_environment(),
            sources: Vec::new(),
            stdin: None,
        };
        let runner = Runner::new(VERSION_LIMIT, &self.install);
        let mut runner = runner.map_err(|e| failed(e.to_string()))?;
        let exited = runner.run(&executable, Vec::new(), Vec::new());
        let exited = exited.map_err(|e| failed(e.to_string()))?;
        let said = [exited.stdout, exited.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().find(|line| !line.trim().is_empty());
        let line = line.ok_or_else(|| failed("prints nothing".to_owned()))?;
        Ok(one_line(line, VERSION_CHARS))
    }

    /// The environment of its processes.
    pub(crate) fn process_environment(&self) -> Vec<(String, String)> {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/".to_owned());
        let path = search_path().to_string_lossy().into_owned();
        let own = [
            ("PATH", path),
            ("HOME", home),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let environment = self.environment.iter();
        own.into_iter()
            .chain(environment.map(|(name, value)| (name.clone(), value.clone())))
            .collect()
    }
}
