//! What a process that tries cases tells the one that started it: lines of JSON on its standard output.

use serde::{Deserialize, Serialize};

use crate::target::Counts;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The case of this seed begins. If nothing more comes, it is the one that ended the process.
    Begins(u64),
    /// What is wrong with the case that began last.
    Found(String),
    /// All cases were tried.
    Counts(Counts),
}
