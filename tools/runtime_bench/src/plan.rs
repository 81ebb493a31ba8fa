//! How many starts of which kind: from what was asked for, and from how long the first starts took.
//! Pure, so tested without time.

use std::time::Duration;

/// What the command line says about sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Starts per batch, one after the other; by default only those that fit into the budget.
    pub iterations: Vec<u64>,
    /// Whether the iterations were asked for, so that none is left out.
    pub fixed: bool,
    /// Workers of the throughput batches.
    pub workers: Vec<usize>,
    /// Repetitions of each.
    pub repetitions: u32,
    /// Time to spend on one rung.
    pub budget: Duration,
    /// Time for the starts of all rungs together. Once a pass has had its share of it, no batch of it is
    /// repeated any more: what a start takes at first says little on a busy host.
    pub within: Option<Duration>,
}

/// A kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pass {
    /// Wall time, one worker: every start is kept with its phases.
    Wall,
    /// Wall time of a batch shared by several workers.
    Throughput,
    /// CPU time and cycles.
    Cpu,
    /// Disk I/O, caches warm.
    Disk,
    /// Disk I/O and wall time right after the page caches were dropped.
    DropCaches,
}

/// A task of the schedule for one rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// What for.
    pub pass: Pass,
    /// Starts of a batch.
    pub starts: u64,
    /// How many at once.
    pub workers: usize,
    /// How many batches.
    pub repetitions: u32,
}

/// Shares of a rung's budget; what is left over is for the engine's own start and stop.
const WALL_SHARE: f64 = 0.50;
const THROUGHPUT_SHARE: f64 = 0.20;
const CPU_SHARE: f64 = 0.15;
const DISK_SHARE: f64 = 0.10;
/// Until when, as a share of the time of all rungs together, batches of the pass are repeated. They come in this
/// order, and each has the rest of what the one before has left.
#[must_use]
pub fn share_until(pass: Pass) -> f64 {
    match pass {
        Pass::Wall | Pass::Throughput => 0.72,
        Pass::Cpu => 0.88,
        Pass::Disk => 0.97,
        Pass::DropCaches => 1.0,
    }
}

/// The most starts of a batch of each kind: more would say no more.
const MAX_THROUGHPUT_PER_WORKER: u64 = 500;
const MAX_CPU: u64 = 2000;
const MAX_DISK: u64 = 200;
/// Batches of the CPU and disk passes.
const CPU_REPETITIONS: u32 = 5;
const DISK_REPETITIONS: u32 = 3;
/// Starts after dropped caches: each costs a flush of the whole host's.
const DROP_REPETITIONS: u32 = 2;

/// The tasks of a rung of which one start takes `start_ns` and of which at most `max_workers` run at once.
#[must_use]
pub fn tasks(sizes: &Sizes, start_ns: u64, max_workers: usize) -> Vec<Task> {
    let start_s = start_ns.max(1) as f64 / 1e9;
    let budget_s = sizes.budget.as_secs_f64();
    let mut tasks = wall(sizes, start_s, budget_s * WALL_SHARE);
    let several: Vec<usize> = sizes
        .workers
        .iter()
        .copied()
        .filter(|&w| w > 1 && w <= max_workers)
        .collect();
    let each_s = budget_s * THROUGHPUT_SHARE / several.len().max(1) as f64;
    for workers in several {
        let least = 2 * workers as u64;
        let most = MAX_THROUGHPUT_PER_WORKER * workers as u64;
        let (starts, repetitions) = batches(each_s, start_s, least, most, sizes.repetitions);
        tasks.push(Task {
            pass: Pass::Throughput,
            starts,
            workers,
            repetitions,
        });
    }
    let passes = [
        (Pass::Cpu, CPU_SHARE, MAX_CPU, CPU_REPETITIONS),
        (Pass::Disk, DISK_SHARE, MAX_DISK, DISK_REPETITIONS),
    ];
    for (pass, share, most, most_repetitions) in passes {
        let (starts, repetitions) = batches(budget_s * share, start_s, 1, most, most_repetitions);
        tasks.push(Task {
            pass,
            starts,
            workers: 1,
            repetitions,
        });
    }
    tasks.push(Task {
        pass: Pass::DropCaches,
        starts: 1,
        workers: 1,
        repetitions: DROP_REPETITIONS,
    });
    tasks
}

/// Every number of iterations as often as asked for, or as the time left allows; the smallest always.
fn wall(sizes: &Sizes, start_s: f64, mut left_s: f64) -> Vec<Task> {
    let mut tasks = Vec::new();
    for &starts in &sizes.iterations {
        let batch_s = starts as f64 * start_s;
        // Truncation is meant: a batch that does not fit is not begun.
        let affordable = (left_s / batch_s) as u32;
        let repetitions = if sizes.fixed {
            sizes.repetitions
        } else {
            affordable
                .min(sizes.repetitions)
                .max(u32::from(tasks.is_empty()))
        };
        if repetitions == 0 {
            continue;
        }
        left_s = (left_s - f64::from(repetitions) * batch_s).max(0.0);
        tasks.push(Task {
            pass: Pass::Wall,
            starts,
            workers: 1,
            repetitions,
        });
    }
    tasks
}

