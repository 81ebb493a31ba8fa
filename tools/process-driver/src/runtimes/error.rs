//! What can be wrong with a file of runtimes, and with a command that is run aside.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::range::OutOfRange;
use measure_core::driver_kit::DriverError;
use nix::sys::wait::WaitStatus;

use crate::child::in_words;

/// What is wrong with a text that may hold placeholders.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace that neither begins nor ends a placeholder.
    #[error(
        "`{brace}` without its partner in `{text}`; write `{brace}{brace}` for the character itself"
    )]
    LoneBrace {
        /// `{` or `}`.
        brace: String,
        /// The whole text.
        text: String,
    },
    /// A placeholder that does not exist; the text suggests the nearest.
    #[error("{0}")]
    UnknownPlaceholder(String),
}

/// What is wrong with an entry, naming the field.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EntryError {
    #[error("id `{0}` is no name of a rung: 1 to 40 of a-z 0-9 -, beginning with a letter")]
    Id(String),
    #[error("{field}: {why}")]
    Template {
        field: &'static str,
        #[source]
        why: TemplateError,
    },
    #[error("command is empty")]
    NoCommand,
    #[error("{0} holds an empty command")]
    EmptyCommand(&'static str),
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    #[error("files: `{0}` is no plain file name")]
    FileName(String),
    #[error(
        "command has no placeholder for what it is to run: put {{function}}, {{wasm}}, {{script}}, {{program}} or {{bundle}} into it"
    )]
    RunsNothing,
    #[error(
        "command does not use what setup makes: put {{state}} into it, where setup puts the function"
    )]
    SetUpUnused,
    #[error("command has {{{given}}} but no {{{missing}}}")]
    Missing {
        given: &'static str,
        missing: &'static str,
    },
    #[error(
        "scripts: `{0}` is no name of a script: user/function.ending, for example demo/noop.js"
    )]
    ScriptName(String),
    #[error("command has {{script}} but there are no `scripts`")]
    NoScripts,
    #[error("`scripts` are of no use: command has no {{script}}")]
    ScriptsUnused,
    #[error("setup is run once, before any start: it cannot have {{name}}")]
    NameInSetup,
    #[error(
        "{{variable}} is for words after the command's first: set-up and clean-up are given nothing of the function"
    )]
    VariableAside,
    #[error("command says by {{port}} how handlers are asked: take `handlers` out")]
    HandlersTwice,
    #[error("command runs no native function, which alone could be asked: take `handlers` out")]
    HandlersNotNative,
    #[error("cleanup ends one start, so it needs that start's {{name}}")]
    NamelessCleanup,
    #[error(
        "daemon is started once, before any start: it cannot have {{{0}}}, only {{state}}, {{run}} and {{cgroup}}"
    )]
    InDaemon(&'static str),
    #[error("private_dirs: `{0}` is no absolute path of a directory below /")]
    PrivateDir(String),
    #[error("bundle_runs says what is in {{bundle}}, which the command does not have")]
    NoBundle,
}

/// What is wrong with a file of entries.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogueError {
    #[error("cannot read it: {0}")]
    Unreadable(#[source] io::Error),
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    #[error("runtime `{0}`: this id is a rung of its own already")]
    Taken(String),
    #[error("runtime `{0}` is there twice")]
    Twice(String),
    #[error("runtime `{id}`: {why}")]
    Entry {
        id: String,
        #[source]
        why: Box<EntryError>,
    },
}

/// Why a runtime has no daemon.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    #[error(transparent)]
    Command(#[from] AsideError),
    #[error("{0}")]
    Ended(String),
    #[error("interrupted while it started")]
    Interrupted,
    #[error("`{name}` did not listen at {} within {} s; it said: {said}", at.display(), limit.as_secs())]
    NotReady {
        name: String,
        at: PathBuf,
        limit: Duration,
        said: String,
    },
}

/// Why a command outside of the timed path did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum AsideError {
    #[error("`{0}` is not installed")]
    NotInstalled(String),
    #[error("cannot run `{name}`: {cause}")]
    Cannot {
        name: String,
        #[source]
        cause: io::Error,
    },
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("`{name}` did not end within {} s", limit.as_secs())]
    Hung { name: String, limit: Duration },
    #[error("`{name}` {}: {said}", in_words(*status))]
    Failed {
        name: String,
        status: WaitStatus,
        said: String,
    },
}

impl AsideError {
    /// What says that `name` cannot be run, for a cause.
    pub(super) fn cannot(name: &str) -> impl Fn(io::Error) -> Self + use<> {
        let name = name.to_owned();
        move |cause| Self::Cannot {
            name: name.clone(),
            cause,
        }
    }
}
