//! What can go wrong.

use std::io;
use std::path::PathBuf;

use measure_core::base::exit::{Exit, HasExit};

/// Why figures could not be written, or do not stand as they should.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// Not of the form NAME=DIR, or a name that is no word.
    #[error("--take {0}: NAME=DIR is wanted, NAME of letters, digits and hyphens")]
    Take(String),
    /// A summary that cannot be read or kept.
    #[error("{}: {source}", path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// A summary that is none.
    #[error("{}: not a summary of a run: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it departs from the form.
        source: serde_json::Error,
    },
    /// A summary of a later version.
    #[error("{}: schema {found}, this tool knows up to {}", path.display(), table::summary::SCHEMA)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A page that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Page {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// A comment that asks for what is not there.
    #[error("{}:{line}: {fault}", path.display())]
    Fault {
        /// The page.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is asked for and not there.
        fault: Fault,
    },
    /// Pages show other figures than their runs'.
    #[error("{0} figures are not those of their run, or of none")]
    Wrong(usize),
}

/// What is wrong with a comment in a page.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No `RUN.TABLE` at its beginning.
    #[error("`{0}` names no table; RUN.TABLE is wanted, for example quick.ladder")]
    Form(String),
    /// A run that has no summary.
    #[error("there is no reference run `{name}`; there are: {known}")]
    Run {
        /// As asked for.
        name: String,
        /// The names.
        known: String,
    },
    /// A table that the run does not have.
    #[error("the reference run has no table `{name}`; it has: {known}")]
    Table {
        /// As asked for.
        name: String,
        /// The names.
        known: String,
    },
    /// A row or column that the table does not have.
    #[error("the table has no row or column `{0}`")]
    Cell(String),
    /// A clause that means nothing.
    #[error("`{0}` is none of: as text, columns A, B, rows A, B")]
    Clause(String),
    /// A block or cell that does not end.
    #[error("what begins here does not end: {0} is missing")]
    Open(&'static str),
}

impl HasExit for FigureError {
    fn exit(&self) -> Exit {
        match self {
            Self::Take(_) => Exit::Usage,
            Self::Page { .. } | Self::Reference { .. } => Exit::Output,
            Self::Malformed { .. } | Self::Newer { .. } | Self::Fault { .. } | Self::Wrong(_) => {
                Exit::Failed
            }
        }
    }
}
