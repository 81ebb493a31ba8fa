//! One point: arrivals to a driver process, or to several on one time line.

use std::time::Duration;

use measure_core::base::clock::now_ns;
use measure_core::contract::load_point::{GeneratorRecord, LoadPoint};
use measure_core::contract::open_loop::{Arrivals, OpenLoop};
use measure_core::contract::sample::Value;
use probes::host_watch::{HostWatch, Verdict};
use report::load::hdr::{HdrError, Latencies};

use super::generator::{self, Door, Generated, Generator};
use super::keep_alive::{KEPT_NS, keep_alive};
use super::queue::queue;
use crate::counters::{CpuCost, CpuMeter};
use crate::error::{BenchError, StepError};
use crate::session::Session;

/// From telling drivers when their loop begins until it does.
const LEAD_NS: u64 = 10_000_000;
/// After the last arrival starts may begin for as long as arrivals came, and this.
const DRAIN_NS: u64 = 1_000_000_000;

/// What is offered, and to whom.
#[derive(Debug, Clone)]
pub struct Offered {
    /// Ladder id.
    pub rung: String,
    /// Which driver process of it, from 1.
    pub process: u32,
    /// How arrivals follow one another, in words.
    pub pattern: String,
    /// What they were drawn with.
    pub seed: u64,
    /// Arrivals a second.
    pub per_s: f64,
    /// For how long.
    pub duration_ns: u64,
    /// Starts under way at once.
    pub workers: usize,
    /// What the process made in a closed loop, starts a second.
    pub closed_loop_per_s: f64,
    /// Median start of one worker alone.
    pub unloaded_ns: u64,
    /// What p99 is to hold.
    pub slo_ns: u64,
}

/// A driver process, what is offered to it, and when.
pub struct Lane<'a> {
    /// The driver.
    pub session: &'a mut Session,
    /// When arrivals are due, from the loop's beginning, in rising order; at least one.
    pub offsets_ns: Vec<u64>,
    /// What they are.
    pub offered: Offered,
    /// Workers there beforehand, for what keeping them would save; `None` if that is not asked.
    pub parked: Option<usize>,
}

