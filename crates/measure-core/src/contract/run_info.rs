//! `run.json`: what a run set out to do and with what, for the tables' words.

use super::{Description, Probe};
use serde::{Deserialize, Serialize};

/// The file's name.
pub const RUN_INFO: &str = "run.json";

/// A run: one or more parts that wrote into the same directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// [`super::sample::SCHEMA`].
    pub schema: u32,
    /// The run directory's name.
    pub run: String,
    /// In the order in which they were measured.
    pub parts: Vec<Part>,
}

/// `time` or `mem`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `time` or `mem`.
    pub name: String,
    /// As typed.
    pub command_line: Vec<String>,
    /// In words: quick, full, or the options that were given.
    pub profile: String,
    /// The schedule's seed.
    pub seed: u64,
    /// Whether it came to its end, or what ended it.
    pub ended: Option<String>,
    /// What to know about the numbers, in sentences.
    pub notes: Vec<String>,
    /// The rungs asked for, in the order of the ladder.
    pub rungs: Vec<RungInfo>,
}

/// A rung of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungInfo {
    /// Name of the executable that offers it.
    pub driver: String,
    /// What it is.
    pub description: Description,
    /// Whether it can run here.
    pub probe: Probe,
    /// What it ran.
    pub function: Option<String>,
    /// In words: whose work counts.
    pub scope: Option<String>,
    /// In words: how many starts, how chosen, how many in one process.
    pub plan: Option<String>,
    /// What ended it early.
    pub failure: Option<String>,
}

impl RunInfo {
    /// The part `name`, the last one if there are several.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().rev().find(|part| part.name == name)
    }

    /// Every rung of any part, each once, in the order of the ladder.
    #[must_use]
    pub fn rungs(&self) -> Vec<&RungInfo> {
        let mut found: Vec<&RungInfo> = Vec::new();
        for rung in self.parts.iter().flat_map(|part| &part.rungs) {
            if !found
                .iter()
                .any(|f| f.description.rung == rung.description.rung)
            {
                found.push(rung);
            }
        }
        found
    }
}
