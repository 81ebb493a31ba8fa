//! What the points say of each rung.

use std::collections::BTreeMap;

use measure_core::contract::load_point::{KeptAlive, LoadPoint};
use stats::levels::{Counted, Estimate, Levels, mean_by_process, median};

use super::hdr::Latencies;
use super::knee::Knee;
use super::points::Measured;

/// A rung under load.
#[derive(Debug, Clone)]
pub struct RungLoad {
    /// Ladder id.
    pub rung: String,
    /// `user/function`.
    pub function: String,
    /// How arrivals were drawn.
    pub pattern: String,
    /// Starts under way at once at most.
    pub workers: u32,
    /// The latency that it is to hold at p99.
    pub slo_ns: u64,
    /// Median start of one worker in a closed loop.
    pub unloaded_ns: u64,
    /// Starts a second in a closed loop of as many workers: of each process the median of those beside its rates.
    pub closed_loop: Option<Estimate>,
    /// In rising order of the rate.
    pub rates: Vec<RateRow>,
    /// The largest rate at which it held what it is to hold.
    pub knee: Knee,
}

/// A rung at one rate.
#[derive(Debug, Clone)]
pub struct RateRow {
    /// Arrivals a second, as asked for.
    pub offered_per_s: f64,
    /// Starts that went well, a second; mean over the processes.
    pub achieved_per_s: Option<Estimate>,
    /// From due to torn down, by process; failed and refused ones beyond all others.
    pub latency: Counted,
    /// How many arrivals there were.
    pub arrivals: u64,
    /// Those whose start failed.
    pub failed: u64,
    /// Those that were never begun.
    pub refused: u64,
    /// Why the first that failed did.
    pub error: Option<String>,
    /// Arrivals that waited, averaged over time and processes.
    pub queue_mean: f64,
    /// The same at most.
    pub queue_max: u64,
    /// CPU time of the scope over wall time: how many CPUs it kept busy; `None` where it cannot be had.
    pub cpus: Option<f64>,
    /// How late the generator let arrivals go, of all processes, unfit points included.
    pub late: Latencies,
    /// The generator's CPU time over wall time, without handing over.
    pub generator_cpus: f64,
    /// Points that are in none of these numbers but the generator's: how many, and why the first.
    pub unfit: Option<(usize, String)>,
    /// Points in which the host was disturbed, which count all the same: how many, and by what the first.
    pub disturbed: Option<(usize, String)>,
    /// Whether the rung kept up with what was due, in most processes.
    pub follows: bool,
    /// What keeping workers would have saved, over all processes, by for how long; of mixes and traces.
    pub kept: Vec<KeptAlive>,
}

impl RateRow {
    /// The `q` quantile of the latency with its interval.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Estimate> {
        self.latency.quantile(q)
    }
}

/// What `points` say of each rung, in the order in which rungs first appear.
pub(crate) fn rungs(points: &[Measured]) -> Vec<RungLoad> {
    let mut order: Vec<(&str, &str)> = Vec::new();
    for Measured { point, .. } in points {
        let key = (point.rung.as_str(), point.function.as_str());
        if !order.contains(&key) {
            order.push(key);
        }
    }
    let points_of = |(rung, function): (&str, &str)| -> Vec<&Measured> {
        let is_it = |m: &&Measured| m.point.rung == rung && m.point.function == function;
        points.iter().filter(is_it).collect()
    };
    order
        .into_iter()
        .filter_map(|key| rung_load(&points_of(key)))
        .collect()
}

fn rung_load(points: &[&Measured]) -> Option<RungLoad> {
    let first = &points.first()?.point;
    let mut closed: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    // Ordered as rates are: none is negative, so their bits are.
    let mut by_rate: BTreeMap<u64, Vec<&Measured>> = BTreeMap::new();
    for measured in points {
        let point = &measured.point;
        let beside = closed.entry(point.process).or_default();
        beside.push(point.closed_loop_per_s);
        let bits = point.offered_per_s.to_bits();
        by_rate.entry(bits).or_default().push(measured);
    }
    let closed = closed.into_values();
    let closed: Vec<f64> = closed.filter_map(|each| stats::median(&each)).collect();
    let rates = by_rate.into_values().filter_map(|points| rate_row(&points));
    Some(RungLoad {
        rung: first.rung.clone(),
        function: first.function.clone(),
        pattern: first.pattern.clone(),
        workers: first.workers,
        slo_ns: first.slo_ns,
        unloaded_ns: first.unloaded_ns,
        closed_loop: Levels::one_per_process(&closed).map(|levels| median(&levels)),
        rates: rates.collect(),
        knee: Knee::from_points(points, first.slo_ns),
    })
}

