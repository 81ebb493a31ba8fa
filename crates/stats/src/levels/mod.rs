//! Observations by level: starts in batches, batches in processes, and estimates whose unit of replication
//! is the process.
//!
//! Starts of one process share what that process drew (addresses, placement, caches), so they are no
//! independent draws: an interval that takes them so covers the truth far less often than it says
//! (Georges et al., OOPSLA 2007; Kalibera & Jones, ISMM 2013). Every interval here has [`CONFIDENCE`](crate::CONFIDENCE), comes
//! from the processes, and is held to its coverage by simulation (tests/coverage.rs). Below [`MIN_PROCESSES`]
//! there is none, and [`Unchecked`] says why.

mod counted;
mod flag_words;
mod flags;
mod geometric;
mod intervals;
mod percentile;
mod serial;
mod variance;

use std::collections::BTreeMap;
use std::fmt;

pub use counted::{Counted, CountedProcess};
pub use flags::{Findings, Level, LevelFlag, Place, flags};
pub use geometric::{GeometricMeans, geometric_mean};
pub(crate) use intervals::{LogRatio, exponential, log_ratio_of_same, order_statistics};
pub use intervals::{mean_by_process, median, ratio};
pub use percentile::{quantile, starts_needed};
pub use variance::{Costs, Plan, VarianceByLevel, best_plan, processes_needed, variance};

use super::{Interval, median_of_sorted};

/// Fewest processes for an interval: with 5 even the whole range of their medians covers the median of
/// all processes with only 1 - 2 (1/2)^5 = 94 %.
pub const MIN_PROCESSES: usize = 6;

/// Starts by batch and process; at least one, all of them finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    processes: Vec<Process>,
}

/// What one process made.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its number, as given.
    pub number: u32,
    /// Its batches by number; at least one.
    pub batches: Vec<Batch>,
}

/// Starts made one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Its number, as given.
    pub number: u32,
    /// A value for each start in the order given; at least one.
    pub values: Vec<f64>,
}

impl Levels {
    /// Sorts observations of (process, batch, value) into their levels; processes and batches by number,
    /// which should follow time, values in the order given. `None` if there is none or one is not finite.
    #[must_use]
    pub fn from_observations(
        observations: impl IntoIterator<Item = (u32, u32, f64)>,
    ) -> Option<Self> {
        let mut sorted: BTreeMap<u32, BTreeMap<u32, Vec<f64>>> = BTreeMap::new();
        for (process, batch, value) in observations {
            if !value.is_finite() {
                return None;
            }
            let batches = sorted.entry(process).or_default();
            batches.entry(batch).or_default().push(value);
        }
        let batches = |batches: BTreeMap<u32, Vec<f64>>| {
            let each = batches.into_iter();
            each.map(|(number, values)| Batch { number, values })
                .collect()
        };
        let processes: Vec<Process> = sorted
            .into_iter()
            .map(|(number, found)| Process {
                number,
                batches: batches(found),
            })
            .collect();
        (!processes.is_empty()).then_some(Self { processes })
    }

    /// One value for each process, numbered from 1; `None` as for [`Levels::from_observations`].
    #[must_use]
    pub fn one_per_process(values: &[f64]) -> Option<Self> {
        Self::from_observations(
            (1..)
                .zip(values)
                .map(|(process, &value)| (process, 0, value)),
        )
    }

    /// The processes by number.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The batches of all processes.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.processes.iter().flat_map(|process| &process.batches)
    }

    /// How many starts there are in all.
    #[must_use]
    pub fn starts(&self) -> usize {
        self.batches().map(|batch| batch.values.len()).sum()
    }

    /// All values: by process, batch, and the order given.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.batches().flat_map(|b| &b.values).copied().collect()
    }

    /// The median of each process's starts, by process.
    #[must_use]
    pub fn process_medians(&self) -> Vec<f64> {
        self.processes.iter().map(Process::median).collect()
    }

    fn smallest(&self) -> f64 {
        let values = self.batches().flat_map(|batch| &batch.values);
        values.copied().fold(f64::INFINITY, f64::min)
    }

    fn estimate(&self, value: f64, interval: Result<Interval, Unchecked>) -> Estimate {
        Estimate {
            value,
            interval,
            processes: self.processes.len(),
            starts: self.starts(),
        }
    }
}

impl Process {
    /// Its values: by batch, and in the order given.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        let batches = self.batches.iter();
        batches.flat_map(|b| &b.values).copied().collect()
    }

    /// The median of its starts.
    #[must_use]
    pub fn median(&self) -> f64 {
        median_of_unsorted(self.values())
    }
}

impl Batch {
    /// The median of its starts.
    #[must_use]
    pub fn median(&self) -> f64 {
        median_of_unsorted(self.values.clone())
    }
}

/// The median of at least one value.
fn median_of_unsorted(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&values)
}

/// A value, in the unit of what was observed (or a ratio), and what it stands on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate itself.
    pub value: f64,
    /// Its interval, or why there is none.
    pub interval: Result<Interval, Unchecked>,
    /// How many processes it stands on; of a ratio the fewer of both sides.
    pub processes: usize,
    /// How many starts these made; of a ratio the fewer of both sides.
    pub starts: usize,
}

