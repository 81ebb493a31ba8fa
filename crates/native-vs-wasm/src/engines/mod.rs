//! Other engines' command lines as columns: what `engines.toml` says of each is all that is known of it.
//!
//! An engine runs the module as the compiler links it, in a process of its own for each run; compiled code, where it has a
//! compiler, is made before anything is timed and kept. Its column is verified, timed and reported as any other.

mod cache;
pub mod entry;
mod error;
pub mod features;
mod probe;
pub(crate) mod words;

use std::fs;
use std::path::Path;

use measure_core::base::files::read_given;
use measure_core::base::{home, ids};
use serde::Deserialize;

pub(crate) use cache::Cache;
pub use entry::{ALL, Entry};
pub use error::{EngineFileError, EntryError};
pub(crate) use words::{Given, fill};

/// The entries that come with the tools.
pub const SHIPPED: &str = include_str!("../../engines.toml");
/// Scripts that shipped entries name, and their text.
const SHIPPED_SCRIPTS: [(&str, &str); 1] = [("wasi-host.mjs", include_str!("../../wasi-host.mjs"))];
/// Names a further file of entries.
pub const VARIABLE: &str = "FAASM_BENCH_ENGINES";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnginesFile {
    #[serde(default)]
    engine: Vec<Entry>,
}

/// All entries: the shipped ones and the user's; of two with one id the user's counts.
#[derive(Debug, Clone)]
pub struct Engines {
    entries: Vec<Entry>,
}

