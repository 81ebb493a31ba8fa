//! What a run directory holds.

use std::fs;
use std::path::Path;

use measure_core::contract::run_dir::{RunDirError, read_samples};
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use probes::environment::Environment;

use measure_core::contract::run_info::{RUN_INFO, RunInfo};

/// The records of a run.
#[derive(Debug, Default)]
pub struct Records {
    /// Every sample, in the order in which they were taken.
    pub samples: Vec<Sample>,
    /// The last line of the samples was torn: their writer was killed.
    pub torn: bool,
    /// What the run set out to do; absent from a directory with samples alone.
    pub info: RunInfo,
    /// `environment.json`, if there.
    pub environment: Option<Environment>,
}

impl Records {
    /// Reads the run directory `dir`.
    ///
    /// # Errors
    /// The samples cannot be read, or one of the files is malformed or newer than this tool.
    pub fn read(dir: &Path) -> Result<Self, RunDirError> {
        let recorded = read_samples(dir)?;
        let info: Option<RunInfo> = read_json(&dir.join(RUN_INFO))?;
        let info = info.unwrap_or_default();
        if info.schema > SCHEMA {
            return Err(RunDirError::Newer {
                path: dir.join(RUN_INFO),
                line: 1,
                found: u64::from(info.schema),
            });
        }
        Ok(Self {
            samples: recorded.samples,
            torn: recorded.torn,
            info,
            environment: read_json(&dir.join("environment.json"))?,
        })
    }

    /// Ids of the rungs, in the order of the ladder where it is known, else of appearance; a pooled rung
    /// right behind its twin.
    #[must_use]
    pub fn rungs(&self) -> Vec<String> {
        let known = self.info.rungs();
        let mut found: Vec<&str> = known.iter().map(|r| r.description.rung.as_str()).collect();
        for sample in &self.samples {
            if !found.contains(&sample.rung.as_str()) {
                found.push(&sample.rung);
            }
        }
        let mut ordered: Vec<String> = Vec::with_capacity(found.len());
        for &rung in &found {
            let twin = rung
                .strip_suffix("-pooled")
                .filter(|twin| found.contains(twin));
            if twin.is_some() {
                continue;
            }
            ordered.push(rung.to_owned());
            let pooled = format!("{rung}-pooled");
            if found.contains(&pooled.as_str()) {
                ordered.push(pooled);
            }
        }
        ordered
    }

    /// The samples of `rung` that count (no warm-up), of `measure`.
    pub fn of<'a>(&'a self, rung: &str, measure: &str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |s| s.rung == rung && s.measure == measure && !s.warmup)
    }

    /// The first reason why `rung` has nothing to show, if it never could run.
    #[must_use]
    pub fn unavailable(&self, rung: &str) -> Option<&str> {
        self.of(rung, measure_core::contract::vocabulary::PROBE)
            .find_map(|s| match &s.value {
                Value::Unavailable(why) => Some(why.as_str()),
                Value::Value(_) => None,
            })
    }
}

/// Reads a JSON file of a run directory; `None` if it is not there.
///
/// # Errors
/// It cannot be read or is malformed.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, RunDirError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => {
            return Err(RunDirError::Read {
                path: path.to_owned(),
                cause,
            });
        }
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| RunDirError::Malformed {
            path: path.to_owned(),
            line: error.line(),
            cause: error.to_string(),
        })
}