/// Why there is no interval, or why nothing was looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unchecked {
    /// Fewer processes than it takes.
    TooFewProcesses {
        /// As many as there are.
        processes: usize,
        /// As many as it takes.
        needed: usize,
    },
    /// Fewer starts than a percentile takes.
    TooFewStarts {
        /// Which quantile, 0 to 1.
        quantile: f64,
        /// As many as there are.
        starts: usize,
        /// As many as it takes.
        needed: usize,
    },
    /// Fewer starts of each process than a mean takes whatever their skewness.
    TooFewStartsInProcess {
        /// As many as there are.
        starts: usize,
        /// As many as it takes.
        needed: usize,
    },
    /// Fewer pairs of values in order of time than a drift takes.
    TooFewPairs {
        /// As many as there are.
        pairs: usize,
        /// As many as it takes.
        needed: usize,
    },
    /// Fewer batches or values than a flag takes.
    TooFewValues {
        /// As many as there are.
        values: usize,
        /// As many as it takes.
        needed: usize,
    },
    /// A ratio or a logarithm of a value that is not positive.
    NotPositive,
}

impl Unchecked {
    /// What is needed, without how much there is: the same words for all that lack the same.
    #[must_use]
    pub fn needs(&self) -> String {
        match self {
            Self::TooFewProcesses { needed, .. } => format!("{needed} processes are needed"),
            Self::TooFewStarts {
                quantile, needed, ..
            } => {
                let percentile = (quantile * 1e4).round() / 100.0;
                format!("p{percentile} needs {needed} starts")
            }
            Self::TooFewStartsInProcess { needed, .. } => {
                format!("{needed} starts of each process are needed")
            }
            Self::TooFewPairs { needed, .. } => {
                format!("{needed} pairs in order of time are needed")
            }
            Self::TooFewValues { needed, .. } => format!("{needed} values are needed"),
            Self::NotPositive => "a value is not positive".to_owned(),
        }
    }

    /// As many as there are of what is needed.
    #[must_use]
    pub fn found(&self) -> Option<usize> {
        match *self {
            Self::TooFewProcesses { processes, .. } => Some(processes),
            Self::TooFewStarts { starts, .. } | Self::TooFewStartsInProcess { starts, .. } => {
                Some(starts)
            }
            Self::TooFewPairs { pairs, .. } => Some(pairs),
            Self::TooFewValues { values, .. } => Some(values),
            Self::NotPositive => None,
        }
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewProcesses { processes, needed } => {
                let plural = if *processes == 1 { "" } else { "es" };
                write!(f, "{processes} process{plural}, {needed} are needed")
            }
            Self::TooFewStartsInProcess { starts, needed } => {
                write!(f, "{starts} starts of each process, {needed} are needed")
            }
            Self::TooFewStarts { starts, .. } => {
                write!(f, "{}, there are {starts}", self.needs())
            }
            Self::TooFewPairs { pairs, needed } => {
                write!(f, "{pairs} pairs in order of time, {needed} are needed")
            }
            Self::TooFewValues { values, needed } => {
                write!(f, "{values} values, {needed} are needed")
            }
            Self::NotPositive => f.write_str(&self.needs()),
        }
    }
}

impl std::error::Error for Unchecked {}

/// Whether `processes` suffice for an interval.
fn enough_processes(processes: usize) -> Result<(), Unchecked> {
    if processes < MIN_PROCESSES {
        return Err(Unchecked::TooFewProcesses {
            processes,
            needed: MIN_PROCESSES,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn observations_fall_into_their_levels() {
        let seen = [
            (2, 7, 4.0),
            (1, 3, 1.0),
            (2, 5, 3.0),
            (1, 3, 9.0),
            (2, 7, 5.0),
        ];
        let levels = Levels::from_observations(seen).expect("values");
        assert_eq!(levels.values(), [1.0, 9.0, 3.0, 4.0, 5.0]);
        assert_eq!((levels.processes().len(), levels.starts()), (2, 5));
        assert_eq!(levels.process_medians(), [5.0, 4.0]);
        assert_eq!(levels.processes()[1].batches[1].number, 7);
    }

    #[test]
    fn nothing_and_what_is_not_finite_are_no_levels() {
        assert_eq!(Levels::from_observations([]), None);
        assert_eq!(
            Levels::from_observations([(1, 1, 1.0), (1, 1, f64::NAN)]),
            None
        );
        assert_eq!(Levels::one_per_process(&[]), None);
    }

    #[test]
    fn reasons_say_what_it_takes() {
        let few = enough_processes(1).expect_err("one process");
        assert_eq!(few.to_string(), "1 process, 6 are needed");
        let p99 = Unchecked::TooFewStarts {
            quantile: 0.99,
            starts: 60,
            needed: 500,
        };
        assert_eq!(p99.to_string(), "p99 needs 500 starts, there are 60");
    }

    proptest! {
        #[test]
        fn no_start_is_lost(seen in prop::collection::vec((0_u32..5, 0_u32..5, -1e9..1e9_f64), 1..200)) {
            let levels = Levels::from_observations(seen.iter().copied()).expect("values");
            prop_assert_eq!(levels.starts(), seen.len());
            let mut given: Vec<f64> = seen.iter().map(|(_, _, value)| *value).collect();
            let mut kept = levels.values();
            given.sort_unstable_by(f64::total_cmp);
            kept.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(given, kept);
        }
    }
}
