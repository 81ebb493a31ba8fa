//! An entry of `engines.toml`, and what is checked when it is read.

use std::collections::BTreeMap;

use measure_core::base::ids;
use serde::Deserialize;
use wasmparser::WasmFeatures;

use super::error::EntryError;
use super::features;
use super::words::{self, Uses};

/// Every key of an entry.
pub(super) const KEYS: [&str; 12] = [
    "id",
    "summary",
    "compile",
    "run",
    "dir",
    "env",
    "takes",
    "script",
    "environment",
    "version",
    "settings",
    "install",
];

/// In place of an id: every engine that runs here.
pub const ALL: &str = "engines";

/// An engine: one column. As it stands in the file until `check`, which fills in what depends on other fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The column's name.
    pub id: String,
    /// One line: what runs.
    #[serde(default)]
    pub summary: String,
    /// Makes `{compiled}` of `{module}`, once; none for an engine that compiles when it runs.
    #[serde(default)]
    pub(crate) compile: Vec<String>,
    /// Runs the program with its arguments, directories and environment.
    pub(crate) run: Vec<String>,
    /// What gives the program one directory, `{host}` as `{guest}`.
    #[serde(default)]
    pub(crate) dir: Vec<String>,
    /// What sets one variable of the program's, `{name}` to `{value}`.
    #[serde(default)]
    pub(crate) env: Vec<String>,
    /// What the engine takes beyond WebAssembly 2.0 without vectors.
    #[serde(default = "default_takes")]
    takes: Vec<String>,
    /// A file beside `engines.toml` that the command is given as `{script}`.
    #[serde(rename = "script", default)]
    script_name: Option<String>,
    #[serde(skip)]
    script_text: String,
    /// Environment of the commands, beside PATH, HOME and LANG.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// What prints the version.
    #[serde(default)]
    pub(crate) version: Vec<String>,
    /// What a reader should know, in words.
    #[serde(default)]
    pub settings: Vec<String>,
    /// How to get the engine where it is missing.
    #[serde(default)]
    pub install: String,
}

fn default_takes() -> Vec<String> {
    vec!["simd".to_owned()]
}

impl Entry {
    /// The entry, if every field can be what it says; `script` reads the file that it names.
    ///
    /// # Errors
    /// The first that cannot.
    pub(super) fn check(
        mut self,
        script: impl Fn(&str) -> Result<String, EntryError>,
    ) -> Result<Self, EntryError> {
        check_id(&self.id)?;
        let Some(engine) = self.run.first().filter(|word| !word.is_empty()).cloned() else {
            return Err(EntryError::NoCommand("run"));
        };
        let run = words::check("run", &self.run, &words::RUN)?;
        let compile = words::check("compile", &self.compile, &words::COMPILE)?;
        self.check_code(&run, &compile)?;
        check_given(("dirs", "dir"), &run, &self.dir, &words::DIR)?;
        check_given(("env", "env"), &run, &self.env, &words::ENV)?;
        if let Some(name) = &self.script_name {
            self.script_text = script(name)?;
            if !run.has("script") && !compile.has("script") {
                return Err(EntryError::Missing {
                    field: "run",
                    name: "script",
                    why: "the file of `script` would be of no use",
                });
            }
        } else if run.has("script") || compile.has("script") {
            return Err(EntryError::ScriptUnnamed);
        }
        features::of_names(&self.takes)?;
        if self.summary.is_empty() {
            self.summary = format!("`{engine}` runs the module");
        }
        if self.install.is_empty() {
            self.install = format!("install {engine} or put it on PATH");
        }
        if self.version.is_empty() {
            self.version = vec![engine, "--version".to_owned()];
        }
        Ok(self)
    }

    fn check_code(&self, run: &Uses, compile: &Uses) -> Result<(), EntryError> {
        if !run.has("module") && !run.has("compiled") {
            return Err(EntryError::RunsNothing);
        }
        if !run.has("args") {
            return Err(EntryError::Missing {
                field: "run",
                name: "args",
                why: "the program is told by its arguments what to do",
            });
        }
        if self.compile.is_empty() {
            return match run.has("compiled") {
                true => Err(EntryError::NotCompiled),
                false => Ok(()),
            };
        }
        for (uses, field, name) in [
            (compile, "compile", "module"),
            (compile, "compile", "compiled"),
            (run, "run", "compiled"),
        ] {
            if !uses.has(name) {
                let why = "what is compiled beforehand is what has to be run";
                return Err(EntryError::Missing { field, name, why });
            }
        }
        Ok(())
    }

    /// Executables that must be there.
    #[must_use]
    pub fn executables(&self) -> Vec<&str> {
        let firsts = self.compile.first().into_iter().chain(self.run.first());
        let mut found: Vec<&str> = firsts.map(String::as_str).collect();
        found.dedup();
        found
    }

    /// Whether a program can be given directories.
    #[must_use]
    pub fn gives_dirs(&self) -> bool {
        !self.dir.is_empty()
    }

    /// Whether a program can be given an environment.
    #[must_use]
    pub fn gives_env(&self) -> bool {
        !self.env.is_empty()
    }

    /// Name and text of the script that it is given, if it is.
    #[must_use]
    pub fn script(&self) -> Option<(&str, &str)> {
        let name = self.script_name.as_deref()?;
        Some((name, &self.script_text))
    }

    /// What of Wasm it takes.
    #[must_use]
    pub fn takes(&self) -> WasmFeatures {
        // Checked when the file was read.
        features::of_names(&self.takes).unwrap_or(features::BASE)
    }

    /// Commands and features, for the records.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut told = Vec::new();
        if !self.compile.is_empty() {
            told.push(format!("compiled by `{}`", self.compile.join(" ")));
        }
        told.push(format!("run by `{}`", self.run.join(" ")));
        for (name, value) in &self.environment {
            told.push(format!("environment: {name}={value}"));
        }
        told.push(format!(
            "takes: WebAssembly 2.0, of vectors and later {}",
            self.takes.join(", ")
        ));
        told.extend(self.settings.iter().cloned());
        told
    }
}

fn check_id(id: &str) -> Result<(), EntryError> {
    if !ids::is_row_id(id) {
        return Err(EntryError::Id(id.to_owned()));
    }
    let side = id.split('-').next().unwrap_or_default();
    if matches!(side, "native" | "wasm") || id == ALL {
        return Err(EntryError::Taken(id.to_owned()));
    }
    Ok(())
}

/// What stands for several in `run` needs a field that says how one is given, and the other way round.
fn check_given(
    (several, one): (&'static str, &'static str),
    run: &Uses,
    words: &[String],
    known: &[&'static str],
) -> Result<(), EntryError> {
    words::check(one, words, known)?;
    match (run.has(several), words.is_empty()) {
        (true, true) => Err(EntryError::NotGiven { several, one }),
        (false, false) => Err(EntryError::Unused { one, several }),
        _ => Ok(()),
    }
}
