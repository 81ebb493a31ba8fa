//! Options that several commands have, and what is checked of them.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::range::{OutOfRange, in_range};
use structopt::StructOpt;

use crate::engines::Engines;

/// How long a rung has been idle before an isolated start, by default.
pub(crate) const DEFAULT_IDLE: Duration = Duration::from_millis(100);

/// Options of every command that measures.
#[derive(Debug, StructOpt)]
pub struct Common {
    /// Directory for the results, made if need be [default: results/<time>-<host>, and results/latest points there]
    #[structopt(long, name = "DIR", parse(from_os_str))]
    pub(crate) output: Option<PathBuf>,
    /// Seed of the order in which blocks are measured, to repeat a run [default: from the clock]
    #[structopt(long)]
    pub(crate) seed: Option<u64>,
    /// Refuse to measure on an unfit host (busy, throttled, swapping) instead of warning, and make again, twice at most, what was
    /// made while the host was disturbed
    #[structopt(long)]
    pub(crate) strict: bool,
    /// Seconds that a driver may be silent beyond what its work should take, before it is ended
    #[structopt(long, name = "PATIENCE", default_value = "90")]
    pub(crate) patience: u64,
    #[structopt(flatten)]
    pub(crate) engines: Engines,
}

/// Which rungs.
#[derive(Debug, StructOpt)]
pub struct Which {
    /// Only these rungs, separated by commas [default: the main ones]
    #[structopt(
        long,
        name = "RUNG,...",
        require_delimiter = true,
        conflicts_with = "all"
    )]
    pub(crate) rungs: Option<Vec<String>>,
    /// Every rung of every driver
    #[structopt(long)]
    pub(crate) all: bool,
    /// What to run, user/function [default: the no-op, or its parked twin under mem]
    #[structopt(long, name = "USER/FUNC")]
    pub(crate) function: Option<String>,
}

pub(crate) fn all_in_range<T>(name: &str, values: &[T], max: T) -> Result<(), OutOfRange>
where
    T: PartialOrd + Display + Copy + From<u8>,
{
    values
        .iter()
        .try_for_each(|&value| in_range(name, value, T::from(1)..=max))
}

/// Sorted, each once.
pub(crate) fn distinct<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}
