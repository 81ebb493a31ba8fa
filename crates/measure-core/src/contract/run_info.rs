//! `run.json`: what a run set out to do and with what, for the tables' words.

use std::collections::BTreeMap;

use super::{Description, Probe};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file's name.
pub const RUN_INFO: &str = "run.json";

/// A run: one or more parts that wrote into the same directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunInfo {
    /// [`super::sample::SCHEMA`].
    pub schema: u32,
    /// The run directory's name.
    pub run: String,
    /// In the order in which they were measured.
    pub parts: Vec<Part>,
}

/// `time` or `mem`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// How long a rung has been idle at least before one of its isolated starts; absent from `mem` and from schema 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ns: Option<u64>,
    /// The rungs asked for, in the order of the ladder.
    pub rungs: Vec<RungInfo>,
}

/// A rung of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Its driver processes, in the order in which they were started; empty under `mem` and in schema 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessInfo>,
}

/// A driver process of a rung: one replicate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessInfo {
    /// From 1, as in [`super::sample::Sample::process`].
    pub process: u32,
    /// Length of the value of a variable in its environment that nothing reads: where its stack begins differs by it
    /// (Mytkowicz et al., "Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009).
    pub environment_padding_bytes: u32,
    /// From its being started until everything that a start may find ready was ready.
    pub opened_ns: u64,
    /// Starts that it was asked for, warm-up apart, by the word of the pass.
    pub starts: BTreeMap<String, u64>,
    /// Starts that were planned for it and not made: it died, time was up, or a signal came.
    pub left_out: u64,
    /// What it died of, if it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died: Option<String>,
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