/// Offers all `lanes` what they are to get, on one time line, and says what became of each. The generator has `own_cpu` alone, if there
/// is one.
///
/// # Errors
/// A driver fails or dies, or a signal comes to us.
pub fn measure(
    lanes: &mut [Lane<'_>],
    own_cpu: Option<usize>,
) -> Result<Vec<LoadPoint>, StepError> {
    let longest_ns = lanes.iter().map(|lane| lane.offered.duration_ns).max();
    let drain_ns = longest_ns.unwrap_or(0) + DRAIN_NS;
    let mut doors = Vec::new();
    for lane in lanes.iter_mut() {
        let open = OpenLoop::at(&lane.offsets_ns, drain_ns);
        lane.session.arm(open, lane.offered.workers)?;
        let (pipe, page) = lane.session.releases()?;
        doors.push(Door { pipe, page });
    }
    let scopes: Vec<_> = lanes
        .iter()
        .map(|lane| lane.session.scope.clone())
        .collect();
    let watch = HostWatch::start_scopes(&scopes);
    let mut meters: Vec<_> = scopes.iter().map(|s| Some(CpuMeter::open(s))).collect();
    let mut generator = Generator::start(
        doors,
        generator::Arrivals {
            due: due(lanes),
            workers: lanes.iter().map(|l| l.offered.workers).max().unwrap_or(1),
            own_cpu,
        },
    )?;
    let begin_ns = now_ns() + LEAD_NS;
    for lane in lanes.iter_mut() {
        lane.session.begin(begin_ns)?;
    }
    generator.begin(begin_ns);
    let expected = Duration::from_nanos(longest_ns.unwrap_or(0) + drain_ns);
    let mut made = Vec::new();
    for (lane, meter) in lanes.iter_mut().zip(&mut meters) {
        let mut cost = None;
        let mut read = || cost = meter.take().map(CpuMeter::read);
        let (told, _) = lane.session.arrivals(expected, &mut read)?;
        made.push((told, cost));
    }
    let disturbed = match watch.end().verdict() {
        Verdict::Disturbed(by) => by.first().map(ToString::to_string),
        _ => None,
    };
    let generated = generator.finish()?;
    let points = lanes.iter().zip(made).map(|(lane, (told, cost))| {
        let mut point = point(lane, &told, cost, &generated)?;
        point.disturbed.clone_from(&disturbed);
        Ok(point)
    });
    let points: Result<Vec<LoadPoint>, HdrError> = points.collect();
    Ok(points.map_err(BenchError::from)?)
}

/// All arrivals on one time line, each with its lane.
fn due(lanes: &[Lane<'_>]) -> Vec<(u64, usize)> {
    let mut due: Vec<(u64, usize)> = (0..)
        .zip(lanes)
        .flat_map(|(index, lane)| lane.offsets_ns.iter().map(move |&at| (at, index)))
        .collect();
    due.sort_unstable();
    due
}

fn point(
    lane: &Lane<'_>,
    told: &[Arrivals],
    cost: Option<CpuCost>,
    generated: &Generated,
) -> Result<LoadPoint, HdrError> {
    let offered = &lane.offered;
    let Told {
        latency,
        waited,
        waits,
        spans,
        failed,
    } = Told::count(told, &lane.offsets_ns)?;
    let queue = queue(&lane.offsets_ns, &waits, offered.duration_ns);
    let kept = |parked| KEPT_NS.map(|ns| keep_alive(&spans, parked, ns, queue.span_ns));
    let (cpu_ns, client_cpu_ns) = match cost {
        Some(cost) => (cost.scope_ns.into(), cost.client_ns.map(Value::from)),
        None => (Value::Unavailable("not read".to_owned()), None),
    };
    Ok(LoadPoint {
        // What the recorder knows.
        schema: 0,
        run: String::new(),
        block: 0,
        rung: offered.rung.clone(),
        function: lane.session.function.clone(),
        process: offered.process,
        pattern: offered.pattern.clone(),
        seed: offered.seed,
        offered_per_s: offered.per_s,
        duration_ns: offered.duration_ns,
        workers: u32::try_from(offered.workers).unwrap_or(u32::MAX),
        closed_loop_per_s: offered.closed_loop_per_s,
        unloaded_ns: offered.unloaded_ns,
        slo_ns: offered.slo_ns,
        arrivals: lane.offsets_ns.len() as u64,
        failed,
        refused: waits.iter().filter(|wait| wait.is_none()).count() as u64,
        error: told.iter().find_map(|a| a.error.clone()),
        begun_within_ns: queue.span_ns,
        queue_mean: queue.mean,
        queue_max: queue.max,
        cpu_ns,
        client_cpu_ns,
        generator: GeneratorRecord {
            late: generated.late.encode()?,
            cpu_ns: generated.cpu_ns,
            hand_off_ns: generated.hand_off_ns,
            is_real_time: generated.is_real_time,
            unfit: generated.unfit(offered.slo_ns, offered.per_s, offered.duration_ns),
        },
        disturbed: None,
        kept_alive: lane.parked.map_or_else(Vec::new, |n| kept(n).to_vec()),
        latency: latency.encode()?,
        waited: waited.encode()?,
    })
}

/// What a driver told of its arrivals.
struct Told {
    /// From due to torn down, of starts that went well.
    latency: Latencies,
    /// From due to begun.
    waited: Latencies,
    /// The same, of each arrival; `None` if it was refused.
    waits: Vec<Option<u64>>,
    /// When each start that went well was due and ended, from the loop's beginning.
    spans: Vec<(u64, u64)>,
    failed: u64,
}

impl Told {
    fn count(told: &[Arrivals], offsets_ns: &[u64]) -> Result<Self, HdrError> {
        let mut all = Self {
            latency: Latencies::new()?,
            waited: Latencies::new()?,
            waits: Vec::with_capacity(offsets_ns.len()),
            spans: Vec::with_capacity(offsets_ns.len()),
            failed: 0,
        };
        for arrivals in told {
            all.failed += arrivals.failed.len() as u64;
            all.waits.extend(&arrivals.waited_ns);
            let each = arrivals.waited_ns.iter().zip(&arrivals.took_ns);
            for (index, (wait, took)) in (arrivals.first..).zip(each) {
                let Some(wait) = *wait else { continue };
                all.waited.record_ns(wait);
                if arrivals.failed.binary_search(&index).is_err() {
                    all.latency.record_ns(wait + took);
                    let due_ns = offsets_ns.get(index).copied().unwrap_or(0);
                    all.spans.push((due_ns, due_ns + wait + took));
                }
            }
        }
        all.waits.resize(offsets_ns.len(), None);
        Ok(all)
    }
}
