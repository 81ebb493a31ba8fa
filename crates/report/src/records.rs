//! What a run directory holds.

use std::collections::BTreeSet;
use std::path::Path;

use measure_core::base::files::read_file;
use measure_core::contract::environment::{ENVIRONMENT, Environment};
use measure_core::contract::run_dir::{RunDirError, read_samples};
use measure_core::contract::sample::{SCHEMA, Sample};
use measure_core::contract::vocabulary::{Measure, phase};

use measure_core::contract::run_info::{RUN_INFO, RunInfo};

use crate::load::{self, Measured};

/// What readers are told of records whose last sample was torn.
pub const TORN: &str =
    "The last sample was torn: its writer was killed; every whole one is in the tables.";

/// The records of a run.
#[derive(Debug, Default)]
pub struct Records {
    /// Every sample, in the order in which they were taken.
    pub samples: Vec<Sample>,
    /// The last line of the samples was torn: their writer was killed ([`TORN`] says so).
    pub torn: bool,
    /// What the run set out to do; absent from a directory with samples alone.
    pub info: RunInfo,
    /// `environment.json`, if there.
    pub environment: Option<Environment>,
    /// Every point of open loops, in the order in which they were measured.
    pub loads: Vec<Measured>,
}

impl Records {
    /// Whether nothing has been measured yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.loads.is_empty()
    }

    /// Whether one of the run's commands was given `option`.
    #[must_use]
    pub fn was_asked_for(&self, option: &str) -> bool {
        let mut words = self.info.parts.iter().flat_map(|part| &part.command_line);
        words.any(|word| word == option)
    }

    /// Reads the run directory `dir`.
    ///
    /// # Errors
    /// The samples cannot be read, or one of the files is malformed or newer than this tool.
    pub fn read(dir: &Path) -> Result<Self, RunDirError> {
        let recorded = read_samples(dir)?;
        let info: Option<RunInfo> = read_json(&dir.join(RUN_INFO))?;
        let mut info = info.unwrap_or_default();
        if info.schema > SCHEMA {
            return Err(RunDirError::Newer {
                path: dir.join(RUN_INFO),
                line: 1,
                found: u64::from(info.schema),
            });
        }
        // A directory with samples alone is still a run of some name.
        if let Some(sample) = recorded.samples.first().filter(|_| info.run.is_empty()) {
            info.run.clone_from(&sample.run);
        }
        let mut records = Self {
            samples: recorded.samples,
            torn: recorded.torn,
            info,
            environment: read_json(&dir.join(ENVIRONMENT))?,
            loads: load::read(dir)?,
        };
        records.leave_out_repeated();
        Ok(records)
    }

    /// Marks what was made again, because the host was disturbed, as not to be summarised.
    pub fn leave_out_repeated(&mut self) {
        let is_mark =
            |sample: &&Sample| sample.measure == Measure::Host && sample.phase == phase::REPEATED;
        let marks = self.samples.iter().filter(is_mark);
        let blocks: BTreeSet<u32> = marks.map(|s| s.block).collect();
        let samples = self.samples.iter_mut();
        let repeated = samples.filter(|s| blocks.contains(&s.block));
        for sample in repeated.filter(|s| s.measure != Measure::Host) {
            sample.warmup = true;
        }
    }
}

/// Reads a JSON file of a run directory; `None` if it is not there.
///
/// # Errors
/// It cannot be read or is malformed.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, RunDirError> {
    let text = match read_file(path) {
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
