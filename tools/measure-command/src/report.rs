//! What was measured, for people and for programs.

use std::collections::BTreeSet;
use std::process::ExitStatus;

use serde::Serialize;

use super::memory_pass::Peak;
use super::{Options, Pass};
use measure_core::base::interrupt;
use measure_core::contract::environment::Environment;
use measure_core::contract::vocabulary::Metric;
use stats::{Flag, Summary, flags, median};

/// Version of the JSON form.
const SCHEMA: u32 = 1;

/// The whole result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) schema: u32,
    pub(super) command: Vec<String>,
    pub(super) runs: u32,
    pub(super) warmup: u32,
    pub(super) seed: u64,
    /// Ended early, by a signal to measure-core.
    pub(super) interrupted: bool,
    /// In the order of the table.
    pub(super) metrics: Vec<Measured>,
    pub(super) failures: Vec<Failure>,
    pub(super) notes: BTreeSet<String>,
    pub(super) environment: Environment,
}

/// What was measured of one metric.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) name: Metric,
    pub(super) pass: Pass,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// Values, or why there are none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Values {
        /// One per run, in order.
        values: Vec<u64>,
        summary: Summary,
        flags: Vec<Flag>,
    },
    Unavailable {
        unavailable: String,
    },
}

/// A run that failed.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    pub(super) pass: Pass,
    pub(super) run: String,
    pub(super) how: String,
}

impl Report {
    pub(super) fn new(options: &Options, environment: Environment) -> Self {
        Self {
            schema: SCHEMA,
            command: options
                .command
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            runs: options.runs,
            warmup: options.warmup,
            seed: options.seed,
            interrupted: false,
            metrics: Vec::new(),
            failures: Vec::new(),
            notes: BTreeSet::new(),
            environment,
        }
    }

    /// Adds a metric's values, one per run, or if there are none `why`.
    pub(super) fn add(&mut self, name: Metric, pass: Pass, values: Vec<u64>, why: Option<String>) {
        let numbers: Vec<f64> = values.iter().map(|&value| value as f64).collect();
        let outcome = match Summary::from_values(&numbers) {
            Some(summary) => Outcome::Values {
                values,
                summary,
                flags: flags(&numbers),
            },
            None => Outcome::Unavailable {
                unavailable: why.unwrap_or_else(|| "no run was measured to its end".to_owned()),
            },
        };
        self.metrics.push(Measured {
            name,
            pass,
            outcome,
        });
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.insert(note.into());
    }

    pub(super) fn failed(&mut self, pass: Pass, run: &str, status: ExitStatus) {
        self.failures.push(Failure {
            pass,
            run: run.to_owned(),
            how: status.to_string(),
        });
    }

    /// Says how the peaks were found.
    pub(super) fn memory_notes(&mut self, runs: &[Peak]) {
        let middle = |of: fn(&Peak) -> u32| {
            let values: Vec<f64> = runs.iter().map(|run| f64::from(of(run))).collect();
            median(&values)
        };
        let (Some(samples), Some(processes)) = (middle(|r| r.samples), middle(|r| r.processes))
        else {
            return;
        };
        match runs.iter().find_map(|run| run.untraced.as_ref()) {
            None => self.note(format!(
                "peak memory: the largest of {samples:.0} samples a run (median) of {processes:.0} process(es), one at the exit of each and one about every millisecond between; a peak between two samples is missed, but not in largest_process_rss_bytes, which is the kernel's own"
            )),
            Some(why) => self.note(format!(
                "peak memory: the largest of {samples:.0} samples a run (median), none of them at an exit, because {why}"
            )),
        }
    }

    /// Completes it after the last run.
    pub(super) fn finish(&mut self) {
        probes::environment::finish(&mut self.environment);
        self.interrupted = interrupt::received().is_some();
    }

    pub(super) fn to_json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
