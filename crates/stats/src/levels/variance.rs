//! How much of the spread arises at which level, and where effort narrows an interval most (Kalibera & Jones, "Rigorous
//! Benchmarking in Reasonable Time", ISMM 2013).

use super::intervals::mean_square_error;
use super::{Levels, MIN_PROCESSES};
use crate::CONFIDENCE;
use crate::fit::t_quantile_at;

/// Variances of the values' logarithms, so that the square root of each is about a relative standard
/// deviation. `None` where the data cannot tell: one process, one batch in each, one start in each. What one
/// level cannot tell lies in the level above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VarianceByLevel {
    /// Between processes, what batches and starts bring with them taken out.
    pub between_processes: Option<f64>,
    /// Between the batches of a process, what starts bring with them taken out.
    pub between_batches: Option<f64>,
    /// Between the starts of a batch.
    pub between_starts: Option<f64>,
}

/// The variance of each level, by the analysis of variance for nested groups of unequal sizes (Searle,
/// Casella & McCulloch, "Variance Components", 1992, chapter 3); an estimate below 0 is 0. `None` if a value is not
/// positive.
#[must_use]
pub fn variance(levels: &Levels) -> Option<VarianceByLevel> {
    if levels.smallest() <= 0.0 {
        return None;
    }
    let nested = Nested::from_levels(levels);
    let starts = mean_square(nested.within_batches, nested.n - nested.batches);
    let batches =
        mean_square(nested.within_processes, nested.batches - nested.processes).map(|square| {
            let divisor = (nested.n - nested.n_by_process) / (nested.batches - nested.processes);
            (square - starts.unwrap_or(0.0)).max(0.0) / divisor
        });
    let processes = mean_square(nested.between, nested.processes - 1.0).map(|square| {
        let below = (nested.n_by_process - nested.n_by_batch) / (nested.processes - 1.0);
        let divisor = (nested.n - nested.n_largest) / (nested.processes - 1.0);
        let expected = starts.unwrap_or(0.0) + below * batches.unwrap_or(0.0);
        (square - expected).max(0.0) / divisor
    });
    Some(VarianceByLevel {
        between_processes: processes,
        between_batches: batches,
        between_starts: starts,
    })
}

fn mean_square(squares: f64, degrees: f64) -> Option<f64> {
    (degrees > 0.0).then(|| squares / degrees)
}

/// Sums of squares of logarithms, and the sums of counts by which their expectations depend on the variances.
struct Nested {
    n: f64,
    batches: f64,
    processes: f64,
    /// Squares of starts around their batch's mean, of batches around their process's, of processes around the
    /// whole, the latter two weighted by starts.
    within_batches: f64,
    within_processes: f64,
    between: f64,
    /// Over processes, the squared sizes of its batches by its own size.
    n_by_process: f64,
    /// The squared sizes of all batches by the number of all starts.
    n_by_batch: f64,
    /// The squared sizes of all processes by the number of all starts.
    n_largest: f64,
}

impl Nested {
    fn from_levels(levels: &Levels) -> Self {
        let logs = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| v.ln()).collect() };
        let whole = crate::mean(&logs(&levels.values()));
        let mut sums = Self {
            n: levels.starts() as f64,
            batches: levels.batches().count() as f64,
            processes: levels.processes.len() as f64,
            within_batches: 0.0,
            within_processes: 0.0,
            between: 0.0,
            n_by_process: 0.0,
            n_by_batch: 0.0,
            n_largest: 0.0,
        };
        for process in &levels.processes {
            let values = logs(&process.values());
            let (size, centre) = (values.len() as f64, crate::mean(&values));
            sums.between += size * (centre - whole).powi(2);
            sums.n_largest += size.powi(2) / sums.n;
            for batch in &process.batches {
                let values = logs(&batch.values);
                let (own, mean) = (values.len() as f64, crate::mean(&values));
                sums.within_processes += own * (mean - centre).powi(2);
                sums.within_batches += values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                sums.n_by_process += own.powi(2) / size;
                sums.n_by_batch += own.powi(2) / sums.n;
            }
        }
        sums
    }
}

