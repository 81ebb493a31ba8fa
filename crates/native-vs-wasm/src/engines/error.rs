//! What can be wrong with a file of engines.

use std::io;
use std::path::PathBuf;

/// What is wrong, and in which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct EngineFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub why: Box<EntryError>,
}

/// What is wrong with a file's text or with an entry, naming the field.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The file itself.
    #[error("cannot read it: {0}")]
    Unreadable(#[source] io::Error),
    /// It is no TOML, or a field is of another type.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A key that there is not; the text suggests the nearest.
    #[error("{0}")]
    UnknownKey(String),
    /// Two entries of one id.
    #[error("engine `{0}` is there twice")]
    Twice(String),
    /// An entry, by its id.
    #[error("engine `{id}`: {why}")]
    Entry {
        id: String,
        /// What is wrong with it.
        #[source]
        why: Box<Self>,
    },
    /// No name for a column.
    #[error("id `{0}` is no name of a column: 1 to 40 of a-z 0-9 -, beginning with a letter")]
    Id(String),
    /// A name that columns of ours have or may get.
    #[error(
        "id `{0}` is a name of our own columns: anything but `native`, `native-...`, `wasm`, `wasm-...` and `engines`"
    )]
    Taken(String),
    /// A command without a first word.
    #[error("{0} is empty")]
    NoCommand(&'static str),
    /// A placeholder that does not exist there; the text suggests the nearest.
    #[error("{field}: {why}")]
    Placeholder {
        field: &'static str,
        /// The message.
        why: String,
    },
    /// A brace that neither begins nor ends a placeholder.
    #[error(
        "{field}: a brace without its partner in `{text}`; write {{{{ or }}}} for the character itself"
    )]
    LoneBrace {
        field: &'static str,
        /// The whole word.
        text: String,
    },
    /// A placeholder that stands for several words, within a word.
    #[error(
        "{field}: {{{name}}} stands for several words: it has to be a word of its own, not `{text}`"
    )]
    NoWord {
        field: &'static str,
        /// The placeholder.
        name: &'static str,
        /// The word.
        text: String,
    },
    /// The command is not told what to run.
    #[error("run has neither {{module}} nor {{compiled}}: it would not run the program")]
    RunsNothing,
    /// A placeholder that a command needs.
    #[error("{field} has no {{{name}}}: {why}")]
    Missing {
        field: &'static str,
        /// The placeholder.
        name: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// `{compiled}` without `compile`.
    #[error("run has {{compiled}}, and there is no `compile` that makes it")]
    NotCompiled,
    /// `{dirs}` or `{env}` without the words that one of them is given by.
    #[error("run has {{{several}}}, and there is no `{one}` that says how one is given")]
    NotGiven {
        /// The placeholder.
        several: &'static str,
        /// The field.
        one: &'static str,
    },
    /// `dir` or `env` without `{dirs}` or `{env}`.
    #[error("`{one}` is of no use: run has no {{{several}}}")]
    Unused {
        /// The field.
        one: &'static str,
        /// The placeholder.
        several: &'static str,
    },
    /// A feature that there is not; the text suggests the nearest.
    #[error("takes: {0}")]
    UnknownFeature(String),
    /// `{script}` without `script`.
    #[error("{{script}} stands for the file that `script` names, and there is no `script`")]
    ScriptUnnamed,
    /// A shipped script that is not there.
    #[error("no script `{0}` comes with the tools")]
    NoScript(String),
    /// A script that cannot be read.
    #[error("script: cannot read {}: {cause}", path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        cause: io::Error,
    },
}
