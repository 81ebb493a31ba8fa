//! How much of what: from what was asked for, and from how long the first start took. Pure, so tested without time.

use std::time::Duration;

use measure_core::contract::vocabulary::Measure;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// What the command line says about sizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Starts of the back-to-back batches of one worker, if asked for: then nothing is chosen, left out or added.
    pub iterations: Option<Vec<u64>>,
    /// Isolated starts of a process, if asked for.
    pub isolated: Option<u64>,
    /// How long a rung has been idle at least before an isolated start.
    pub idle: Duration,
    /// Workers of the throughput batches.
    pub workers: Vec<usize>,
    /// Driver processes of a rung, if asked for.
    pub processes: Option<u32>,
    /// How often all that: once, or in an A/A run for either side of every repetition.
    pub sets: u32,
    /// Whether the function is a handler, which is asked once it has started.
    pub requests: bool,
    /// Whether what was made while the host was disturbed is made again.
    pub strict: bool,
    /// Time to spend on one rung; its least number of processes is made even if that takes longer.
    pub budget: Duration,
    /// Time for all rungs together, if they may not take longer whatever that costs.
    pub within: Option<Duration>,
    /// Whether nearly all of the time goes to batches of one worker and of several, for how starts per second grow with workers.
    pub is_scaling: bool,
}

impl Sizes {
    /// Driver processes of a rung of which one start takes `start_ns`: as asked for, else the least that the design asks of
    /// its class (below [`LEAST_PROCESSES`] there is no interval).
    #[must_use]
    pub fn processes(&self, start_ns: u64) -> u32 {
        self.processes.unwrap_or(if start_ns < SLOW_NS {
            FAST_PROCESSES
        } else {
            LEAST_PROCESSES
        })
    }

    /// Whether more processes than the least may be spent on a rung, and work moved between its levels.
    #[must_use]
    pub fn may_adapt(&self) -> bool {
        let is_chosen = self.iterations.is_some() || self.processes.is_some();
        !is_chosen && !self.is_aa() && !self.is_scaling
    }

    /// Whether rungs are compared with themselves.
    #[must_use]
    pub fn is_aa(&self) -> bool {
        self.sets > 1
    }
}

/// A kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pass {
    /// The first start of a process, by which the sizes are chosen.
    First,
    /// Single starts, each after its rung has been idle.
    Isolated,
    /// A closed loop of one worker after a warm-up: every start is kept with its phases.
    BackToBack,
    /// Requests to one instance of a handler, after it has answered some.
    Request,
    /// Wall time of a batch shared by several workers.
    Throughput,
    /// CPU time and cycles of a closed loop whose starts write no lines.
    Cpu,
    /// Disk I/O, caches warm.
    Disk,
    /// Disk I/O and wall time right after the page caches were dropped.
    DropCaches,
}

impl Pass {
    /// The word under which the records have its batches, or its starts where there is no batch.
    #[must_use]
    pub fn measure(self) -> &'static Measure {
        match self {
            Self::First => &Measure::Calibrate,
            Self::Isolated => &Measure::Isolated,
            Self::Request => &Measure::Request,
            Self::BackToBack | Self::Throughput => &Measure::Batch,
            Self::Cpu => &Measure::Cpu,
            Self::Disk => &Measure::Disk,
            Self::DropCaches => &Measure::DropCaches,
        }
    }

    /// The word for its number of starts in `run.json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BackToBack => Measure::BackToBack.as_str(),
            Self::Throughput => "throughput",
            other => other.measure().as_str(),
        }
    }
}

/// Batches of one kind in a driver process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What for.
    pub pass: Pass,
    /// Starts of a batch.
    pub starts: u64,
    /// How many at once.
    pub workers: usize,
    /// Starts of each worker before these.
    pub warmup: u64,
    /// How many batches in a process.
    pub repetitions: u32,
    /// CPU and disk I/O are read on both sides of it.
    pub metered: bool,
}

impl Task {
    /// Starts of one batch, its warm-up included.
    #[must_use]
    pub fn all_starts(&self) -> u64 {
        self.starts + self.warmup * self.workers as u64
    }

