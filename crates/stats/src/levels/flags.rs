//! What is odd about observations by level, told so that effects of processes and batches are not taken for
//! it. Flags never remove a value; what cannot be looked for is said.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{Levels, Unchecked, median_of_unsorted};
use crate::flags::{MIN_MODES_N, modes};

/// Modified z-score (Iglewicz & Hoaglin, 1993) from which a start is an outlier. Their 3.5 names one in half of all normal
/// samples of some hundred values.
const OUTLIER_Z: f64 = 5.5;
/// Fewest starts to look for outliers among.
const MIN_OUTLIER_STARTS: usize = 50;
/// Fewest starts in a batch for it to have a median of its own.
const MIN_BATCH_STARTS: usize = 5;
/// Fewest batches or processes to tell one that lies apart.
const MIN_UNITS: usize = 6;
/// One that lies apart is off by this many robust standard deviations of the others,
const APART_DEVIATIONS: f64 = 6.0;
/// and by this ratio.
const APART_RATIO: f64 = 1.25;
/// Fewest pairs in order of time for a drift: 8 processes, or 10 of 3 batches each.
const MIN_PAIRS: usize = 28;
/// A drift has at least this Kendall's tau: among many pairs even what does not matter is significant.
const DRIFT_TAU: f64 = 0.2;
/// And a two-sided p-value below this. Three levels are looked at, so 3 % of all samples are false alarms.
const DRIFT_P: f64 = 0.01;
/// Longer batches are thinned to this many starts when looked at for drift.
const MOST_DRIFT_STARTS: usize = 100;
/// First starts of batches are slow from this ratio to the median of the others.
const SLOW_FIRST_RATIO: f64 = 1.1;
/// And in at least this share of the batches.
const SLOW_FIRST_SHARE: f64 = 0.75;

/// At which level something is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Processes of a row.
    Processes,
    /// Batches of a process.
    Batches,
    /// Starts of a batch.
    Starts,
}

/// Starts of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the process.
    pub process: u32,
    /// Number of the batch; `None`: all of the process's.
    pub batch: Option<u32>,
    /// How many starts.
    pub starts: usize,
}

/// Something odd.
#[derive(Debug, Clone, PartialEq)]
pub enum LevelFlag {
    /// Starts beyond a modified z-score of 5.5 from the median of their batch (of their process, where batches are short),
    /// on the logarithmic scale, each side by its own spread (Iglewicz & Hoaglin, 1993).
    Outliers {
        /// Starts beyond take at most `bounds.0` times that median, or at least `bounds.1` times.
        bounds: (f64, f64),
        /// Where they are, most first.
        places: Vec<Place>,
        /// Among so many.
        starts: usize,
    },
    /// The first start of a batch is slower than the others of its batch.
    SlowFirst {
        /// Median over the batches of the first over the median of the others.
        ratio: f64,
    },
    /// Values rise or fall with time within the level above (the seasonal Mann-Kendall test: Hirsch, Slack & Smith, Water
    /// Resources Research 18, 1982).
    Drift {
        /// What follows one another.
        of: Level,
        /// Kendall's tau, -1 to 1; positive: values rise.
        tau: f64,
        /// Two-sided p-value.
        p: f64,
    },
    /// Two groups of starts far apart ([`crate::Flag::Bimodal`]).
    Modes {
        /// Median of the lower group.
        low: f64,
        /// Median of the upper group.
        high: f64,
        /// Share of the starts in the upper group.
        high_share: f64,
    },
    /// Whole processes or batches whose medians lie apart from those of the others.
    Apart {
        /// They, and the ratio of the median of each to that of the others; the furthest first.
        places: Vec<(Place, f64)>,
    },
}

/// What was found, and what was not looked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// What is odd.
    pub flags: Vec<LevelFlag>,
    /// What could not be looked for, and why.
    pub unchecked: Vec<(&'static str, Unchecked)>,
}

/// Everything odd about `levels`, whose processes, batches and starts are in order of time.
#[must_use]
pub fn flags(levels: &Levels) -> Findings {
    let mut found = Findings::default();
    if levels.smallest() <= 0.0 {
        found.unchecked.push(("all flags", Unchecked::NotPositive));
        return found;
    }
    found.take("outliers", outliers(levels));
    found.take("slow first starts", slow_first(levels));
    for (name, level) in [
        ("drift over processes", Level::Processes),
        ("drift over batches", Level::Batches),
        ("drift over starts", Level::Starts),
    ] {
        found.take(name, drift(levels, level));
    }
    found.take("modes", start_modes(levels));
    found.take("batches apart", batches_apart(levels));
    found.take("processes apart", processes_apart(levels));
    found
}

