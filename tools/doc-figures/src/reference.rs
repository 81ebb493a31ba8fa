//! The summaries of reference runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use measure_core::base::files::replace_file;
use table::Table;
use table::summary::{SCHEMA, SUMMARY, Summary};

use crate::error::{Fault, FigureError};

/// All of them, by name.
#[derive(Debug, Default)]
pub(crate) struct References(BTreeMap<String, Summary>);

impl References {
    /// Reads every `<name>.json` in `dir`; none if there is no such directory.
    pub(crate) fn read(dir: &Path) -> Result<Self, FigureError> {
        let unreadable = |source| FigureError::Reference {
            path: dir.to_owned(),
            source,
        };
        let mut all = BTreeMap::new();
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(all)),
            Err(error) => return Err(unreadable(error)),
        };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|e| e == "json")
                && let Some(name) = path.file_stem()
            {
                all.insert(name.to_string_lossy().into_owned(), summary(&path)?);
            }
        }
        Ok(Self(all))
    }

    /// The run and the table that `address` (`RUN.TABLE`) names.
    pub(crate) fn table(&self, address: &str) -> Result<(&Summary, &Table), Fault> {
        let (run, name) = address
            .split_once('.')
            .filter(|(run, table)| !run.is_empty() && !table.is_empty())
            .ok_or_else(|| Fault::Form(address.to_owned()))?;
        let summary = self.0.get(run).ok_or_else(|| Fault::Run {
            name: run.to_owned(),
            known: names(&self.0),
        })?;
        let table = summary.tables.get(name).ok_or_else(|| Fault::Table {
            name: name.to_owned(),
            known: names(&summary.tables),
        })?;
        Ok((summary, table))
    }

    #[cfg(test)]
    pub(crate) fn of_one(name: &str, summary: Summary) -> Self {
        Self(BTreeMap::from([(name.to_owned(), summary)]))
    }
}

fn names<T>(all: &BTreeMap<String, T>) -> String {
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    names.join(", ")
}

fn summary(path: &Path) -> Result<Summary, FigureError> {
    let text = fs::read_to_string(path).map_err(|source| FigureError::Reference {
        path: path.to_owned(),
        source,
    })?;
    let malformed = |source| FigureError::Malformed {
        path: path.to_owned(),
        source,
    };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
    // Before the rest, which a later version may have in another form.
    let found = value.get("schema").and_then(serde_json::Value::as_u64);
    if let Some(found) = found
        .and_then(|f| u32::try_from(f).ok())
        .filter(|&f| f > SCHEMA)
    {
        return Err(FigureError::Newer {
            path: path.to_owned(),
            found,
        });
    }
    serde_json::from_value(value).map_err(malformed)
}

/// Makes the summary of the run in `dir` the reference `name`.
pub(crate) fn take(references: &Path, name: &str, dir: &Path) -> Result<PathBuf, FigureError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(FigureError::Take(name.to_owned()));
    }
    let found = summary(&dir.join(SUMMARY))?;
    let path = references.join(format!("{name}.json"));
    let text = found.to_json();
    fs::create_dir_all(references)
        .and_then(|()| replace_file(&path, text.as_bytes()))
        .map_err(|source| FigureError::Reference {
            path: path.clone(),
            source,
        })?;
    Ok(path)
}
