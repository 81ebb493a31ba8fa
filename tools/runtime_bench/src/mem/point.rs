//! A point of the sweep: so many workers parked by a fresh driver, and what they weigh.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::contract::Scope;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use probes::cgroup::{memory_current_bytes, memory_peak_bytes};
use probes::kernel_memory::{KernelMemory, page_tables_of_all};

use crate::drivers::Offer;
use crate::error::{BenchError, StepError};
use crate::link::Start;
use crate::recorder::{About, Recorder};
use crate::sampler::{Life, Watcher};
use crate::session::{Job, Session};

/// What parking a worker may take at most, on the safe side.
const PARKING: Duration = Duration::from_millis(150);
/// The kernel frees namespaces and cgroups of the last driver asynchronously. Its counters have settled
/// once they move less than this in a step; on a busy host they never do.
const SETTLED_BYTES: u64 = 128 << 10;
/// What tells by moving that leftovers are still being taken down.
const SETTLING: [Metric; 3] = [
    Metric::SlabUnreclaimableBytes,
    Metric::PercpuBytes,
    Metric::KernelStacksBytes,
];
const SETTLE_STEP: Duration = Duration::from_millis(150);
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// What a driver process of the sweep is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// Workers to park.
    pub(super) count: usize,
    /// Its number among the rung's, from 1.
    pub(super) process: u32,
}

/// How long a point took.
pub(super) struct Cost {
    pub(super) parking: Duration,
    pub(super) whole: Duration,
}

/// Parks `count` workers and writes down what they weigh, as the `measure` of a point whose parking took so long.
pub(super) fn measure_point(
    recorder: &mut Recorder,
    offer: &Offer,
    job: &Job<'_>,
    Point { count, process }: Point,
    measure: impl FnOnce(Duration) -> Measure,
) -> Result<Cost, StepError> {
    recorder.next_block();
    let begun = Instant::now();
    let before = settled()?;
    let mut session = Session::start(Start {
        driver: &offer.driver,
        command: "hold",
        count: count as u64,
        rung: offer.rung(),
        function: job.function,
        workers: None,
        log: recorder.log("mem", offer.rung(), process),
        patience: job.patience,
        environment_padding_bytes: 0,
        home: None,
        takes_releases: false,
    })?;
    let (scope, function) = (session.scope.clone(), session.function.clone());
    recorder.about_rung(offer.rung(), |info| {
        info.function = Some(function.clone());
        info.scope = Some(scope.includes.clone());
        info.description = session.description.clone();
    });
    let watcher = Watcher::start(scope.clone()).map_err(BenchError::from)?;
    watcher.ready();
    let parking = Instant::now();
    let expected = PARKING * u32::try_from(count).unwrap_or(u32::MAX);
    session.park(expected)?;
    let parking = parking.elapsed();
    watcher.parked();
    let kernel = counters()?;
    let group = Group::read_from(&scope);
    let life = watcher.finish();
    let page_tables = page_tables_of_all(&life.pids);
    let closed = session.close();
    let after = counters()?;

    let about = About {
        rung: offer.rung(),
        function: &function,
        measure: &measure(parking),
        n: count as u64,
        workers: u32::try_from(count).unwrap_or(u32::MAX),
        process,
        order: 0,
    };
    write_life(recorder, about, &life)?;
    let tables = Metric::ScopePageTablesBytes;
    recorder.value(about, phase::PARKED, tables, page_tables.into())?;
    recorder.value(about, phase::PARKED, Metric::CgroupBytes, group.now)?;
    recorder.value(about, phase::PEAK, Metric::CgroupPeakBytes, group.peak)?;
    write_counters(recorder, about, [before, kernel, after])?;
    closed?;
    Ok(Cost {
        parking,
        whole: begun.elapsed(),
    })
}