impl Findings {
    fn take(&mut self, name: &'static str, looked: Result<Option<LevelFlag>, Unchecked>) {
        match looked {
            Ok(flag) => self.flags.extend(flag),
            Err(why) => self.unchecked.push((name, why)),
        }
    }
}

fn enough(values: usize, needed: usize) -> Result<(), Unchecked> {
    if values < needed {
        return Err(Unchecked::TooFewValues { values, needed });
    }
    Ok(())
}

/// For each batch its place and the logarithms of its starts over the median that they are held against.
fn residuals(levels: &Levels) -> Vec<(Place, Vec<f64>)> {
    let mut all = Vec::new();
    for process in &levels.processes {
        let of_process = process.median();
        for batch in &process.batches {
            let starts = batch.values.len();
            let centre = if starts < MIN_BATCH_STARTS {
                of_process
            } else {
                batch.median()
            };
            let place = Place {
                process: process.number,
                batch: Some(batch.number),
                starts,
            };
            let logs = batch.values.iter().map(|v| (v / centre).ln()).collect();
            all.push((place, logs));
        }
    }
    all
}

fn outliers(levels: &Levels) -> Result<Option<LevelFlag>, Unchecked> {
    let starts = levels.starts();
    enough(starts, MIN_OUTLIER_STARTS)?;
    let residuals = residuals(levels);
    let all = || residuals.iter().flat_map(|(_, logs)| logs).copied();
    let side = |below: bool| -> f64 {
        let sizes: Vec<f64> = all()
            .filter(|r| (*r < 0.0) == below)
            .map(f64::abs)
            .collect();
        if sizes.is_empty() {
            return 0.0;
        }
        OUTLIER_Z / 0.6745 * median_of_unsorted(sizes)
    };
    let (low, high) = (side(true), side(false));
    if low == 0.0 || high == 0.0 {
        // More than half of the values are equal: a clock's resolution, by which nothing can be called far.
        return Ok(None);
    }
    let mut places: Vec<Place> = residuals
        .iter()
        .map(|(place, logs)| Place {
            starts: logs.iter().filter(|r| **r < -low || **r > high).count(),
            ..*place
        })
        .filter(|place| place.starts > 0)
        .collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.starts));
    Ok((!places.is_empty()).then_some(LevelFlag::Outliers {
        bounds: ((-low).exp(), high.exp()),
        places,
        starts,
    }))
}

fn slow_first(levels: &Levels) -> Result<Option<LevelFlag>, Unchecked> {
    let ratios: Vec<f64> = levels
        .batches()
        .filter(|batch| batch.values.len() >= MIN_BATCH_STARTS)
        .map(|batch| batch.values[0] / median_of_unsorted(batch.values[1..].to_vec()))
        .collect();
    if levels.batches().all(|batch| batch.values.len() == 1) {
        return Ok(None);
    }
    enough(ratios.len(), MIN_UNITS)?;
    let slow = ratios.iter().filter(|r| **r > 1.0).count() as f64;
    let share = slow / ratios.len() as f64;
    let ratio = median_of_unsorted(ratios);
    let found = ratio >= SLOW_FIRST_RATIO && share >= SLOW_FIRST_SHARE;
    Ok(found.then_some(LevelFlag::SlowFirst { ratio }))
}

fn drift(levels: &Levels, of: Level) -> Result<Option<LevelFlag>, Unchecked> {
    let processes = levels.processes.iter();
    let series: Vec<Vec<f64>> = match of {
        Level::Processes => vec![levels.process_medians()],
        Level::Batches => processes
            .map(|process| process.batches.iter().map(super::Batch::median).collect())
            .collect(),
        Level::Starts => levels
            .batches()
            .map(|batch| thinned(&batch.values))
            .collect(),
    };
    if of == Level::Starts && series.iter().all(|values| values.len() == 1) {
        return Ok(None);
    }
    let pairs: usize = series.iter().map(|v| v.len() * (v.len() - 1) / 2).sum();
    if pairs < MIN_PAIRS {
        return Err(Unchecked::TooFewPairs {
            pairs,
            needed: MIN_PAIRS,
        });
    }
    let (sum, variance) = series
        .iter()
        .map(|values| kendall(values))
        .fold((0.0, 0.0), |(s, v), (sum, variance)| {
            (s + sum, v + variance)
        });
    if variance <= 0.0 {
        return Ok(None);
    }
    let tau = sum / pairs as f64;
    // Corrected for continuity.
    let z = (sum.abs() - 1.0).max(0.0) / variance.sqrt();
    let p = 2.0 * Normal::standard().sf(z);
    Ok((tau.abs() >= DRIFT_TAU && p < DRIFT_P).then_some(LevelFlag::Drift { of, tau, p }))
}

