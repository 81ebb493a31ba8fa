//! The records of a comparison: its samples, and what it set out to do.

use std::collections::BTreeMap;
use std::path::Path;

use measure_core::contract::run_dir::RunDirError;
use measure_core::contract::sample::{SCHEMA, Sample};
use measure_core::contract::vocabulary::Measure;
use report::{Disturbance, Records, read_json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

/// What a comparison set out to do: the file's name.
pub const COMPARISON: &str = "comparison.json";

/// What a run set out to do, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonInfo {
    /// [`measure_core::contract::sample::SCHEMA`].
    pub schema: u32,
    /// The run directory's name.
    pub run: String,
    /// `polybench`, `pybench`: the stem of file names.
    pub suite: String,
    /// For headings.
    pub title: String,
    /// As typed.
    pub command_line: Vec<String>,
    /// The schedule's seed.
    pub seed: u64,
    /// The column that the others are divided by, if there is one beside others.
    pub reference: Option<String>,
    /// Names of native builds of the same programs; the fastest is each benchmark's reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<String>,
    /// In the order asked for.
    pub columns: Vec<ColumnInfo>,
    /// Whether the columns are one, measured as if it were several: a column against its twin then shows how often what is
    /// the same is found to differ.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aa: bool,
    /// In the order of the tables.
    pub benchmarks: Vec<BenchmarkInfo>,
    /// Whether it came to its end, or what ended it.
    pub ended: Option<String>,
    /// What to know about the numbers, in sentences.
    pub notes: Vec<String>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnInfo {
    /// `native`, `wasm`, ...
    pub name: String,
    /// What runs, and in what process, in a sentence.
    pub summary: String,
    /// Runs asked for.
    pub iterations: u32,
    /// Compiler flags, engine settings.
    pub settings: Vec<String>,
    /// The column that shares with it what sets both apart, and that it is held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
    /// How many iterations each of its processes makes, if they live on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<u32>,
}

/// A benchmark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BenchmarkInfo {
    /// As in the CSV.
    pub name: String,
    /// What it belongs to (a dataset size); means are over a group. May be empty.
    pub group: String,
    /// As in the samples.
    pub function: String,
    /// How often the kernel runs in one process; 0 as long as it is not known.
    pub repeats: u64,
    /// Of several native builds the fastest one in runs that are not reported ([`Measure::Calibrate`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_native: Option<String>,
    /// How the processes of each replicate were laid out, in every column alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layouts: Vec<Layout>,
    /// How the columns' outputs were found to agree.
    pub verified: Option<String>,
    /// What went wrong with it.
    pub trouble: Vec<String>,
}

/// The records of a comparison.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Samples and environment.
    pub records: Records,
    /// What the run set out to do, and what came of it.
    pub info: ComparisonInfo,
}

impl ComparisonInfo {
    /// Whether `column` is one of several native builds that the others are held against.
    #[must_use]
    pub fn is_build(&self, column: &str) -> bool {
        self.builds.iter().any(|build| build == column)
    }

    /// The columns that are not.
    pub(super) fn compared(&self) -> impl Iterator<Item = &ColumnInfo> {
        self.columns.iter().filter(|c| !self.is_build(&c.name))
    }
}

impl Comparison {
    /// Reads the run directory `dir`.
    ///
    /// # Errors
    /// A file cannot be read, is malformed or newer than this tool, or is no comparison's.
    pub fn read(dir: &Path) -> Result<Self, RunDirError> {
        let path = dir.join(COMPARISON);
        let records = Records::read(dir)?;
        let info: Option<ComparisonInfo> = read_json(&path)?;
        let info = info.ok_or_else(|| RunDirError::Read {
            path: path.clone(),
            cause: std::io::ErrorKind::NotFound.into(),
        })?;
        if info.schema > SCHEMA {
            return Err(RunDirError::Newer {
                path,
                line: 1,
                found: u64::from(info.schema),
            });
        }
        Ok(Self { records, info })
    }

    /// The groups, in order.
    #[must_use]
    pub fn groups(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for benchmark in &self.info.benchmarks {
            if !found.contains(&benchmark.group.as_str()) {
                found.push(&benchmark.group);
            }
        }
        found
    }

    /// The samples of the timed runs of `benchmark` in `column`, in the order in which they were taken.
    pub(crate) fn runs<'a>(
        &'a self,
        benchmark: &'a BenchmarkInfo,
        column: &'a str,
        phase: &'a str,
    ) -> impl Iterator<Item = &'a Sample> {
        self.records.samples.iter().filter(move |s| {
            s.function == benchmark.function
                && s.rung == column
                && s.phase == phase
                && s.measure == Measure::Run
                && !s.warmup
                && s.error.is_none()
        })
    }
}

/// What else the host did, by the name of the benchmark; blocks that were watched together count for each of theirs.
pub(super) fn disturbances(comparison: &Comparison) -> BTreeMap<&str, Disturbance> {
    let by_function = Disturbance::by(&comparison.records.samples, |sample| &sample.function);
    let named = comparison.info.benchmarks.iter();
    let found = named.filter_map(|b| Some((&*b.name, by_function.get(&*b.function)?.clone())));
    found.collect()
}
