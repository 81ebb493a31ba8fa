//! An entry of a runtimes file, and what is checked when it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use measure_core::base::range::in_range;
use measure_core::contract::Isolation;
use serde::Deserialize;

use super::error::EntryError;
use super::template::{Placeholder, Template};

/// A start that takes longer than this has hung, unless the entry says otherwise.
const TIMEOUT_S: u64 = 30;
const MAX_TIMEOUT_S: u64 = 3600;
/// Starts at once, unless the entry says otherwise.
const MAX_WORKERS: usize = 64;

/// A runtime: one rung of the ladder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Ladder id.
    pub id: String,
    /// One line: what starts.
    pub summary: String,
    /// What is executed at each start.
    pub command: Vec<Template>,
    /// What is executed once beforehand, in order.
    pub setup: Vec<Vec<Template>>,
    /// What is executed after a start that failed or hung, so that nothing of it is left.
    pub cleanup: Vec<Vec<Template>>,
    /// What prints the version; empty: there is none.
    pub version: Vec<String>,
    /// Files made in the state directory beforehand, by name, taken literally.
    pub files: BTreeMap<String, String>,
    /// Environment of the command, beside PATH and HOME.
    pub environment: BTreeMap<String, String>,
    /// Mount points that the command does not see.
    pub hide_mounts: Vec<String>,
    /// Further processes whose memory counts.
    pub counts: Counts,
    /// How to tell that a parked worker is inside its function.
    pub parked_when: ParkedWhen,
    /// When a start has hung.
    pub timeout: Duration,
    /// The most starts at once.
    pub max_workers: usize,
    /// What a start finds ready, where the standard sentence does not say it.
    pub cold: Option<String>,
    /// The same in a few words.
    pub warm: String,
    /// What it isolates.
    pub isolation: Isolation,
    /// Security-relevant settings, in words.
    pub settings: Vec<String>,
    /// How to get the command where it is missing.
    pub install: String,
    /// What to do where the command is there and does not work.
    pub mend: String,
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
}

/// An entry as it stands in the file, before [`RawEntry::check`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntry {
    id: String,
    command: Vec<String>,
    isolation: RawIsolation,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    setup: Vec<Vec<String>>,
    #[serde(default)]
    cleanup: Vec<Vec<String>>,
    version: Option<Vec<String>>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    hide_mounts: Vec<String>,
    #[serde(default)]
    counts: Counts,
    #[serde(default)]
    parked_when: ParkedWhen,
    timeout_s: Option<u64>,
    max_workers: Option<usize>,
    cold: Option<String>,
    warm: Option<String>,
    #[serde(default)]
    settings: Vec<String>,
    install: Option<String>,
    mend: Option<String>,
}

/// [`Isolation`], but a word that is no kind of isolation is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawIsolation {
    memory: String,
    cpu: String,
    network: String,
    files: String,
    syscalls: String,
    capabilities: String,
    hardware: String,
}

impl RawEntry {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The entry, if every field can be what it says.
    ///
    /// # Errors
    /// The first that cannot.
    pub(super) fn check(self) -> Result<Entry, EntryError> {
        check_id(&self.id)?;
        let command = templates("command", &self.command)?;
        let setup = lists("setup", &self.setup)?;
        let cleanup = lists("cleanup", &self.cleanup)?;
        let Some(executable) = self.command.first().filter(|word| !word.is_empty()) else {
            return Err(EntryError::NoCommand);
        };
        check_uses(&command, &setup, &cleanup)?;
        let timeout_s = self.timeout_s.unwrap_or(TIMEOUT_S);
        in_range("timeout_s", timeout_s, 1..=MAX_TIMEOUT_S)?;
        let max_workers = self.max_workers.unwrap_or(MAX_WORKERS);
        let most = measure_core::driver_kit::cli::MAX_WORKERS;
        in_range("max_workers", max_workers, 1..=most)?;
        if let Some(name) = self.files.keys().find(|name| !is_file_name(name)) {
            return Err(EntryError::FileName(name.clone()));
        }
        let isolation = Isolation {
            memory: self.isolation.memory,
            cpu: self.isolation.cpu,
            network: self.isolation.network,
            files: self.isolation.files,
            syscalls: self.isolation.syscalls,
            capabilities: self.isolation.capabilities,
            hardware: self.isolation.hardware,
        };
        Ok(Entry {
            summary: self
                .summary
                .unwrap_or_else(|| format!("`{executable}` runs the function")),
            version: self
                .version
                .unwrap_or_else(|| vec![executable.clone(), "--version".into()]),
            install: self
                .install
                .unwrap_or_else(|| format!("install {executable} or put it on PATH")),
            mend: self.mend.unwrap_or_else(|| {
                format!(
                    "mend what it says, or try `process-driver time 1 --rung {}`",
                    self.id
                )
            }),
            id: self.id,
            command,
            setup,
            cleanup,
            files: self.files,
            environment: self.environment,
            hide_mounts: self.hide_mounts,
            counts: self.counts,
            parked_when: self.parked_when,
            timeout: Duration::from_secs(timeout_s),
            max_workers,
            cold: self.cold,
            warm: self
                .warm
                .unwrap_or_else(|| "root directory, bundle or compiled code".into()),
            isolation,
            settings: self.settings,
        })
    }
}