impl Engines {
    /// The shipped entries and those of `file`, or of `$FAASM_BENCH_ENGINES`, or of `~/.config/faasm-bench/engines.toml`
    /// where that exists.
    ///
    /// # Errors
    /// The file cannot be read, or an entry is wrong; the message names file, entry and field.
    pub fn load(file: Option<&Path>) -> Result<Self, EngineFileError> {
        let mut entries = parse(SHIPPED, shipped_script).map_err(|why| EngineFileError {
            path: "the shipped engines.toml".into(),
            why: Box::new(why),
        })?;
        let Some(path) = file
            .map(Path::to_path_buf)
            .or_else(|| home::users_file(VARIABLE, "engines.toml"))
        else {
            return Ok(Self { entries });
        };
        let wrong = |why| EngineFileError {
            path: path.clone(),
            why: Box::new(why),
        };
        let text = read_given(&path).map_err(|e| wrong(EntryError::Unreadable(e)))?;
        let beside = |name: &str| {
            let script = path.parent().unwrap_or(Path::new(".")).join(name);
            match fs::read_to_string(&script) {
                Ok(text) => Ok(text),
                Err(cause) => shipped_script(name).map_err(|_| EntryError::Script {
                    path: script,
                    cause,
                }),
            }
        };
        for entry in parse(&text, beside).map_err(wrong)? {
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

    /// Every id.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.entries.iter().map(|entry| entry.id.clone())
    }

    /// `names` with [`ALL`] replaced by the engines that run here; and, in sentences, those that do not, which are
    /// also told at once.
    #[must_use]
    pub fn expand(&self, names: &[String]) -> (Vec<String>, Vec<String>) {
        let (mut columns, mut absent) = (Vec::new(), Vec::new());
        for name in names {
            if name != ALL {
                columns.push(name.clone());
                continue;
            }
            for entry in &self.entries {
                match entry.probe() {
                    Ok(_) => columns.push(entry.id.clone()),
                    Err(lack) => absent.push(format!("Engine {} is left out: {lack}.", entry.id)),
                }
            }
        }
        for sentence in &absent {
            eprintln!("warning: {sentence}");
        }
        (columns, absent)
    }

    /// A line for each engine: its version, or why it does not run here and what to do.
    #[must_use]
    pub fn list(&self) -> String {
        let line = |entry: &Entry| match entry.probe() {
            Ok(version) => format!("  {}: {version}\n", entry.id),
            Err(lack) => format!("  {}: unavailable: {lack}\n", entry.id),
        };
        let lines: String = self.entries.iter().map(line).collect();
        format!("engines (`--also engines`, or by name):\n{lines}")
    }

    /// The entry `id`.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }
}

fn shipped_script(name: &str) -> Result<String, EntryError> {
    let script = SHIPPED_SCRIPTS.iter().find(|(known, _)| *known == name);
    let text = script.map(|(_, text)| (*text).to_owned());
    text.ok_or_else(|| EntryError::NoScript(name.to_owned()))
}

fn parse(
    text: &str,
    script: impl Fn(&str) -> Result<String, EntryError>,
) -> Result<Vec<Entry>, EntryError> {
    check_keys(text)?;
    let file: EnginesFile = toml::from_str(text)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(file.engine.len());
    for entry in file.engine {
        let id = entry.id.clone();
        if entries.iter().any(|entry| entry.id == id) {
            return Err(EntryError::Twice(id));
        }
        let named = |why| EntryError::Entry {
            id,
            why: Box::new(why),
        };
        entries.push(entry.check(&script).map_err(named)?);
    }
    Ok(entries)
}

/// A key that there is not is told with the nearest that there is.
fn check_keys(text: &str) -> Result<(), EntryError> {
    let table: toml::Table = toml::from_str(text)?;
    let check = |key: &str, known: &[&str]| {
        if known.contains(&key) {
            return Ok(());
        }
        let known: Vec<String> = known.iter().map(|&key| key.to_owned()).collect();
        Err(EntryError::UnknownKey(ids::unknown("key", key, &known)))
    };
    for key in table.keys() {
        check(key, &["engine"])?;
    }
    let engines = table.get("engine").and_then(toml::Value::as_array);
    for engine in engines.into_iter().flatten() {
        let Some(engine) = engine.as_table() else {
            continue;
        };
        let id = engine.get("id").and_then(toml::Value::as_str);
        for key in engine.keys() {
            check(key, &entry::KEYS).map_err(|why| EntryError::Entry {
                id: id.unwrap_or("without id").to_owned(),
                why: Box::new(why),
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Engines, EngineFileError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("engines.toml");
        fs::write(&path, text).expect("written");
        fs::write(dir.path().join("host.js"), "// a script").expect("written");
        let told = Engines::load(Some(&path));
        if let Err(error) = &told {
            assert!(error.to_string().contains("engines.toml"), "{error}");
        }
        told
    }

    const MINE: &str = "[[engine]]\nid = 'mine'\nrun = ['mine', '{module}', '{args}']\n";

    #[test]
    fn the_shipped_entries_are_right_and_say_what_to_do_where_they_are_missing() {
        let engines = load("").expect("right");
        for id in [
            "wasmtime",
            "wasmer-llvm",
            "wasmer-cranelift",
            "wamr",
            "node",
            "bun",
            "wasmedge",
        ] {
            let entry = engines.entry(id).unwrap_or_else(|| panic!("no {id}"));
            assert!(
                !entry.summary.is_empty() && !entry.install.is_empty(),
                "{id}"
            );
            // CPython is given both.
            assert!(entry.gives_dirs() && entry.gives_env(), "{id}");
        }
    }

    #[test]
    fn a_users_entry_adds_to_or_replaces_a_shipped_one() {
        let engines = load(MINE).expect("right");
        assert_eq!(engines.entry("mine").expect("mine").executables(), ["mine"]);
        assert!(engines.entry("node").is_some());
        let engines = load(&MINE.replace("'mine'", "'node'")).expect("right");
        assert_eq!(engines.names().filter(|name| name == "node").count(), 1);
        assert_eq!(engines.entry("node").expect("node").executables(), ["node"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_entry_key_and_the_nearest() {
        for (text, words) in [
            (
                format!("{MINE}instal = 'x'"),
                "engine `mine`: unknown key `instal`, did you mean `install`?",
            ),
            (
                "[[engines]]".to_owned(),
                "unknown key `engines`, did you mean `engine`?",
            ),
            (format!("{MINE}{MINE}"), "engine `mine` is there twice"),
            ("[[engine]\n".to_owned(), "line 1"),
            ("[[engine]]\nid = 'x'".to_owned(), "missing field `run`"),
            (
                format!("{MINE}takes = ['relaxed']"),
                "did you mean `relaxed-simd`?",
            ),
            (
                MINE.replace("{module}", "{modul}"),
                "did you mean `module`?",
            ),
            (
                MINE.replace("{module}", "module"),
                "neither {module} nor {compiled}",
            ),
            (
                MINE.replace("'{args}'", "'{args}x'"),
                "{args} stands for several words",
            ),
            (MINE.replace(", '{args}'", ""), "no {args}"),
            (
                MINE.replace("{module}", "{compiled}"),
                "no `compile` that makes it",
            ),
            (
                format!("{MINE}compile = ['c', '{{module}}']"),
                "no {compiled}",
            ),
            (
                format!("{MINE}dir = ['--dir', '{{host}}']"),
                "`dir` is of no use",
            ),
            (MINE.replace("'{args}'", "'{dirs}', '{args}'"), "no `dir`"),
            (
                MINE.replace("'mine'", "'wasm-mine'"),
                "is a name of our own columns",
            ),
            (
                MINE.replace("id = 'mine'", "id = 'engines'"),
                "is a name of our own columns",
            ),
            (
                MINE.replace("id = 'mine'", "id = 'My'"),
                "is no name of a column",
            ),
            (format!("{MINE}script = 'no.js'"), "no.js"),
            (format!("{MINE}script = 'host.js'"), "no {script}"),
            (
                MINE.replace("'{module}'", "'{script}', '{module}'"),
                "no `script`",
            ),
        ] {
            let error = load(&text).expect_err(&text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let missing = Engines::load(Some(Path::new("/nonexistent"))).expect_err("missing");
        assert!(missing.to_string().contains("cannot read it"), "{missing}");
    }

    #[test]
    fn a_script_lies_beside_the_file_that_names_it() {
        let text = MINE.replace("'{module}'", "'{script}', '{module}'") + "script = 'host.js'";
        let engines = load(&text).expect("right");
        let script = engines.entry("mine").and_then(Entry::script);
        assert_eq!(script, Some(("host.js", "// a script")));
    }
}