/// Starts per batch and batches that take about `share_s`: as many batches as wanted, of at least
/// `least` starts; fewer batches where even these take too long, but one in any case.
fn batches(share_s: f64, start_s: f64, least: u64, most: u64, repetitions: u32) -> (u64, u32) {
    let affordable = (share_s / start_s) as u64;
    let repetitions = u64::from(repetitions).min(affordable / least).max(1);
    let starts = (affordable / repetitions).clamp(least, most);
    (starts, u32::try_from(repetitions).unwrap_or(1))
}

/// About how long `tasks` take, one start taking `start_ns`.
#[must_use]
pub fn estimate(tasks: &[Task], start_ns: u64) -> Duration {
    let starts: u64 = tasks
        .iter()
        .map(|t| t.starts * u64::from(t.repetitions))
        .sum();
    Duration::from_nanos(starts.saturating_mul(start_ns))
}

/// The plan in words, for the records.
#[must_use]
pub fn in_words(sizes: &Sizes, tasks: &[Task], start_ns: u64) -> String {
    let list = |pass: Pass| {
        let each: Vec<String> = tasks
            .iter()
            .filter(|t| t.pass == pass)
            .map(|t| match t.workers {
                1 => format!("{} x {}", t.repetitions, t.starts),
                w => format!("{} x {} by {w} workers", t.repetitions, t.starts),
            })
            .collect();
        if each.is_empty() {
            "none".to_owned()
        } else {
            each.join(", ")
        }
    };
    let chosen = if sizes.fixed {
        "as asked for".to_owned()
    } else {
        format!("within a budget of {} s", sizes.budget.as_secs_f64())
    };
    format!(
        "one process makes them all; batches x starts, {chosen}, a start at first taking {}: wall {}; throughput {}; CPU {}; disk {}; caches dropped {}",
        report::duration_ns(start_ns as f64),
        list(Pass::Wall),
        list(Pass::Throughput),
        list(Pass::Cpu),
        list(Pass::Disk),
        list(Pass::DropCaches),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(fixed: bool) -> Sizes {
        Sizes {
            iterations: vec![1, 10, 100],
            fixed,
            workers: vec![1, 2, 4],
            repetitions: 5,
            budget: Duration::from_secs(15),
            within: None,
        }
    }

    #[test]
    fn each_pass_has_time_after_the_one_before() {
        let passes = [Pass::Wall, Pass::Cpu, Pass::Disk, Pass::DropCaches];
        let until = passes.map(share_until);
        assert!(until.is_sorted_by(|a, b| a < b));
        assert_eq!(until.last(), Some(&1.0));
    }

    fn wall_of(tasks: &[Task]) -> Vec<(u64, u32)> {
        tasks
            .iter()
            .filter(|t| t.pass == Pass::Wall)
            .map(|t| (t.starts, t.repetitions))
            .collect()
    }

    #[test]
    fn fast_rungs_get_all_and_slow_ones_what_fits() {
        let fast = tasks(&sizes(false), 50_000, 64);
        assert_eq!(wall_of(&fast), [(1, 5), (10, 5), (100, 5)]);
        let slow = tasks(&sizes(false), 400_000_000, 64);
        assert_eq!(wall_of(&slow), [(1, 5), (10, 1)]);
        assert!(estimate(&slow, 400_000_000) < Duration::from_secs(20));
    }

    #[test]
    fn what_was_asked_for_is_done_however_long_it_takes() {
        let slow = tasks(&sizes(true), 3_000_000_000, 64);
        assert_eq!(wall_of(&slow), [(1, 5), (10, 5), (100, 5)]);
    }

    #[test]
    fn workers_beyond_the_rung_are_left_out() {
        let one = tasks(&sizes(false), 1000, 1);
        assert!(one.iter().all(|t| t.workers == 1));
        let two = tasks(&sizes(false), 1000, 2);
        assert_eq!(two.iter().map(|t| t.workers).max(), Some(2));
    }

    proptest! {
        #[test]
        fn every_pass_is_there_and_the_budget_holds(start_ns in 1_000u64..1_000_000_000) {
            let sizes = sizes(false);
            let tasks = tasks(&sizes, start_ns, 64);
            for pass in [Pass::Wall, Pass::Throughput, Pass::Cpu, Pass::Disk, Pass::DropCaches] {
                prop_assert!(tasks.iter().any(|t| t.pass == pass));
            }
            prop_assert!(tasks.iter().all(|t| t.starts > 0 && t.repetitions > 0));
            // The least of each kind is made even if it exceeds the budget.
            let least = Duration::from_nanos(start_ns * (1 + 4 + 8 + 1 + 1 + 2));
            prop_assert!(estimate(&tasks, start_ns) <= sizes.budget + least);
        }
    }
}
