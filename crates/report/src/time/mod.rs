//! What the time part's samples say of each rung.

mod design;
mod handler;
mod passes;

use std::collections::BTreeMap;

use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::contract::vocabulary::{Measure, Metric};
use stats::levels::Levels;
use stats::{Summary, median};

use crate::rung_samples::RungSamples;

pub use design::{Design, DesignRow, PhaseRow};
pub(crate) use design::{design_row, levels_of};
pub use handler::{HandlerRow, RequestRow};
pub use passes::{PerStart, Throughput, scalability};

/// The row that ratios are taken to.
pub(crate) const REFERENCE: &str = "docker-none";
/// Fewest starts in a batch for the time between starts to say something.
const MIN_GAP_N: u64 = 10;

/// One rung of the time part.
#[derive(Debug, Clone)]
pub struct TimeRow {
    /// Ladder id.
    pub rung: String,
    /// `user/function`.
    pub function: String,
    /// Wall time of one start that found its rung idle; `None` if none went well.
    pub isolated: Option<DesignRow>,
    /// Wall time of one start of a closed loop by one worker; `None` if none went well.
    pub back_to_back: Option<DesignRow>,
    /// Of schema 1: one, ten and a hundred starts in a row, made by one process and not told apart. Nothing is
    /// claimed of it.
    pub pooled: Option<Summary>,
    /// What it answers how fast, if it is a handler.
    pub handler: Option<HandlerRow>,
    /// The very first start in a driver's process, median over these.
    pub first_ns: Option<f64>,
    /// Starts per second by the number of workers.
    pub throughput: Vec<Throughput>,
    /// Time per start that the driver's loop adds between starts.
    pub gap_ns: Option<f64>,
    /// CPU time per start of the scope, back to back.
    pub cpu_ns: PerStart,
    /// CPU cycles per start of the scope, back to back.
    pub cpu_cycles: PerStart,
    /// CPU time per start of the client, where there is one.
    pub client_cpu_ns: PerStart,
    /// Bytes read per start, caches warm.
    pub read_bytes: PerStart,
    /// Bytes written per start, caches warm.
    pub write_bytes: PerStart,
    /// Bytes read by a start after the page caches were dropped.
    pub cold_read_bytes: PerStart,
    /// Bytes written by such a start.
    pub cold_write_bytes: PerStart,
    /// Wall time of such a start.
    pub cold_wall_ns: PerStart,
    /// Starts that failed.
    pub failed: u64,
    /// The error of the first of them.
    pub first_error: Option<String>,
}

impl TimeRow {
    /// What its starts of `design` say. Pooled ones have rows of another form.
    #[must_use]
    pub fn design(&self, design: Design) -> Option<&DesignRow> {
        match design {
            Design::Isolated => self.isolated.as_ref(),
            Design::BackToBack => self.back_to_back.as_ref(),
            Design::Pooled => None,
        }
    }

    /// Whether any start went well.
    #[must_use]
    pub fn has_starts(&self) -> bool {
        self.isolated.is_some() || self.back_to_back.is_some() || self.pooled.is_some()
    }
}

/// The starts of [`REFERENCE`] by design, which ratios are taken to.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    isolated: Option<Levels>,
    back_to_back: Option<Levels>,
}

impl Reference {
    pub fn from_samples(samples: &RungSamples<'_>) -> Self {
        Self {
            isolated: levels_of(samples, Design::Isolated, TOTAL),
            back_to_back: levels_of(samples, Design::BackToBack, TOTAL),
        }
    }
}

fn numbers<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<f64> {
    samples
        .filter(|s| s.error.is_none())
        .filter_map(|s| s.value.number())
        .map(|value| value as f64)
        .collect()
}