    /// How many starts one batch takes as long as: requests are one, and little beside it.
    fn as_long_as(&self) -> u64 {
        match self.pass {
            Pass::Request => 1,
            _ => self.all_starts(),
        }
    }
}

/// What a driver process of a rung does after its first start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Isolated starts.
    pub isolated: u64,
    /// Batches.
    pub tasks: Vec<Task>,
}

impl Work {
    /// Measured starts of a process, the first and those after dropped caches apart.
    #[must_use]
    pub fn measured_starts(&self) -> u64 {
        let batches = self.tasks.iter();
        self.isolated
            + batches
                .map(|t| t.starts * u64::from(t.repetitions))
                .sum::<u64>()
    }

    /// About how long its starts take, the first one included, one start taking `start_ns`.
    #[must_use]
    pub fn estimate(&self, start_ns: u64) -> Duration {
        let batches = self.tasks.iter();
        let starts = 1
            + self.isolated
            + batches
                .map(|t| t.as_long_as() * u64::from(t.repetitions))
                .sum::<u64>();
        Duration::from_nanos(starts.saturating_mul(start_ns))
    }
}

/// From here on a start is slow: what is read around a batch and the lines that are written in it are nothing beside it.
pub const SLOW_NS: u64 = 10_000_000;
/// From here on an interval of ten per cent is not aimed at: a process takes minutes.
pub const VERY_SLOW_NS: u64 = 1_000_000_000;
/// Least processes of a rung, and of one that is not slow. Below six the median has no interval of 95 %.
pub const LEAST_PROCESSES: u32 = 6;
const FAST_PROCESSES: u32 = 10;
/// Warm-up of each worker of a closed loop, of rungs that are not slow and of those that are.
const FAST_WARMUP: u64 = 10;
const SLOW_WARMUP: u64 = 1;
/// Shares of the time that a process has once it is open.
const ISOLATED_SHARE: f64 = 0.30;
const BACK_TO_BACK_SHARE: f64 = 0.30;
const THROUGHPUT_SHARE: f64 = 0.30;
const CPU_SHARE: f64 = 0.06;
const DISK_SHARE: f64 = 0.04;
/// The most starts of each kind in a process: more would say no more.
const MAX_ISOLATED: u64 = 5;
const MAX_BACK_TO_BACK: u64 = 25;
const MAX_THROUGHPUT_PER_WORKER: u64 = 500;
/// For scaling more, and several batches: what one worker does is to be known as well as what all do, and a batch to be long beside its ends.
const MAX_SCALING_PER_WORKER: u64 = 10_000;
const SCALING_BATCHES: u32 = 3;
const SCALING_SHARE: f64 = 0.9;
const MAX_CPU: u64 = 1000;
const MAX_DISK: u64 = 50;
/// Requests of a batch, and before them.
const REQUESTS: u64 = 50;
const REQUEST_WARMUP: u64 = 10;
/// Batches of requests in a process, each of an instance of its own, where starts are not slow.
const REQUEST_BATCHES: u32 = 3;
/// Back-to-back batches of a process, where starts are not slow. On which processor a closed loop's threads meet is settled anew at
/// each begin of one, and was nearly all that differed between processes of two batches.
const FAST_BATCHES: u32 = 8;

