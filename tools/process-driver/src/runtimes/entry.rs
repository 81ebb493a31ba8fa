//! An entry of a runtimes file, and what is checked when it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use measure_core::base::ids;
use measure_core::base::range::in_range;
use measure_core::contract::{Isolation, Reach};
use serde::Deserialize;

use super::daemon::DaemonEntry;
use super::error::EntryError;
use super::handlers::{self, Handlers};
use super::template::{Placeholder, Template};

/// A start that takes longer than this has hung, unless the entry says otherwise.
const TIMEOUT_S: u64 = 30;
const MAX_TIMEOUT_S: u64 = 3600;
/// Starts at once, unless the entry says otherwise.
const MAX_WORKERS: usize = 64;

/// A runtime: one rung of the ladder. As it stands in the file until `check`, which parses the commands and
/// fills in what depends on other fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Ladder id.
    pub id: String,
    /// One line: what starts.
    #[serde(default)]
    pub summary: String,
    #[serde(rename = "command")]
    command_words: Vec<String>,
    #[serde(rename = "setup", default)]
    setup_words: Vec<Vec<String>>,
    #[serde(rename = "cleanup", default)]
    cleanup_words: Vec<Vec<String>>,
    /// What is executed at each start.
    #[serde(skip)]
    pub command: Vec<Template>,
    /// What is executed once beforehand, in order.
    #[serde(skip)]
    pub setup: Vec<Vec<Template>>,
    /// What is executed after a start that failed or hung, so that nothing of it is left.
    #[serde(skip)]
    pub cleanup: Vec<Vec<Template>>,
    /// What prints the version; empty: there is none.
    pub version: Option<Vec<String>>,
    /// Files made in the state directory beforehand, by name, taken literally.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Functions in the runtime's own language: `user/function.ending` and text.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// Environment of the command, beside PATH and HOME; `{state}` in a value is where a run keeps what it needs.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Mount points that the command does not see.
    #[serde(default)]
    pub hide_mounts: Vec<String>,
    /// Directories of the host that the command has one of its own in the place of.
    #[serde(default)]
    pub private_dirs: Vec<String>,
    /// What the command is a client of.
    pub daemon: Option<DaemonEntry>,
    /// Executables that it looks for itself.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What is in its bundle.
    #[serde(default)]
    pub bundle_runs: BundleRuns,
    /// Further processes whose memory counts.
    #[serde(default)]
    pub counts: Counts,
    /// How to tell that a parked worker is inside its function.
    #[serde(default)]
    pub parked_when: ParkedWhen,
    /// How the handlers among its functions are asked.
    pub handlers: Option<Handlers>,
    /// When a start has hung.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
    /// The most starts at once.
    #[serde(default = "default_max_workers")]
    pub max_workers: usize,
    /// What a start finds ready.
    #[serde(default = "default_cold")]
    pub cold: String,
    /// The same in a few words.
    #[serde(default = "default_warm")]
    pub warm: String,
    /// What it isolates.
    #[serde(with = "StrictIsolation")]
    pub isolation: Isolation,
    /// Security-relevant settings, in words.
    #[serde(default)]
    pub settings: Vec<String>,
    /// How to get the command where it is missing.
    #[serde(default)]
    pub install: String,
    /// What to do where the command is there and does not work.
    #[serde(default)]
    pub mend: String,
}

fn default_timeout_s() -> u64 {
    TIMEOUT_S
}

fn default_max_workers() -> usize {
    MAX_WORKERS
}

fn default_cold() -> String {
    "a new process of the command each time, under a name that was never used; what it runs from (root \
     directory, bundle, compiled code) was made beforehand; executables are in the page cache"
        .into()
}

fn default_warm() -> String {
    "root directory, bundle or compiled code".into()
}

/// Processes that count beside the command's own tree, for runtimes with a daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// By the name of the executable.
    pub processes: Vec<String>,
    /// By files that hold a process id.
    pub pid_files: Vec<String>,
}

/// How to tell that a parked worker is inside its function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParkedWhen {
    /// It has read what was put on its standard input, and so blocks in the next read.
    #[default]
    Read,
    /// A process of its tree runs the function's executable and sleeps.
    Process,
    /// A process that its monitor has started reads the standard input: Wasm, in a process of its engine's. It is killed when it is
    /// released.
    Stdin,
}

/// What an OCI bundle runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BundleRuns {
    /// The function's executable.
    #[default]
    Native,
    /// The function as Wasm, which the runtime is to know as such.
    Wasm,
}

/// [`Isolation`], but a word that is no kind of isolation is refused.
#[derive(Default, Deserialize)]
#[serde(remote = "Isolation", default, deny_unknown_fields)]
struct StrictIsolation {
    memory: String,
    cpu: String,
    network: String,
    files: String,
    syscalls: String,
    capabilities: String,
    hardware: String,
    reach: Option<Reach>,
}

