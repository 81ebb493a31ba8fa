//! What was measured, for people and for programs.

use std::collections::BTreeSet;
use std::process::ExitStatus;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

use super::memory_pass::Peak;
use super::parameters::Parameters;
use super::task::Task;
use super::{Options, Pass};
use measure_core::base::interrupt;
use measure_core::contract::environment::Environment;
use measure_core::contract::vocabulary::Metric;
use stats::levels::{self, Levels};
use stats::{Flag, Interval, Summary, flags, median};

/// Version of the JSON form of one command.
const SCHEMA: u32 = 1;
/// Version of the form of several, which stand in `commands`.
const SCHEMA_OF_SEVERAL: u32 = 2;

/// Of which metrics there are ratios.
const COMPARED: [Metric; 4] = [
    Metric::WallNs,
    Metric::CpuNs,
    Metric::CpuCycles,
    Metric::PeakPssBytes,
];

/// The whole result.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) runs: u32,
    pub(super) warmup: u32,
    pub(super) seed: u64,
    pub(super) one_after_another: bool,
    /// Ended early, by a signal to measure-core.
    pub(super) interrupted: bool,
    pub(super) commands: Vec<CommandReport>,
    pub(super) baselines: Vec<Baseline>,
    pub(super) environment: Environment,
}

/// What was measured of one command.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CommandReport {
    pub(super) name: String,
    /// What was started, in words.
    pub(super) command: Vec<String>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    pub(super) parameters: Parameters,
    /// In the order of the table.
    pub(super) metrics: Vec<Measured>,
    /// This command over the first one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ratios: Vec<RatioToFirst>,
    pub(super) failures: Vec<Failure>,
    pub(super) notes: BTreeSet<String>,
    /// In the form of tables: the name, with parameters that it does not mention.
    #[serde(skip)]
    pub(super) label: String,
    /// Of each measured run of the wall pass; none where a signal ended it.
    #[serde(skip)]
    pub(super) exit_codes: Vec<Option<i32>>,
}

/// How a command compares with the first one, or why that cannot be told.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct RatioToFirst {
    pub(super) name: Metric,
    #[serde(flatten)]
    pub(super) outcome: RatioOutcome,
}

/// The ratio of geometric means of the runs, with Welch's interval of the logarithms.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RatioOutcome {
    Ratio {
        ratio: f64,
        /// None from too few runs.
        interval: Option<Interval>,
    },
    Unavailable {
        unavailable: String,
    },
}

/// The JSON form.
#[derive(Serialize, JsonSchema)]
struct Form<'a> {
    schema: u32,
    runs: u32,
    warmup: u32,
    seed: u64,
    one_after_another: bool,
    interrupted: bool,
    #[serde(flatten)]
    commands: Commands<'a>,
    baselines: &'a [Baseline],
    environment: &'a Environment,
}