/// What the samples say of `rung`; `None` without any of the time part.
pub(crate) fn time_row(
    rung: &str,
    samples: &RungSamples<'_>,
    reference: &Reference,
) -> Option<TimeRow> {
    use Measure::{BackToBack, Batch, Calibrate, Cpu, Disk, DropCaches, Isolated, Request, Start};
    let made = [
        Isolated, BackToBack, Request, Start, Batch, Cpu, Disk, DropCaches, Calibrate,
    ];
    let any = made
        .iter()
        .find_map(|measure| samples.measured(measure).first())?;
    let failures: Vec<&Sample> = made
        .iter()
        .filter(|measure| **measure != Batch)
        .flat_map(|measure| samples.measured(measure).iter().copied())
        .filter(|s| s.error.is_some() && s.phase == TOTAL)
        .collect();
    let first = samples.measured(&Calibrate).iter().copied();
    let pooled = samples.measured(&Start).iter().copied();
    let pooled = pooled.filter(|s| s.workers == 1 && s.phase == TOTAL);
    let per = |measure, metric| PerStart::by_process(samples.measured(measure), &metric);
    let row = |design, reference: &Option<Levels>| {
        let reference = reference.as_ref().filter(|_| rung != REFERENCE);
        design_row(samples, design, reference)
    };
    Some(TimeRow {
        rung: rung.to_owned(),
        function: any.function.clone(),
        isolated: row(Design::Isolated, &reference.isolated),
        back_to_back: row(Design::BackToBack, &reference.back_to_back),
        pooled: Summary::from_values(&numbers(pooled)),
        handler: handler::handler_row(samples),
        first_ns: first_of_processes(first.filter(|s| s.phase == TOTAL)),
        throughput: passes::throughput(samples.measured(&Batch)),
        gap_ns: gap_ns(samples),
        cpu_ns: per(&Cpu, Metric::CpuNs),
        cpu_cycles: per(&Cpu, Metric::CpuCycles).marked_if_scaled(samples.measured(&Cpu)),
        client_cpu_ns: per(&Cpu, Metric::ClientCpuNs),
        read_bytes: per(&Disk, Metric::ReadBytes),
        write_bytes: per(&Disk, Metric::WriteBytes),
        cold_read_bytes: per(&DropCaches, Metric::ReadBytes),
        cold_write_bytes: per(&DropCaches, Metric::WriteBytes),
        cold_wall_ns: per(&DropCaches, Metric::WallNs),
        failed: failures.len() as u64,
        first_error: failures.first().and_then(|s| s.error.clone()),
    })
}

/// Median over the processes of the first start of each.
fn first_of_processes<'a>(samples: impl Iterator<Item = &'a Sample>) -> Option<f64> {
    let mut firsts: BTreeMap<u32, f64> = BTreeMap::new();
    for sample in samples.filter(|s| s.error.is_none()) {
        if let Some(ns) = sample.value.number() {
            firsts.entry(sample.process).or_insert(ns as f64);
        }
    }
    median(&firsts.into_values().collect::<Vec<_>>())
}

/// Median over the one-worker blocks of (batch - sum of its starts) / n.
fn gap_ns(samples: &RungSamples<'_>) -> Option<f64> {
    let mut starts: BTreeMap<u32, (u64, f64)> = BTreeMap::new();
    let loops = [Measure::BackToBack, Measure::Start];
    let loops = loops.iter().flat_map(|measure| samples.measured(measure));
    for sample in loops.filter(|s| s.workers == 1 && s.phase == TOTAL) {
        if let Some(ns) = sample.value.number() {
            let entry = starts.entry(sample.block).or_default();
            *entry = (entry.0 + 1, entry.1 + ns as f64);
        }
    }
    let batches = samples.measured(&Measure::Batch).iter();
    let gaps: Vec<f64> = batches
        .filter(|s| s.workers == 1 && s.n >= MIN_GAP_N && s.metric == Metric::WallNs)
        .filter_map(|batch| {
            let &(n, sum) = starts.get(&batch.block).filter(|(n, _)| *n == batch.n)?;
            Some((batch.value.number()? as f64 - sum) / n as f64)
        })
        .collect();
    median(&gaps)
}