/// What each driver process of a rung is to do of which one start takes `start_ns`, opening a process `opening`, and of
/// which at most `max_workers` run at once.
#[must_use]
pub fn work(sizes: &Sizes, start_ns: u64, opening: Duration, max_workers: usize) -> Work {
    let start_s = start_ns.max(1) as f64 / 1e9;
    let each_s = sizes.budget.as_secs_f64() / f64::from(sizes.processes(start_ns));
    let left_s = (each_s - opening.as_secs_f64() - start_s).max(0.0);
    // Truncation is meant: a start that does not fit is not made.
    let affordable = |share: f64| (left_s * share / start_s) as u64;
    let is_slow = start_ns >= SLOW_NS;
    let warmup = if is_slow { SLOW_WARMUP } else { FAST_WARMUP };
    let least = if start_ns >= VERY_SLOW_NS { 1 } else { 2 };
    let isolated = affordable(ISOLATED_SHARE).clamp(least, MAX_ISOLATED);
    let one_worker = |pass, starts, repetitions| Task {
        pass,
        starts,
        workers: 1,
        warmup,
        repetitions,
        metered: pass != Pass::BackToBack || is_slow,
    };
    let mut tasks: Vec<Task> = match &sizes.iterations {
        Some(asked) => asked
            .iter()
            .map(|&starts| one_worker(Pass::BackToBack, starts, 1))
            .collect(),
        None if sizes.is_scaling => vec![one_worker(Pass::BackToBack, least, 1)],
        None => {
            let batches = if is_slow { 1 } else { FAST_BATCHES };
            let all = affordable(BACK_TO_BACK_SHARE) / u64::from(batches);
            let starts = all.saturating_sub(warmup).clamp(least, MAX_BACK_TO_BACK);
            vec![one_worker(Pass::BackToBack, starts, batches)]
        }
    };
    if sizes.requests {
        tasks.push(Task {
            pass: Pass::Request,
            starts: REQUESTS,
            workers: 1,
            warmup: REQUEST_WARMUP,
            repetitions: if is_slow { 1 } else { REQUEST_BATCHES },
            metered: false,
        });
    }
    tasks.extend(throughput(sizes, max_workers, warmup, is_slow, &affordable));
    if !is_slow && !sizes.is_scaling {
        let cpu = affordable(CPU_SHARE).clamp(1, MAX_CPU);
        let disk = affordable(DISK_SHARE).clamp(1, MAX_DISK);
        tasks.push(one_worker(Pass::Cpu, cpu, 1));
        tasks.push(one_worker(Pass::Disk, disk, 1));
    }
    Work {
        isolated: sizes.isolated.unwrap_or(isolated),
        tasks,
    }
}

/// A batch for each number of workers above one, for scaling several, and of one worker too. Slow rungs have no warm-up here: it would
/// be half of the batch.
fn throughput(
    sizes: &Sizes,
    max_workers: usize,
    warmup: u64,
    is_slow: bool,
    affordable: &dyn Fn(f64) -> u64,
) -> Vec<Task> {
    let several: Vec<usize> = sizes
        .workers
        .iter()
        .copied()
        .filter(|&w| (w > 1 || sizes.is_scaling) && w <= max_workers)
        .collect();
    let (share, repetitions, most) = match sizes.is_scaling {
        true => (
            SCALING_SHARE / f64::from(SCALING_BATCHES),
            SCALING_BATCHES,
            MAX_SCALING_PER_WORKER,
        ),
        false => (THROUGHPUT_SHARE, 1, MAX_THROUGHPUT_PER_WORKER),
    };
    let share = share / several.len().max(1) as f64;
    let batch = |workers: usize| Task {
        pass: Pass::Throughput,
        // As many by each, so that none works on alone at the end.
        starts: (affordable(share) / workers as u64).clamp(1, most) * workers as u64,
        workers,
        warmup: if is_slow { 0 } else { warmup },
        repetitions,
        metered: false,
    };
    several.into_iter().map(batch).collect()
}

/// What `run.json` and the report say about the sizes.
#[must_use]
pub fn in_words(sizes: &Sizes, work: &Work, start_ns: u64) -> String {
    let chosen = match (&sizes.iterations, sizes.processes) {
        (Some(_), _) => "as asked for".to_owned(),
        (None, _) => format!("for a budget of {} s", sizes.budget.as_secs_f64()),
    };
    let tasks: Vec<String> = work.tasks.iter().map(task_in_words).collect();
    format!(
        "fresh driver processes; in each, {chosen}, a start at first taking {}: {} isolated; {}",
        report::duration_ns(start_ns as f64),
        work.isolated,
        tasks.join("; "),
    )
}

fn task_in_words(task: &Task) -> String {
    let Task {
        starts,
        workers,
        warmup,
        repetitions,
        ..
    } = task;
    let many = match repetitions {
        1 => String::new(),
        more => format!("{more} x "),
    };
    let by = match workers {
        1 => String::new(),
        more => format!(" by {more} workers"),
    };
    let meters = match (task.pass, task.metered) {
        (Pass::BackToBack, true) => ", CPU and disk I/O read around it",
        _ => "",
    };
    format!(
        "{} {many}{starts}{by} after {warmup} of warm-up{meters}",
        task.pass.word()
    )
}