impl Entry {
    /// Every placeholder in any of its texts.
    #[must_use]
    pub fn uses(&self) -> BTreeSet<Placeholder> {
        let lists = self.setup.iter().chain(&self.cleanup);
        uses(lists.flatten().chain(&self.command))
    }

    /// Executables that must be there: those of the command and of the set-up, as written. One with a
    /// placeholder in it is made, not found.
    #[must_use]
    pub fn executables(&self) -> Vec<String> {
        let firsts = self.setup.iter().chain([&self.command]);
        let mut found: Vec<String> = firsts
            .filter_map(|words| words.first())
            .filter(|word| word.uses().is_empty())
            .map(|word| word.fill(|_| ""))
            .collect();
        found.dedup();
        found
    }
}

fn check_id(id: &str) -> Result<(), EntryError> {
    let good = (1..=40).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if good {
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
    use Placeholder::{Bundle, Function, Name, Program, Root, State, Wasm};
    let lacks = |given: Placeholder, missing: Placeholder| EntryError::Missing {
        given: given.word(),
        missing: missing.word(),
    };
    let own = uses(command);
    let with_setup = &own | &uses(setup.iter().flatten());
    let runs = [Function, Wasm, Program, Bundle];
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
    match cleanup.iter().find(|words| !uses(*words).contains(&Name)) {
        Some(_) => Err(EntryError::NamelessCleanup),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Entry, String> {
        let raw: RawEntry = toml::from_str(text).map_err(|e| e.to_string())?;
        raw.check().map_err(|e| e.to_string())
    }

    #[test]
    fn an_entry_needs_an_id_a_command_and_what_it_isolates() {
        let entry = check("id = 'x'\ncommand = ['/bin/x', '{function}']\nisolation = {}")
            .expect("an entry");
        assert_eq!(entry.version, ["/bin/x", "--version"]);
        assert_eq!(entry.executables(), ["/bin/x"]);
        assert_eq!(entry.timeout, Duration::from_secs(TIMEOUT_S));
        for (text, words) in [
            (
                "command = ['{function}']\nisolation = {}",
                "missing field `id`",
            ),
            ("id = 'x'\nisolation = {}", "missing field `command`"),
            (
                "id = 'x'\ncommand = ['{function}']",
                "missing field `isolation`",
            ),
            (
                "id = 'x'\ncommand = ['{function}']\nisolation = { memroy = 'a' }",
                "memroy",
            ),
            (
                "id = 'x'\ncommnd = ['{function}']\nisolation = {}",
                "commnd",
            ),
        ] {
            let error = check(text).expect_err("refused");
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_missing_or_unknown_placeholder_is_named() {
        for (rest, words) in [
            (
                "command = ['runc', 'run']",
                "{function}, {wasm}, {program} or {bundle}",
            ),
            ("command = ['runc', '{bundel}']", "did you mean `bundle`?"),
            ("command = ['runc', '{bundle}']", "no {name}"),
            ("command = ['bwrap', '{program}']", "no {root}"),
            (
                "command = ['bwrap', '{root}', '{function}']",
                "no {program}",
            ),
            ("command = ['x']\nsetup = [['y', '{wasm}']]", "put {state}"),
            (
                "command = ['x', '{function}']\nsetup = [['y', '{name}']]",
                "cannot have {name}",
            ),
            (
                "command = ['x', '{function}']\ncleanup = [['y']]",
                "needs that start's {name}",
            ),
            ("command = []", "command is empty"),
            (
                "command = ['x', '{function}']\nsetup = [[]]",
                "setup holds an empty command",
            ),
            (
                "command = ['x', '{function}']\ntimeout_s = 0",
                "it must be 1 to",
            ),
            (
                "command = ['x', '{function}']\nfiles = { '../y' = '' }",
                "no plain file name",
            ),
        ] {
            let error = check(&format!("id = 'x'\nisolation = {{}}\n{rest}")).expect_err(rest);
            assert!(error.contains(words), "{rest}: {error}");
        }
        let error = check("id = 'a/b'\nisolation = {}\ncommand = ['{function}']").expect_err("id");
        assert!(error.contains("no name of a rung"), "{error}");
    }
}
