//! What it takes to go on with a run that was cut short: `resume.json`, written after each round and removed at the end.
//!
//! It holds what the planner knows and the samples do not tell: what was asked for, and what time has gone where. What starts
//! took is read from the samples again. The round that was cut short is made again, with its seed and so in its order; its
//! processes keep their numbers and their samples.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use measure_core::contract::environment::Environment;
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use serde::{Deserialize, Serialize};

use super::live::LiveState;
use super::seen::Seen;
use super::watch::Watched;
use crate::drivers::Offer;
use crate::engines::Engines;
use crate::error::BenchError;
use crate::plan::Sizes;

/// The file's name.
pub const RESUME: &str = "resume.json";
/// Version of its form, which only the version that wrote it needs to read.
const SCHEMA: u32 = 1;

/// Facts of a host that has to be the same: what was measured on one is not gone on with on another.
const HOST: [&str; 7] = [
    "host",
    "cpu_model",
    "cpu_microcode",
    "cpus_online",
    "memory_total_bytes",
    "kernel",
    "kernel_version",
];
/// And of our own executables.
const EXECUTABLE: &str = "executable_sha256";

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    /// All rungs of the run, in the order of the ladder.
    pub rungs: Vec<String>,
    /// They were named on the command line.
    pub named: bool,
    /// Engines of the user's own.
    #[serde(default)]
    pub engines: Engines,
    /// `user/function`; each rung's default if `None`.
    pub function: Option<String>,
    /// `--patience`.
    pub patience_s: u64,
    /// It is the first part of a `quick`.
    pub is_quick: bool,
    /// Sizes as they were shared out.
    pub sizes: Sizes,
}

/// The file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resume {
    schema: u32,
    /// What was asked for.
    pub asked: Asked,
    /// Rounds that are over.
    pub(super) round: u64,
    /// What they took.
    pub(super) elapsed: Duration,
    pub(super) watched: Watched,
    /// By rung.
    pub(super) live: BTreeMap<String, LiveState>,
}

impl Resume {
    /// Before the first round.
    #[must_use]
    pub fn new(asked: Asked) -> Self {
        Self {
            schema: SCHEMA,
            asked,
            round: 0,
            elapsed: Duration::ZERO,
            watched: Watched::default(),
            live: BTreeMap::new(),
        }
    }

    /// Reads that of the run directory `dir`.
    ///
    /// # Errors
    /// There is none, or it is another version's.
    pub fn read(dir: &Path) -> Result<Self, BenchError> {
        let path = dir.join(RESUME);
        let text = fs::read(&path).map_err(|error| {
            BenchError::Usage(format!(
                "there is nothing to go on with in {}: no {RESUME} ({error}); a run that came to its end has none",
                dir.display()
            ))
        })?;
        let refused = |why: String| BenchError::Failed(format!("{}: {why}", path.display()));
        let found: Self = serde_json::from_slice(&text).map_err(|e| {
            refused(format!(
                "{e}; it was written by another version, measure anew"
            ))
        })?;
        if found.schema != SCHEMA {
            let why = format!("schema {}, this tool goes on with {SCHEMA}", found.schema);
            return Err(refused(why));
        }
        Ok(found)
    }

    pub(super) fn to_json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// Whether the host and all executables are what they were when `before` was written.
///
/// # Errors
/// The first of them that is not.
pub fn require_same(
    before: &Environment,
    now: &Environment,
    offers: &[Offer],
) -> Result<(), BenchError> {
    let mut facts: Vec<_> = HOST
        .iter()
        .chain([&EXECUTABLE])
        .map(|name| ((*name).to_owned(), before.fact(name), now.fact(name)))
        .collect();
    for driver in offers.iter().map(Offer::driver_name) {
        let of = |environment: &'_ Environment| {
            let facts = environment.engines.get(&driver)?;
            facts.get(EXECUTABLE).cloned()
        };
        let (was, is) = (of(before), of(now));
        if was != is {
            return Err(differs(&format!("{driver} is another build")));
        }
    }
    facts.retain(|(_, was, is)| was != is);
    match facts.first() {
        None => Ok(()),
        Some((name, was, is)) => {
            let text = |fact: &Option<&measure_core::contract::environment::Fact>| {
                fact.map_or_else(
                    || "unknown".to_owned(),
                    |fact| serde_json::to_string(fact).unwrap_or_default(),
                )
            };
            Err(differs(&format!(
                "{name} was {}, is {}",
                text(was),
                text(is)
            )))
        }
    }
}

fn differs(what: &str) -> BenchError {
    BenchError::Unavailable(format!(
        "--resume goes on only where nothing has changed, and {what}; measure anew, and compare the two runs"
    ))
}

/// What the starts of `rung` took, as the planner had seen it.
pub(super) fn seen(samples: &[Sample], rung: &str) -> Seen {
    let mut seen = Seen::default();
    let starts = samples.iter().filter(|s| {
        s.rung == rung
            && s.phase == phase::TOTAL
            && s.metric == Metric::WallNs
            && !s.warmup
            && s.error.is_none()
    });
    for sample in starts {
        let Some(ns) = sample.value.number() else {
            continue;
        };
        match sample.measure {
            Measure::Isolated => {
                let turn = u32::try_from(sample.order).unwrap_or(u32::MAX);
                seen.isolated.push((sample.process, turn, ns as f64));
            }
            Measure::BackToBack => {
                let block = sample.block;
                seen.back_to_back.push((sample.process, block, ns as f64));
            }
            _ => {}
        }
    }
    seen
}