fn thinned(values: &[f64]) -> Vec<f64> {
    let step = values.len().div_ceil(MOST_DRIFT_STARTS);
    values.iter().copied().step_by(step).collect()
}

/// Kendall's sum of signs over all pairs in order of time, and its variance with ties if nothing drifts.
fn kendall(values: &[f64]) -> (f64, f64) {
    let mut sum = 0.0;
    for (earlier, a) in values.iter().enumerate() {
        for b in &values[earlier + 1..] {
            sum += f64::from(b.total_cmp(a) as i8);
        }
    }
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let ties: f64 = sorted
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|tied| spread(tied.len() as f64))
        .sum();
    (sum, (spread(values.len() as f64) - ties) / 18.0)
}

fn start_modes(levels: &Levels) -> Result<Option<LevelFlag>, Unchecked> {
    enough(levels.starts(), MIN_MODES_N)?;
    let mut sorted = levels.values();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(
        modes(&sorted).map(|(low, high, high_share)| LevelFlag::Modes {
            low,
            high,
            high_share,
        }),
    )
}

fn processes_apart(levels: &Levels) -> Result<Option<LevelFlag>, Unchecked> {
    enough(levels.processes.len(), MIN_UNITS)?;
    let logs: Vec<f64> = levels.process_medians().iter().map(|m| m.ln()).collect();
    let residuals: Vec<f64> = (0..logs.len())
        .map(|i| logs[i] - others(&logs, i))
        .collect();
    let places = levels.processes.iter().map(|process| Place {
        process: process.number,
        batch: None,
        starts: process.batches.iter().map(|b| b.values.len()).sum(),
    });
    Ok(apart(
        places.zip(residuals.iter().copied()).collect(),
        &residuals,
    ))
}

/// Each batch against the others of its process, so that processes may differ; the furthest of each process counts, as
/// it pulls the others' reference towards itself.
fn batches_apart(levels: &Levels) -> Result<Option<LevelFlag>, Unchecked> {
    if levels
        .batches()
        .all(|batch| batch.values.len() < MIN_BATCH_STARTS)
    {
        // So short a batch has no median of its own: its starts are looked at instead.
        return Ok(None);
    }
    enough(levels.batches().count(), MIN_UNITS)?;
    let (mut furthest, mut all) = (Vec::new(), Vec::new());
    let everywhere: Vec<f64> = levels.batches().map(|b| b.median().ln()).collect();
    for process in &levels.processes {
        let logs: Vec<f64> = process.batches.iter().map(|b| b.median().ln()).collect();
        let own = logs.len() > 2;
        let mut most: Option<(Place, f64)> = None;
        for (i, batch) in process.batches.iter().enumerate() {
            let reference = if own {
                others(&logs, i)
            } else {
                median_of_unsorted(everywhere.clone())
            };
            let residual = logs[i] - reference;
            all.push(residual);
            let place = Place {
                process: process.number,
                batch: Some(batch.number),
                starts: batch.values.len(),
            };
            if most.is_none_or(|(_, size)| residual.abs() > size.abs()) {
                most = Some((place, residual));
            }
        }
        furthest.extend(most);
    }
    Ok(apart(furthest, &all))
}

/// The median of all but the `i`-th of at least two values.
fn others(values: &[f64], i: usize) -> f64 {
    let mut rest = values.to_vec();
    rest.remove(i);
    median_of_unsorted(rest)
}

/// Those that lie further off than the spread of `all` residuals lets expect.
fn apart(candidates: Vec<(Place, f64)>, all: &[f64]) -> Option<LevelFlag> {
    let sizes: Vec<f64> = all.iter().map(|r| r.abs()).collect();
    let bound = (APART_DEVIATIONS * 1.4826 * median_of_unsorted(sizes)).max(APART_RATIO.ln());
    let mut places: Vec<(Place, f64)> = candidates
        .into_iter()
        .filter(|(_, residual)| residual.abs() > bound)
        .collect();
    places.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    for (_, residual) in &mut places {
        *residual = residual.exp();
    }
    (!places.is_empty()).then_some(LevelFlag::Apart { places })
}
