//! Two runs compared, as `compare --json` writes them: for programs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use stats::Interval;
use stats::levels::{Estimate, Unchecked};
use stats::verdict::Verdict;

use super::{Difference, Row, TwoRuns};

/// Two runs, row by row.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Written<'a> {
    /// What the first run is called.
    first: &'a str,
    /// And the second.
    second: &'a str,
    /// The share from which a difference matters, 0.05 for 5 %.
    margin: f64,
    /// What differs between the environments.
    differences: &'a [Difference],
    /// What to know of the runs, and what could not be compared and why.
    notes: &'a [String],
    /// What both runs have.
    rows: Vec<WrittenRow<'a>>,
}

/// One of them.
#[derive(Debug, Serialize, JsonSchema)]
struct WrittenRow<'a> {
    /// What it is: `runtime` and `design` of a ladder, for example.
    #[serde(flatten)]
    key: BTreeMap<&'a str, &'a str>,
    first: WrittenSide,
    second: WrittenSide,
    /// Second over first; null if either is missing or zero.
    ratio: Option<f64>,
    /// Of the ratio; null if there are too few processes.
    interval: Option<[f64; 2]>,
    /// How often such intervals hold the truth, widened for the number of rows.
    confidence: f64,
    p_value: Option<f64>,
    verdict: Word,
    /// How many more processes on each side would tell, where it cannot be told and that is known.
    more_processes: Option<u32>,
}

/// One run's side of a row.
#[derive(Debug, Serialize, JsonSchema)]
struct WrittenSide {
    median_ns: f64,
    /// Null if there are too few processes.
    interval_ns: Option<[f64; 2]>,
    processes: usize,
    starts: usize,
}

/// What follows of a row.
#[derive(Debug, Serialize, JsonSchema)]
enum Word {
    #[serde(rename = "faster")]
    Faster,
    #[serde(rename = "slower")]
    Slower,
    #[serde(rename = "no difference")]
    NoDifference,
    #[serde(rename = "cannot tell")]
    CannotTell,
}

impl<'a> Written<'a> {
    pub(super) fn from_runs(runs: &'a TwoRuns) -> Self {
        Self {
            first: &runs.first,
            second: &runs.second,
            margin: runs.margin,
            differences: &runs.differences,
            notes: &runs.notes,
            rows: runs
                .rows
                .iter()
                .map(|row| WrittenRow::from_row(&runs.key, row))
                .collect(),
        }
    }
}

impl<'a> WrittenRow<'a> {
    fn from_row(names: &[&'a str], row: &'a Row) -> Self {
        let compared = &row.compared;
        let (verdict, more_processes) = match &compared.verdict {
            Verdict::Faster => (Word::Faster, None),
            Verdict::Slower => (Word::Slower, None),
            Verdict::NoDifference => (Word::NoDifference, None),
            Verdict::CannotTell { more_processes } => (Word::CannotTell, *more_processes),
        };
        let cells = row.key.iter().map(String::as_str);
        Self {
            key: names.iter().copied().zip(cells).collect(),
            first: WrittenSide::from_estimate(&row.first),
            second: WrittenSide::from_estimate(&row.second),
            ratio: compared.ratio,
            interval: bounds(&compared.interval),
            confidence: compared.confidence,
            p_value: compared.p_value,
            verdict,
            more_processes,
        }
    }
}

impl WrittenSide {
    fn from_estimate(side: &Estimate) -> Self {
        Self {
            median_ns: side.value,
            interval_ns: bounds(&side.interval),
            processes: side.processes,
            starts: side.starts,
        }
    }
}

fn bounds(interval: &Result<Interval, Unchecked>) -> Option<[f64; 2]> {
    interval.as_ref().ok().map(|i| [i.lo, i.hi])
}
