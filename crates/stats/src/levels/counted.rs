//! Many starts of few processes, counted by value as a histogram has them, and those that never came to an end.

use super::percentile::shares;
use super::{Estimate, Unchecked};
use crate::Interval;

/// What each of several processes made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    processes: Vec<CountedProcess>,
}

/// What one process made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CountedProcess {
    /// Values that are finite, in rising order, each once, with how often it was seen.
    values: Vec<(f64, u64)>,
    /// Starts that were refused or failed: they count as longer than any other.
    beyond: u64,
}

impl CountedProcess {
    /// From values that are finite, each with how often it was seen, and the number of starts that never came to a good end.
    #[must_use]
    pub fn from_values(values: impl IntoIterator<Item = (f64, u64)>, beyond: u64) -> Self {
        let seen = values
            .into_iter()
            .filter(|(v, count)| v.is_finite() && *count > 0);
        let mut values: Vec<(f64, u64)> = seen.collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        values.dedup_by(|later, kept| {
            let same = later.0.total_cmp(&kept.0).is_eq();
            if same {
                kept.1 += later.1;
            }
            same
        });
        Self { values, beyond }
    }

    /// How many starts there are.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.values.iter().map(|v| v.1).sum::<u64>() + self.beyond
    }

    /// The `q` quantile of this process alone, infinite if it lies among the starts that never came to a good end; `None` without
    /// any start.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.starts().checked_sub(1)?;
        Some(self.at(q.clamp(0.0, 1.0) * last as f64))
    }

    /// The value at a rank from 0, between two of them interpolated.
    fn at(&self, rank: f64) -> f64 {
        let below = rank.floor();
        let (value, part) = (self.ranked(below as u64), rank - below);
        if part == 0.0 {
            return value;
        }
        value * (1.0 - part) + self.ranked(below as u64 + 1) * part
    }

    fn ranked(&self, rank: u64) -> f64 {
        let mut seen = 0;
        let reaches = |&&(_, count): &&(f64, u64)| {
            seen += count;
            seen > rank
        };
        let found = self.values.iter().find(reaches);
        found.map_or(f64::INFINITY, |&(value, _)| value)
    }

    /// How many lie below `value`, those equal to it counted half.
    fn below(&self, value: f64) -> f64 {
        let counted = |&(v, count): &(f64, u64)| match v.total_cmp(&value) {
            std::cmp::Ordering::Less => count as f64,
            std::cmp::Ordering::Equal => count as f64 / 2.0,
            std::cmp::Ordering::Greater => 0.0,
        };
        let finite: f64 = self.values.iter().map(counted).sum();
        if value.is_finite() {
            finite
        } else {
            finite + self.beyond as f64 / 2.0
        }
    }
}

impl Counted {
    /// One process each; those without a start are left out.
    #[must_use]
    pub fn new(processes: impl IntoIterator<Item = CountedProcess>) -> Self {
        let made = processes.into_iter().filter(|p| p.starts() > 0);
        Self {
            processes: made.collect(),
        }
    }

    /// Its processes.
    #[must_use]
    pub fn processes(&self) -> &[CountedProcess] {
        &self.processes
    }

    /// All starts as if one process had made them.
    #[must_use]
    pub fn pooled(&self) -> CountedProcess {
        let values = self.processes.iter().flat_map(|p| &p.values).copied();
        let beyond = self.processes.iter().map(|p| p.beyond).sum();
        CountedProcess::from_values(values, beyond)
    }

    /// The `q` quantile of all starts with its interval, by the method of [`super::quantile`]; infinite where it, or an end of
    /// its interval, lies among the starts that never came to a good end. `None` without any start.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Estimate> {
        let q = q.clamp(0.0, 1.0);
        let pooled = self.pooled();
        let value = pooled.quantile(q)?;
        let starts = usize::try_from(pooled.starts()).unwrap_or(usize::MAX);
        Some(Estimate {
            value,
            interval: self.interval(&pooled, q, value),
            processes: self.processes.len(),
            starts,
        })
    }

    fn interval(&self, pooled: &CountedProcess, q: f64, value: f64) -> Result<Interval, Unchecked> {
        let below = self.processes.iter();
        let below = below.map(|p| (p.starts() as f64, p.below(value)));
        let (lo, hi) = shares(below, q)?;
        // The value below which a share is expected, where the i-th of n values is expected at i / (n + 1).
        let last = (pooled.starts() - 1) as f64;
        let at = |share: f64| pooled.at((share * (last + 2.0) - 1.0).clamp(0.0, last));
        Ok(Interval {
            lo: at(lo),
            hi: at(hi),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Levels, quantile};
    use super::*;

    #[test]
    fn what_never_ended_lies_beyond_all_that_did() {
        let process = CountedProcess::from_values([(2.0, 90)], 10);
        assert_eq!(process.starts(), 100);
        assert_eq!(process.quantile(0.5), Some(2.0));
        assert_eq!(process.quantile(0.99), Some(f64::INFINITY));
        let six = Counted::new((0..6).map(|_| process.clone()));
        let p50 = six.quantile(0.5).expect("starts");
        assert_eq!((p50.value, p50.interval.map(|i| i.hi)), (2.0, Ok(2.0)));
        let p99 = six.quantile(0.99).expect("starts");
        assert!(p99.value.is_infinite(), "{p99:?}");
        assert_eq!(CountedProcess::default().quantile(0.5), None);
        assert_eq!(Counted::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn counting_changes_no_quantile(
            values in prop::collection::vec(prop::collection::vec(1_u32..200, 1..120), 1..9),
            q in prop::sample::select(vec![0.5, 0.9, 0.99, 0.999]),
        ) {
            let each = (1..).zip(&values).flat_map(|(process, values)| values.iter().map(move |v| (process, 0, f64::from(*v))));
            let levels = Levels::from_observations(each).expect("values");
            let counted = Counted::new(values.iter().map(|values| CountedProcess::from_values(values.iter().map(|v| (f64::from(*v), 1)), 0)));
            let (one, other) = (quantile(&levels, q), counted.quantile(q).expect("starts"));
            prop_assert!((one.value - other.value).abs() < 1e-9);
            prop_assert_eq!((one.processes, one.starts), (other.processes, other.starts));
            match (one.interval, other.interval) {
                (Ok(a), Ok(b)) => prop_assert!((a.lo - b.lo).abs() < 1e-6 && (a.hi - b.hi).abs() < 1e-6),
                (a, b) => prop_assert_eq!(a.err(), b.err()),
            }
        }
    }
}