impl Entry {
    /// The entry, if every field can be what it says.
    ///
    /// # Errors
    /// The first that cannot.
    pub(super) fn check(mut self) -> Result<Self, EntryError> {
        check_id(&self.id)?;
        self.command = templates("command", &self.command_words)?;
        self.setup = lists("setup", &self.setup_words)?;
        self.cleanup = lists("cleanup", &self.cleanup_words)?;
        let Some(executable) = self.command_words.first().filter(|word| !word.is_empty()) else {
            return Err(EntryError::NoCommand);
        };
        check_uses(&self.command, &self.setup, &self.cleanup)?;
        self.check_surroundings()?;
        handlers::check(self.handlers.as_ref(), &self.uses())?;
        in_range("timeout_s", self.timeout_s, 1..=MAX_TIMEOUT_S)?;
        let most = measure_core::driver_kit::cli::MAX_WORKERS;
        in_range("max_workers", self.max_workers, 1..=most)?;
        if let Some(name) = self.files.keys().find(|name| !is_file_name(name)) {
            return Err(EntryError::FileName(name.clone()));
        }
        self.check_scripts()?;
        let id = &self.id;
        let fill = |field: &mut String, text: String| {
            if field.is_empty() {
                *field = text;
            }
        };
        fill(
            &mut self.summary,
            format!("`{executable}` runs the function"),
        );
        fill(
            &mut self.install,
            format!("install {executable} or put it on PATH"),
        );
        let again = format!("mend what it says, or try `process-driver time 1 --rung {id}`");
        fill(&mut self.mend, again);
        let ask = || vec![executable.clone(), "--version".into()];
        self.version.get_or_insert_with(ask);
        Ok(self)
    }

    /// What its starts find around them.
    fn check_surroundings(&self) -> Result<(), EntryError> {
        if let Some(daemon) = &self.daemon {
            daemon.check()?;
        }
        let is_dir = |dir: &&String| Path::new(dir).is_absolute() && dir.as_str() != "/";
        if let Some(dir) = self.private_dirs.iter().find(|dir| !is_dir(dir)) {
            return Err(EntryError::PrivateDir(dir.clone()));
        }
        if self.bundle_runs != BundleRuns::Native && !self.uses().contains(&Placeholder::Bundle) {
            return Err(EntryError::NoBundle);
        }
        Ok(())
    }

    /// Whether it is the Wasm of a function that it runs.
    #[must_use]
    pub fn runs_wasm(&self) -> bool {
        self.bundle_runs == BundleRuns::Wasm || self.uses().contains(&Placeholder::Wasm)
    }

    /// When a start has hung.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    /// Every placeholder in any of its texts.
    #[must_use]
    pub fn uses(&self) -> BTreeSet<Placeholder> {
        let lists = self.setup.iter().chain(&self.cleanup);
        uses(lists.flatten().chain(&self.command))
    }

    /// Executables that must be there: those of the daemon, the command and the set-up, as written, and what it needs besides. One
    /// with a placeholder in it is made, not found.
    #[must_use]
    pub fn executables(&self) -> Vec<String> {
        let daemon = self.daemon.iter().map(|daemon| &daemon.command);
        let firsts = daemon.chain(&self.setup).chain([&self.command]);
        let mut found: Vec<String> = firsts
            .filter_map(|words| words.first())
            .filter(|word| word.uses().is_empty())
            .map(|word| word.fill(|_| ""))
            .chain(self.needs.iter().cloned())
            .collect();
        found.dedup();
        found
    }
}

fn check_id(id: &str) -> Result<(), EntryError> {
    if ids::is_row_id(id) {
        return Ok(());
    }
    Err(EntryError::Id(id.to_owned()))
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

fn templates(field: &'static str, words: &[String]) -> Result<Vec<Template>, EntryError> {
    words
        .iter()
        .map(|word| Template::parse(word).map_err(|why| EntryError::Template { field, why }))
        .collect()
}

fn lists(field: &'static str, commands: &[Vec<String>]) -> Result<Vec<Vec<Template>>, EntryError> {
    if commands.iter().any(Vec::is_empty) {
        return Err(EntryError::EmptyCommand(field));
    }
    commands
        .iter()
        .map(|words| templates(field, words))
        .collect()
}

fn uses<'a>(words: impl IntoIterator<Item = &'a Template>) -> BTreeSet<Placeholder> {
    words.into_iter().flat_map(Template::uses).collect()
}

/// What a command must be given if it is given something else.
fn check_uses(
    command: &[Template],
    setup: &[Vec<Template>],
    cleanup: &[Vec<Template>],
) -> Result<(), EntryError> {
    use Placeholder::{Bundle, Function, Name, Program, Root, Script, State, Variable, Wasm};
    let lacks = |given: Placeholder, missing: Placeholder| EntryError::Missing {
        given: given.word(),
        missing: missing.word(),
    };
    let own = uses(command);
    let with_setup = &own | &uses(setup.iter().flatten());
    let runs = [Function, Wasm, Script, Program, Bundle];
    if !runs.iter().any(|p| with_setup.contains(p)) {
        return Err(EntryError::RunsNothing);
    }
    let set_up_elsewhere = own.is_disjoint(&BTreeSet::from(runs)) && !own.contains(&State);
    if set_up_elsewhere {
        return Err(EntryError::SetUpUnused);
    }
    for (given, missing) in [(Bundle, Name), (Program, Root)] {
        if with_setup.contains(&given) && !with_setup.contains(&missing) {
            return Err(lacks(given, missing));
        }
    }
    if with_setup.contains(&Root) && !with_setup.contains(&Program) {
        return Err(lacks(Root, Program));
    }
    if uses(setup.iter().flatten()).contains(&Name) {
        return Err(EntryError::NameInSetup);
    }
    let aside = uses(setup.iter().chain(cleanup).flatten().chain(command.first()));
    if aside.contains(&Variable) {
        return Err(EntryError::VariableAside);
    }
    match cleanup.iter().find(|words| !uses(*words).contains(&Name)) {
        Some(_) => Err(EntryError::NamelessCleanup),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
