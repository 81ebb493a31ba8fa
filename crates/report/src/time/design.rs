//! The two designs of a cold start: never pooled, never divided by one another.

use std::fmt;

use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::contract::vocabulary::{Measure, Metric};
use stats::levels::{
    Estimate, Findings, Levels, VarianceByLevel, flags, median, quantile, ratio, variance,
};

use crate::rung_samples::RungSamples;

/// How a start was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Design {
    /// After its rung had been idle, by a worker that had not just made one.
    Isolated,
    /// In a closed loop, after a warm-up.
    BackToBack,
    /// Of schema 1: one, ten and a hundred in a row alike.
    Pooled,
}

impl Design {
    /// Those of today, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::Isolated, Self::BackToBack];

    /// The design that samples of `measure` are of, if they are of one.
    #[must_use]
    pub fn from_measure(measure: &Measure) -> Option<Self> {
        match measure {
            Measure::Isolated => Some(Self::Isolated),
            Measure::BackToBack => Some(Self::BackToBack),
            Measure::Start => Some(Self::Pooled),
            _ => None,
        }
    }

    pub(super) fn measure(self) -> Measure {
        match self {
            Self::Isolated => Measure::Isolated,
            Self::BackToBack => Measure::BackToBack,
            Self::Pooled => Measure::Start,
        }
    }

    /// The batch that `sample` is of. Each isolated start is one of its own.
    pub(super) fn batch(self, sample: &Sample) -> u32 {
        match self {
            Self::Isolated => u32::try_from(sample.order).unwrap_or(u32::MAX),
            Self::BackToBack | Self::Pooled => sample.block,
        }
    }
}

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Isolated => "isolated",
            Self::BackToBack => "back to back",
            Self::Pooled => "pooled (schema 1)",
        })
    }
}

/// Starts of one rung and design; times in nanoseconds.
#[derive(Debug, Clone)]
pub struct DesignRow {
    /// Wall times by process and batch.
    pub levels: Levels,
    /// Median of the processes' medians.
    pub median: Estimate,
    /// 90th percentile of all starts.
    pub p90: Estimate,
    /// 99th percentile of all starts.
    pub p99: Estimate,
    /// How much starts spread at which level; `None` if a time is not positive.
    pub variance: Option<VarianceByLevel>,
    /// The reference's starts of the same design over these: how many of these fit into one of it.
    pub reference_over_this: Option<Estimate>,
    /// What is odd about them, and what could not be looked for.
    pub findings: Findings,
    /// The phases, in order.
    pub phases: Vec<PhaseRow>,
}

/// A phase of a start.
#[derive(Debug, Clone)]
pub struct PhaseRow {
    /// Its name.
    pub name: String,
    /// Median of the processes' medians, nanoseconds.
    pub median: Estimate,
    /// Its part of the mean start, 0 to 1.
    pub share: f64,
}

impl DesignRow {
    /// How many batches its starts were made in.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.levels.batches().count()
    }
}

/// What the starts of `design` say; `None` if none went well.
pub(crate) fn design_row(
    samples: &RungSamples<'_>,
    design: Design,
    reference: Option<&Levels>,
) -> Option<DesignRow> {
    let levels = levels_of(samples, design, TOTAL)?;
    Some(DesignRow {
        median: median(&levels),
        p90: quantile(&levels, 0.90),
        p99: quantile(&levels, 0.99),
        variance: variance(&levels),
        reference_over_this: reference.and_then(|reference| ratio(reference, &levels)),
        findings: flags(&levels),
        phases: phases(samples, design),
        levels,
    })
}

/// The samples of good starts by one worker at a time.
fn single_starts<'a>(
    samples: &RungSamples<'a>,
    design: Design,
) -> impl Iterator<Item = &'a Sample> {
    let starts = samples.measured(&design.measure()).iter().copied();
    starts.filter(|s| s.workers == 1 && s.error.is_none() && s.metric == Metric::WallNs)
}

/// Wall times of `phase` by process and batch; `None` if no start went well.
pub(crate) fn levels_of(samples: &RungSamples<'_>, design: Design, phase: &str) -> Option<Levels> {
    let starts = single_starts(samples, design).filter(|s| s.phase == phase);
    Levels::from_observations(starts.filter_map(|sample| {
        let ns = sample.value.number()? as f64;
        Some((sample.process, design.batch(sample), ns))
    }))
}

fn phases(samples: &RungSamples<'_>, design: Design) -> Vec<PhaseRow> {
    let mut names: Vec<&str> = Vec::new();
    for sample in single_starts(samples, design).filter(|s| s.phase != TOTAL) {
        if !names.contains(&sample.phase.as_str()) {
            names.push(&sample.phase);
        }
    }
    let found: Vec<(&str, Levels)> = names
        .into_iter()
        .filter_map(|name| Some((name, levels_of(samples, design, name)?)))
        .collect();
    let sum = |levels: &Levels| levels.values().iter().sum::<f64>();
    let whole: f64 = found.iter().map(|(_, levels)| sum(levels)).sum();
    let row = |(name, levels): &(&str, Levels)| PhaseRow {
        name: (*name).to_owned(),
        median: median(levels),
        share: sum(levels) / whole.max(1.0),
    };
    found.iter().map(row).collect()
}
