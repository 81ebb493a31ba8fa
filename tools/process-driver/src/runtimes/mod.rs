//! Command-line runtimes as rungs: what runtimes.toml says of each is all that is known of it.
//!
//! A start is one `posix_spawn` of the entry's command, its end the command's end. Nothing of a start may
//! outlive it: the driver adopts what loses its parent, a start that hangs is killed with its whole tree,
//! its container is removed by the entry's own clean-up command, and all of it lives in one cgroup and below
//! one directory that carry our label.

mod aside;
mod bundle;
mod daemon;
pub mod entry;
mod error;
mod error_text;
mod groups;
mod handlers;
mod native_side;
mod own_mounts;
mod parked;
mod probe;
mod rung;
mod running;
mod scripts;
mod served;
mod start;
pub mod template;
mod tree;
mod workdir;

use std::fs;
use std::path::Path;

use measure_core::base::home;
use measure_core::driver_kit::DriverError;
use serde::Deserialize;

use entry::Entry;
use error::CatalogueError;

pub use error::TemplateError;

pub(crate) use aside::find;
pub(crate) use error_text::ErrorText;
pub use rung::RuntimeRung;
pub(crate) use workdir::{START_VARIABLE, Workdir, remove_orphans};

/// The entries that come with this driver.
pub const SHIPPED: &str = include_str!("../../runtimes.toml");
/// Names a further file of entries.
pub const VARIABLE: &str = "FAASM_BENCH_RUNTIMES";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    runtime: Vec<Entry>,
}

/// All entries: the shipped ones and the user's; of two with one id the user's counts.
#[derive(Debug, Clone)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

impl Catalogue {
    /// The shipped entries and those of `file`, or of `$FAASM_BENCH_RUNTIMES`, or of
    /// `~/.config/faasm-bench/runtimes.toml` where that exists. `taken`: ids that no entry may have.
    ///
    /// # Errors
    /// The file cannot be read, or an entry is wrong; the message names file, entry and field.
    pub fn load(file: Option<&Path>, taken: &[&str]) -> Result<Self, DriverError> {
        let mut entries = parse(SHIPPED, taken)
            .map_err(|why| DriverError::Failed(format!("the shipped runtimes.toml: {why}")))?;
        let Some(path) = file
            .map(Path::to_path_buf)
            .or_else(|| home::users_file(VARIABLE, "runtimes.toml"))
        else {
            return Ok(Self { entries });
        };
        let wrong = |why| DriverError::Usage(format!("{}: {why}", path.display()));
        let text = fs::read_to_string(&path).map_err(|e| wrong(CatalogueError::Unreadable(e)))?;
        for entry in parse(&text, taken).map_err(wrong)? {
            match entries.iter_mut().find(|known| known.id == entry.id) {
                Some(known) => *known = entry,
                None => entries.push(entry),
            }
        }
        Ok(Self { entries })
    }

    /// In the order of the files.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry `id`.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }
}

fn parse(text: &str, taken: &[&str]) -> Result<Vec<Entry>, CatalogueError> {
    let file: File = toml::from_str(text)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(file.runtime.len());
    for entry in file.runtime {
        let id = entry.id.clone();
        if taken.contains(&id.as_str()) {
            return Err(CatalogueError::Taken(id));
        }
        if entries.iter().any(|entry| entry.id == id) {
            return Err(CatalogueError::Twice(id));
        }
        let wrong = |why| CatalogueError::Entry {
            id,
            why: Box::new(why),
        };
        entries.push(entry.check().map_err(wrong)?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TAKEN: [&str; 1] = ["process"];

    #[test]
    fn the_shipped_entries_are_right_and_say_what_they_isolate() {
        let entries = parse(SHIPPED, &TAKEN).expect("right");
        let warm: BTreeMap<&str, &str> = entries.iter().map(|e| (&*e.id, &*e.warm)).collect();
        for (id, words) in [
            ("runc", "bundle"),
            ("crun", "bundle"),
            ("runsc", "bundle"),
            ("podman", "root directory"),
            ("bubblewrap", "root directory"),
            ("unshare", "root directory"),
            ("systemd-nspawn", "root directory"),
            ("containerd-runc", "containerd, bundle"),
            ("containerd-wasmtime", "containerd, bundle"),
            ("wasmtime", "compiled code"),
            ("node", "nothing"),
            ("wasmer", "compiled code"),
            ("wamr", "compiled code"),
            ("bun", "nothing"),
            ("quickjs", "nothing"),
            ("native", "nothing"),
        ] {
            assert_eq!(warm.get(id), Some(&words), "{id} in {warm:?}");
        }
        for entry in entries {
            assert!(!entry.isolation.memory.is_empty(), "{}", entry.id);
            assert!(!entry.summary.is_empty(), "{}", entry.id);
            assert!(entry.isolation.reach.is_some(), "{}", entry.id);
        }
    }

    #[test]
    fn a_users_entry_adds_to_or_replaces_a_shipped_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("runtimes.toml");
        let entry = |id: &str, command: &str| {
            format!(
                "[[runtime]]\nid = '{id}'\ncommand = ['{command}', '{{function}}']\nisolation = {{}}\n"
            )
        };
        fs::write(
            &path,
            entry("mine", "/bin/mine") + &entry("runc", "/opt/runc"),
        )
        .expect("written");
        let catalogue = Catalogue::load(Some(&path), &TAKEN).expect("loaded");
        assert!(catalogue.entry("mine").is_some() && catalogue.entry("crun").is_some());
        let runc = catalogue.entry("runc").expect("runc");
        assert_eq!(runc.executables(), ["/opt/runc"]);
        for (text, words) in [
            (entry("process", "x"), "a rung of its own already"),
            (entry("a", "x") + &entry("a", "y"), "`a` is there twice"),
            (
                entry("a", "{nam}"),
                "runtime `a`: command: unknown placeholder `nam`",
            ),
            ("[[runtime]\n".to_owned(), "line 1"),
        ] {
            fs::write(&path, text).expect("written");
            let error = Catalogue::load(Some(&path), &TAKEN)
                .expect_err("refused")
                .to_string();
            assert!(
                error.contains(words) && error.contains("runtimes.toml"),
                "{error}"
            );
        }
        let missing =
            Catalogue::load(Some(Path::new("/nonexistent")), &TAKEN).expect_err("missing");
        assert!(missing.to_string().contains("cannot read it"), "{missing}");
    }
}