/// What each thing costs beside what is within it, in one unit of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// One start.
    pub start_ns: f64,
    /// Beginning a batch: warm-up, waiting, counters.
    pub batch_ns: f64,
    /// A fresh process until its first batch, and its end.
    pub process_ns: f64,
}

/// How many to make in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Starts in a batch, at least 1.
    pub starts_per_batch: u32,
    /// Batches in a process, at least 1.
    pub batches_per_process: u32,
}

/// The plan by which a mean over processes has the least variance for its cost (Kalibera & Jones, section 6.1: at each
/// level the square root of what the next level costs more by how much less it varies), within `most`. A level that
/// does not vary above one that does is filled up to `most`.
#[must_use]
pub fn best_plan(variance: &VarianceByLevel, costs: &Costs, most: Plan) -> Plan {
    let [starts, batches, processes] = [
        variance.between_starts,
        variance.between_batches,
        variance.between_processes,
    ]
    .map(|v| v.unwrap_or(0.0).max(0.0));
    Plan {
        starts_per_batch: balance(
            (costs.start_ns, starts),
            (costs.batch_ns, batches),
            most.starts_per_batch,
        ),
        batches_per_process: balance(
            (costs.batch_ns, batches),
            (costs.process_ns, processes),
            most.batches_per_process,
        ),
    }
}

/// The best number of the lower ones in each of the upper ones, by (cost, variance) of both.
fn balance(lower: (f64, f64), upper: (f64, f64), most: u32) -> u32 {
    let best = (upper.0 / lower.0 * (lower.1 / upper.1)).sqrt();
    if lower.1 <= 0.0 {
        return 1;
    }
    // Infinite where the upper level does not vary or the lower one costs nothing; no number where both are 0.
    let best = if best.is_nan() { f64::from(most) } else { best };
    best.ceil().clamp(1.0, f64::from(most.max(1))) as u32
}

/// As many processes as are ever asked for.
const MOST_PROCESSES: usize = 100_000;

/// How many processes like these in all would narrow the interval of [`super::median`] to plus or minus the share `half_width`
/// of the median (0.1: ten percent). `None` with fewer than two processes, a median that is not positive, or
/// where it would take more than 100 000.
#[must_use]
pub fn processes_needed(levels: &Levels, half_width: f64) -> Option<usize> {
    let medians = levels.process_medians();
    if medians.len() < 2 || medians.iter().any(|m| *m <= 0.0) || half_width <= 0.0 {
        return None;
    }
    let logs: Vec<f64> = medians.iter().map(|m| m.ln()).collect();
    let deviation = (mean_square_error(&logs) * logs.len() as f64).sqrt();
    // The variance of a median of normal values is that of their mean times pi / 2.
    let spread = deviation * std::f64::consts::FRAC_PI_2.sqrt();
    processes_for(spread, (1.0 + half_width).ln())
}