fn rate_row(points: &[&Measured]) -> Option<RateRow> {
    let offered_per_s = points.first()?.point.offered_per_s;
    let (fit, unfit): (Vec<&&Measured>, Vec<_>) = points
        .iter()
        .partition(|m| m.point.generator.unfit.is_none());
    let sum = |count: fn(&LoadPoint) -> u64| fit.iter().map(|m| count(&m.point)).sum::<u64>();
    let achieved: Vec<f64> = fit.iter().map(|m| m.point.achieved_per_s()).collect();
    let starts = usize::try_from(sum(LoadPoint::served)).unwrap_or(usize::MAX);
    let mut late = Latencies::new().ok()?;
    for measured in points {
        late.merge(&measured.late).ok()?;
    }
    let wall_ns: u64 = points.iter().map(|m| m.point.duration_ns).sum();
    let generator_ns: u64 = points.iter().map(|m| m.point.generator.cpu_ns).sum();
    let first_reason = |of: &[&&Measured], why: fn(&LoadPoint) -> Option<&String>| {
        let said: Vec<&String> = of.iter().filter_map(|m| why(&m.point)).collect();
        said.first().map(|why| (said.len(), (*why).clone()))
    };
    Some(RateRow {
        offered_per_s,
        achieved_per_s: mean_by_process(&achieved, starts),
        latency: Counted::new(
            fit.iter()
                .map(|m| m.latency.counted(m.point.failed + m.point.refused)),
        ),
        arrivals: sum(|p| p.arrivals),
        failed: sum(|p| p.failed),
        refused: sum(|p| p.refused),
        error: fit.iter().find_map(|m| m.point.error.clone()),
        queue_mean: fit.iter().fold(0.0, |sum, m| sum + m.point.queue_mean)
            / fit.len().max(1) as f64,
        queue_max: fit.iter().map(|m| m.point.queue_max).max().unwrap_or(0),
        cpus: cpus(&fit),
        late,
        generator_cpus: generator_ns as f64 / wall_ns.max(1) as f64,
        unfit: first_reason(&unfit, |p| p.generator.unfit.as_ref()),
        disturbed: first_reason(&fit, |p| p.disturbed.as_ref()),
        kept: kept(&fit),
        follows: 2 * fit.iter().filter(|m| m.point.follows()).count() > fit.len(),
    })
}

/// By for how long workers are kept: sums of starts, means of workers.
fn kept(points: &[&&Measured]) -> Vec<KeptAlive> {
    let mut by_time: BTreeMap<u64, Vec<&KeptAlive>> = BTreeMap::new();
    for kept in points.iter().flat_map(|m| &m.point.kept_alive) {
        by_time.entry(kept.kept_ns).or_default().push(kept);
    }
    let sums = by_time.into_iter().map(|(kept_ns, each)| KeptAlive {
        kept_ns,
        starts: each.iter().map(|k| k.starts).sum(),
        cold: each.iter().map(|k| k.cold).sum(),
        workers_mean: each.iter().map(|k| k.workers_mean).sum::<f64>() / each.len() as f64,
        workers_max: each.iter().map(|k| k.workers_max).max().unwrap_or(0),
    });
    sums.collect()
}

fn cpus(points: &[&&Measured]) -> Option<f64> {
    let spent: Option<Vec<f64>> = points
        .iter()
        .map(|m| m.point.cpu_ns.number().map(|ns| ns as f64))
        .collect();
    let wall: f64 = points.iter().map(|m| m.point.begun_within_ns as f64).sum();
    let spent: f64 = spent?.iter().sum();
    (wall > 0.0).then(|| spent / wall)
}
