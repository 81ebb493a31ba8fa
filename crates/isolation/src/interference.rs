//! What a noisy neighbour does to a victim: the no-op started every millisecond beside one aggressor for each CPU, on the same
//! rung.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stats::levels::{Estimate, Levels, ratio};

/// For how long one start of an aggressor makes its noise; it is started anew when it ends.
pub const BURST_MS: u64 = 200;
/// By how many slices of the scheduler the victim's p99 may grow.
const AIM_SLICES: f64 = 2.0;
/// Who needs the CPU for all of its start and shares it fairly with one aggressor takes twice as long.
const FAIR_FACTOR: f64 = 2.0;

/// What an aggressor does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// Computes.
    Spinning,
    /// Copies memory that no cache holds.
    Memory,
    /// Writes files.
    Files,
    /// Starts processes.
    Processes,
}

impl Noise {
    /// All, in the order of the tables.
    pub const ALL: [Self; 4] = [Self::Spinning, Self::Memory, Self::Files, Self::Processes];

    /// In the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spinning => "spinning",
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Processes => "processes",
        }
    }

    /// As functions/isolation/aggressor.c knows it.
    pub(crate) fn kind(self) -> &'static str {
        &self.name()[..1]
    }

    /// The function that makes it.
    #[must_use]
    pub fn function(self) -> String {
        format!("aggressor-{}", self.name())
    }
}

/// Latencies of a victim, in nanoseconds, by driver process.
pub type ByProcess = Vec<Vec<u64>>;

/// What was found of a victim alone and beside aggressors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interference {
    /// Alone.
    pub alone_ns: ByProcess,
    /// Beside each kind of noise.
    pub beside_ns: BTreeMap<Noise, ByProcess>,
    /// What could not be measured, and why.
    pub missing: BTreeMap<Noise, String>,
}

/// A percentile beside noise over that alone.
#[derive(Debug, Clone, Copy)]
pub struct Worse {
    /// Alone, in nanoseconds: the median of the processes' percentiles.
    pub alone_ns: f64,
    /// Beside noise.
    pub beside_ns: f64,
    /// The second over the first, by process; none where a percentile is 0.
    pub ratio: Option<Estimate>,
}

impl Interference {
    /// Quantile `q` beside `noise`; none if it was not measured.
    #[must_use]
    pub fn worse(&self, noise: Noise, q: f64) -> Option<Worse> {
        let alone = quantiles(&self.alone_ns, q)?;
        let beside = quantiles(self.beside_ns.get(&noise)?, q)?;
        let levels = |values: &[f64]| Levels::one_per_process(values);
        Some(Worse {
            alone_ns: stats::median(&alone)?,
            beside_ns: stats::median(&beside)?,
            ratio: ratio(&levels(&beside)?, &levels(&alone)?),
        })
    }

    /// What the victim's p99 beside spinning aggressors says of its share, where the scheduler's slice is `slice_ns`; none if
    /// it was not measured.
    #[must_use]
    pub fn share(&self, slice_ns: u64) -> Option<Share> {
        let Worse {
            alone_ns,
            beside_ns,
            ..
        } = self.worse(Noise::Spinning, 0.99)?;
        // Nanoseconds of a day are exact in a double.
        let waits = AIM_SLICES * slice_ns as f64;
        Some(if beside_ns <= alone_ns + waits {
            Share::WithinAim
        } else if beside_ns <= FAIR_FACTOR * alone_ns + waits {
            Share::Fair
        } else {
            Share::Unfair
        })
    }
}

/// How a victim's p99 beside one spinning aggressor for each CPU compares with that alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// At most two slices of the scheduler more: the aim of short starts.
    WithinAim,
    /// At most twice as much and two slices: what half of a CPU gives to a start that computes all the time.
    Fair,
    /// More.
    Unfair,
}

impl Share {
    /// In the tables.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::WithinAim => "alone + 2 slices",
            Self::Fair => "2 x alone + 2 slices",
            Self::Unfair => "beyond",
        }
    }
}

/// The quantile of each process that has values.
fn quantiles(by_process: &ByProcess, q: f64) -> Option<Vec<f64>> {
    let one = |values: &Vec<u64>| {
        let values: Vec<f64> = values.iter().map(|&ns| ns as f64).collect();
        stats::quantile(&values, q)
    };
    let found: Vec<f64> = by_process.iter().filter_map(one).collect();
    (!found.is_empty()).then_some(found)
}

/// The base slice of Linux's fair scheduler on a host of `cpus` processors: 0.7 ms times one more than the binary logarithm of at
/// most eight of them (kernel/sched/fair.c, `sysctl_sched_base_slice` and `get_update_sysctl_factor`).
#[must_use]
pub fn base_slice_ns(cpus: usize) -> u64 {
    700_000 * u64::from(1 + cpus.clamp(1, 8).ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interference(alone: u64, beside: u64) -> Interference {
        let processes = |ns: u64| (0..6).map(|p| vec![ns + p; 100]).collect();
        Interference {
            alone_ns: processes(alone),
            beside_ns: BTreeMap::from([(Noise::Spinning, processes(beside))]),
            missing: BTreeMap::new(),
        }
    }

    #[test]
    fn a_ratio_has_its_interval_from_six_processes_on() {
        let found = interference(100_000, 200_000);
        let worse = found.worse(Noise::Spinning, 0.99).expect("measured");
        let ratio = worse.ratio.expect("positive");
        assert!((ratio.value - 2.0).abs() < 0.001);
        assert!(ratio.interval.expect("six processes").contains(ratio.value));
        assert!(found.worse(Noise::Memory, 0.5).is_none());
    }

    #[test]
    fn two_slices_are_the_aim_and_half_a_cpu_is_fair() {
        let slice = base_slice_ns(2);
        assert_eq!(slice, 1_400_000);
        let share = |beside| interference(100_000, beside).share(slice);
        assert_eq!(share(100_000 + 2 * slice - 10), Some(Share::WithinAim));
        assert_eq!(share(100_010 + 2 * slice), Some(Share::Fair));
        assert_eq!(share(200_020 + 2 * slice), Some(Share::Unfair));
        assert_eq!(Interference::default().share(slice), None);
    }
}