/// The fields of a lone command stand beside those of the run.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Commands<'a> {
    One(&'a CommandReport),
    Several { commands: &'a [CommandReport] },
}

/// What was measured of one metric.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Measured {
    pub(super) name: Metric,
    pub(super) pass: Pass,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// Values, or why there are none.
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Failure {
    pub(super) pass: Pass,
    pub(super) run: String,
    pub(super) how: String,
}

impl Outcome {
    /// Of `values`, one per run in order; if there are none, `why`.
    pub(super) fn new(values: Vec<u64>, why: Option<String>) -> Self {
        let numbers: Vec<f64> = values.iter().map(|&value| value as f64).collect();
        match Summary::from_values(&numbers) {
            Some(summary) => Self::Values {
                values,
                summary,
                flags: flags(&numbers),
            },
            None => Self::Unavailable {
                unavailable: why.unwrap_or_else(|| "no run was measured to its end".to_owned()),
            },
        }
    }
}

impl CommandReport {
    fn new(task: &Task) -> Self {
        Self {
            name: task.name.clone(),
            command: task.words.clone(),
            parameters: task.parameters.clone(),
            metrics: Vec::new(),
            ratios: Vec::new(),
            failures: Vec::new(),
            notes: BTreeSet::new(),
            label: task.label.clone(),
            exit_codes: Vec::new(),
        }
    }

    /// Adds a metric's values, one per run, or if there are none `why`.
    pub(super) fn add(&mut self, name: Metric, pass: Pass, values: Vec<u64>, why: Option<String>) {
        self.metrics.push(Measured {
            name,
            pass,
            outcome: Outcome::new(values, why),
        });
    }

    /// What was measured of `name`; none if its pass was not made, or no run came to its end.
    pub(super) fn values(&self, name: &Metric) -> Option<(&[u64], &Summary)> {
        let mut metrics = self.metrics.iter();
        match &metrics.find(|metric| metric.name == *name)?.outcome {
            Outcome::Values {
                values, summary, ..
            } => Some((values, summary)),
            Outcome::Unavailable { .. } => None,
        }
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.insert(note.into());
    }

    pub(super) fn failed(&mut self, pass: Pass, run: String, status: ExitStatus) {
        self.failures.push(Failure {
            pass,
            run,
            how: status.to_string(),
        });
    }

    /// Says how the peaks were found.
    pub(super) fn memory_notes(&mut self, runs: &[Peak]) {
        let middle = |count: fn(&Peak) -> u32| {
            let values: Vec<f64> = runs.iter().map(|run| f64::from(count(run))).collect();
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

    /// How `self` compares with `first` in all that both have measured.
    fn ratios_to(&self, first: &Self) -> Vec<RatioToFirst> {
        let compared = COMPARED.into_iter().filter_map(|name| {
            let (own, _) = self.values(&name)?;
            let (reference, _) = first.values(&name)?;
            Some(RatioToFirst {
                outcome: RatioOutcome::new(own, reference),
                name,
            })
        });
        compared.collect()
    }
}

impl RatioOutcome {
    /// Each run is a process of its own, and so a unit of replication.
    fn new(own: &[u64], reference: &[u64]) -> Self {
        let levels = |values: &[u64]| {
            let values: Vec<f64> = values.iter().map(|&value| value as f64).collect();
            Levels::one_per_process(&values)
        };
        let ratio = levels(own)
            .zip(levels(reference))
            .and_then(|(own, reference)| levels::ratio(&own, &reference));
        match ratio {
            Some(estimate) => Self::Ratio {
                ratio: estimate.value,
                interval: estimate.interval.ok(),
            },
            None => Self::Unavailable {
                unavailable: "a run has 0 of it".to_owned(),
            },
        }
    }
}

impl Report {
    pub(super) fn new(options: &Options, tasks: &[Task], environment: Environment) -> Self {
        Self {
            runs: options.runs(),
            warmup: options.warmup,
            seed: options.seed,
            one_after_another: options.one_after_another,
            interrupted: false,
            commands: tasks.iter().map(CommandReport::new).collect(),
            baselines: Vec::new(),
            environment,
        }
    }

    /// Completes it after the last run.
    pub(super) fn finish(&mut self) {
        probes::environment::finish(&mut self.environment);
        self.interrupted = interrupt::received().is_some();
        if let Some((first, others)) = self.commands.split_first_mut() {
            for other in others {
                other.ratios = other.ratios_to(first);
            }
        }
    }

    pub(super) fn to_json(&self) -> String {
        let (schema, commands) = match &self.commands[..] {
            [one] => (SCHEMA, Commands::One(one)),
            commands => (SCHEMA_OF_SEVERAL, Commands::Several { commands }),
        };
        let form = Form {
            schema,
            runs: self.runs,
            warmup: self.warmup,
            seed: self.seed,
            one_after_another: self.one_after_another,
            interrupted: self.interrupted,
            commands,
            baselines: &self.baselines,
            environment: &self.environment,
        };
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(&form).unwrap_or_default() + "\n"
    }
}

/// The form of [`Report::to_json`] as a JSON Schema (draft 2020-12).
pub(super) fn json_schema() -> String {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let schema = generator.into_root_schema_for::<Form<'_>>();
    // Plain data with string keys always serialises.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// Wall time of something that does nothing.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Baseline {
    /// In words: what was run.
    pub(super) of: String,
    #[serde(flatten)]
    pub(super) measured: Measured,
}