/// The whole host's counters, before the driver, while its workers are parked, and after it.
fn write_counters(
    recorder: &mut Recorder,
    about: About<'_>,
    counters: [KernelMemory; 3],
) -> Result<(), BenchError> {
    for (phase, counters) in [phase::BEFORE, phase::PARKED, phase::AFTER]
        .into_iter()
        .zip(counters)
    {
        for (metric, value) in counters.metrics() {
            recorder.value(about, phase, metric, value.into())?;
        }
    }
    Ok(())
}

fn counters() -> Result<KernelMemory, BenchError> {
    Ok(KernelMemory::now()?)
}

/// The host's counters once they have settled, or at last as they are.
fn settled() -> Result<KernelMemory, BenchError> {
    let until = Instant::now() + SETTLE_LIMIT;
    let mut then = counters()?;
    loop {
        let on = interrupt::sleep(SETTLE_STEP);
        let now = counters()?;
        let moved = now.moved_bytes(&then, &SETTLING);
        if moved < SETTLED_BYTES || Instant::now() >= until || !on {
            return Ok(now);
        }
        then = now;
    }
}

/// Memory charged to the scope's cgroups.
struct Group {
    now: Value,
    peak: Value,
}

impl Group {
    fn read_from(scope: &Scope) -> Self {
        let dirs = scope
            .groups()
            .map(|group| group.get("memory").or_else(|| group.get("unified")));
        let dirs: Option<Vec<&PathBuf>> = dirs.collect();
        // Who started what is in the groups is outside of them.
        let dirs = dirs.filter(|_| !scope.starters).unwrap_or_default();
        let unavailable = |why: &str| Value::Unavailable(why.into());
        match dirs[..] {
            [] => {
                let why = "the scope has no cgroups that hold all of it and count memory, run as root on a host with the memory controller, and an \
                           engine elsewhere as a service";
                Self {
                    now: unavailable(why),
                    peak: unavailable(why),
                }
            }
            [dir] => Self {
                now: memory_current_bytes(dir).into(),
                peak: memory_peak_bytes(dir).into(),
            },
            _ => {
                let all = dirs.iter().map(|dir| memory_current_bytes(dir));
                Self {
                    now: all.sum::<Result<u64, _>>().into(),
                    peak: unavailable("peaks of several cgroups do not add up"),
                }
            }
        }
    }
}

fn write_life(recorder: &mut Recorder, about: About<'_>, life: &Life) -> Result<(), BenchError> {
    if let Some(why) = &life.unreadable {
        for phase in [phase::PARKED, phase::PEAK] {
            recorder.value(
                about,
                phase,
                Metric::PssBytes,
                Value::Unavailable(why.clone()),
            )?;
        }
        return Ok(());
    }
    for (phase, walks) in [(phase::READY, &life.ready), (phase::PARKED, &life.parked)] {
        for (order, walk) in (0..).zip(walks) {
            let about = About { order, ..about };
            recorder.value(about, phase, Metric::PssBytes, walk.memory.pss_bytes.into())?;
            recorder.value(about, phase, Metric::UssBytes, walk.memory.uss_bytes.into())?;
            recorder.value(about, phase, Metric::RssBytes, walk.memory.rss_bytes.into())?;
            recorder.value(
                about,
                phase,
                Metric::SwapBytes,
                walk.memory.swap_bytes.into(),
            )?;
            recorder.value(about, phase, Metric::Processes, walk.processes.into())?;
            recorder.value(
                about,
                phase,
                Metric::WalkNs,
                (walk.end_ns - walk.start_ns).into(),
            )?;
            if let Some(client) = walk.client_pss_bytes {
                recorder.value(about, phase, Metric::ClientPssBytes, client.into())?;
            }
        }
    }
    recorder.value(
        about,
        phase::PEAK,
        Metric::PssBytes,
        life.peak_pss_bytes.into(),
    )?;
    recorder.value(about, phase::PEAK, Metric::Walks, life.walks.into())?;
    Ok(())
}