/// The fewest processes by which a t interval of a mean with standard deviation `spread` has at most `half` to each side.
fn processes_for(spread: f64, half: f64) -> Option<usize> {
    let reached = |n: usize| {
        t_quantile_at(n as f64 - 1.0, CONFIDENCE)
            .is_some_and(|t| t * spread / (n as f64).sqrt() <= half)
    };
    if half <= 0.0 || !reached(MOST_PROCESSES) {
        return None;
    }
    let (mut too_few, mut enough) = (MIN_PROCESSES - 1, MOST_PROCESSES);
    while enough - too_few > 1 {
        let middle = usize::midpoint(too_few, enough);
        if reached(middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Some(enough)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand_distr::{Distribution, StandardNormal};

    fn drawn(seed: u64, sizes: (u32, u32, u32), deviations: (f64, f64, f64)) -> Levels {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = |deviation: f64| {
            let z: f64 = StandardNormal.sample(&mut rng);
            deviation * z
        };
        let mut seen = Vec::new();
        for process in 0..sizes.0 {
            let of_process = normal(deviations.0);
            for batch in 0..sizes.1 {
                let of_batch = of_process + normal(deviations.1);
                // Unequal sizes, as a failed start leaves them.
                for _ in 0..sizes.2 - batch % 2 {
                    seen.push((process, batch, (of_batch + normal(deviations.2)).exp()));
                }
            }
        }
        Levels::from_observations(seen).expect("values")
    }

    #[test]
    fn each_level_gets_its_own_variance() {
        let found = variance(&drawn(1, (400, 5, 6), (0.3, 0.2, 0.1))).expect("positive");
        for (level, deviation) in [
            (found.between_processes, 0.3),
            (found.between_batches, 0.2),
            (found.between_starts, 0.1_f64),
        ] {
            let ours = level.expect("enough").sqrt();
            assert!(
                (ours / deviation - 1.0).abs() < 0.1,
                "{ours} is not {deviation}"
            );
        }
    }

    #[test]
    fn what_one_level_cannot_tell_lies_in_the_one_above() {
        let single = variance(&drawn(2, (300, 4, 1), (0.2, 0.3, 0.0))).expect("positive");
        assert_eq!(single.between_starts, None);
        let batches = single.between_batches.expect("four batches").sqrt();
        assert!((batches - 0.3).abs() < 0.03, "{batches}");
        let alone = variance(&drawn(3, (1, 1, 5), (0.1, 0.1, 0.1))).expect("positive");
        assert_eq!(
            (alone.between_processes, alone.between_batches),
            (None, None)
        );
        assert!(alone.between_starts.is_some());
        let zero = Levels::one_per_process(&[1.0, 0.0]).expect("values");
        assert_eq!(variance(&zero), None);
    }

    #[test]
    fn the_plan_spends_where_it_narrows_most() {
        let costs = Costs {
            start_ns: 1.0,
            batch_ns: 100.0,
            process_ns: 1600.0,
        };
        let most = Plan {
            starts_per_batch: 50,
            batches_per_process: 20,
        };
        let plan = |processes: f64, batches: f64, starts: f64| {
            let variance = VarianceByLevel {
                between_processes: Some(processes),
                between_batches: Some(batches),
                between_starts: Some(starts),
            };
            let plan = best_plan(&variance, &costs, most);
            (plan.starts_per_batch, plan.batches_per_process)
        };
        // sqrt(100 x 1), sqrt(16 x 1)
        assert_eq!(plan(1.0, 1.0, 1.0), (10, 4));
        assert_eq!(plan(4.0, 1.0, 4.0), (20, 2));
        // Steady starts need no second; steady processes are filled.
        assert_eq!(plan(1.0, 1.0, 0.0), (1, 4));
        assert_eq!(plan(0.0, 1.0, 1.0), (10, 20));
        assert_eq!(plan(0.0, 0.0, 0.0), (1, 1));
    }

    #[test]
    fn as_many_processes_are_asked_for_as_it_takes() {
        let levels = Levels::one_per_process(&[0.9, 1.0, 1.1, 1.2, 0.8]).expect("values");
        let wide = processes_needed(&levels, 0.2).expect("a number");
        let narrow = processes_needed(&levels, 0.05).expect("a number");
        assert!(MIN_PROCESSES <= wide && wide < narrow, "{wide} {narrow}");
        let steady = Levels::one_per_process(&[1.0; 2]).expect("values");
        assert_eq!(processes_needed(&steady, 0.01), Some(MIN_PROCESSES));
        let one = Levels::one_per_process(&[1.0]).expect("values");
        assert_eq!(processes_needed(&one, 0.1), None);
        assert_eq!(processes_needed(&levels, 1e-9), None);
    }
}
