//! `mem`: what parked workers weigh.
//!
//! Each point of the sweep (rung x number of workers x repetition) has a fresh driver, in a seeded
//! random order. A thread samples the scope from ready to released.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::Probe;
use measure_core::contract::Scope;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use probes::cgroup::{memory_current_bytes, memory_peak_bytes};
use probes::kernel_memory::{KernelMemory, page_tables_of_all};
use stats::schedule::{Block, interleave};

use crate::drivers::Offer;
use crate::error::{BenchError, StepError};
use crate::recorder::{About, Recorder};
use crate::sampler::{Life, Watcher};
use crate::session::{Job, Session, Start};
use crate::trouble::Trouble;

/// How the sweep is sized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Numbers of workers for rungs that park one in less than [`FAST`].
    pub fast: Vec<usize>,
    /// And for the others.
    pub slow: Vec<usize>,
    /// How often every number of workers is swept, each time with fresh drivers.
    pub sweeps: u32,
}

/// Time to park one worker that tells heavy rungs (a container each) from light ones.
const FAST: Duration = Duration::from_millis(25);
/// Workers of the trial that tells them apart.
const TRIAL: usize = 2;
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

/// A rung of the sweep.
struct Weighed<'a> {
    offer: &'a Offer,
    /// Numbers of workers, each with how often it is still to be measured.
    counts: Vec<(usize, u32)>,
    sweeps: u32,
    /// Driver processes so far.
    processes: u32,
    /// Time to start, park one worker, and stop, as the trial had it.
    fixed: Duration,
    per_worker: Duration,
    failed: bool,
}

/// Measures the ready rungs of `offers`.
///
/// # Errors
/// The records cannot be written. What goes wrong with rungs is in the [`Trouble`].
pub fn measure(
    recorder: &mut Recorder,
    offers: &[Offer],
    job: &Job<'_>,
    sweep: &Sweep,
) -> Result<Trouble, BenchError> {
    let mut progress = Progress::begin("mem");
    let mut trouble = Trouble::default();
    let mut rungs = Vec::new();
    for offer in offers.iter().filter(|o| o.probe == Probe::Ready) {
        if interrupt::received().is_some() {
            break;
        }
        progress.show(&format!("{}: trial", offer.rung()));
        let trial = Point {
            count: TRIAL,
            process: 1,
        };
        match point(recorder, offer, job, trial, Some(sweep)) {
            Ok(cost) => {
                let rung = sized(offer, sweep, &cost);
                let all = rung
                    .counts
                    .iter()
                    .map(|&(n, times)| rung.expected(n) * times);
                progress.expect(all.sum());
                recorder.about_rung(offer.rung(), |info| info.plan = Some(rung.in_words()));
                rungs.push(rung);
            }
            Err(error) => {
                let error = error.of_rung()?;
                trouble.add(recorder, &mut progress, offer, job.named(), error)?;
            }
        }
    }
    recorder.save()?;
    let (plan, repetitions): (Vec<(usize, usize)>, Vec<u32>) = rungs
        .iter()
        .enumerate()
        .flat_map(|(index, rung)| {
            rung.counts
                .iter()
                .map(move |&(n, times)| ((index, n), times))
        })
        .unzip();
    for Block { task, .. } in interleave(recorder.seed(), &repetitions) {
        if interrupt::received().is_some() {
            break;
        }
        let (index, count) = plan[task];
        let rung = &mut rungs[index];
        if !rung.failed {
            progress.show(&format!("{}: {count} workers", rung.offer.rung()));
            rung.processes += 1;
            let process = rung.processes;
            if let Err(error) = point(recorder, rung.offer, job, Point { count, process }, None) {
                let error = error.of_rung()?;
                rung.failed = true;
                trouble.add(recorder, &mut progress, rung.offer, job.named(), error)?;
            }
        }
        progress.done(rung.expected(count));
    }
    Ok(trouble)
}

impl Weighed<'_> {
    fn expected(&self, count: usize) -> Duration {
        self.fixed + self.per_worker * u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn in_words(&self) -> String {
        let counts: Vec<String> = self.counts.iter().map(|(n, _)| n.to_string()).collect();
        format!(
            "a fresh driver per point, after a trial with {TRIAL} workers; {} sweeps over {} workers",
            self.sweeps,
            counts.join(", ")
        )
    }
}

impl Sweep {
    /// Whether a trial that took `parking` is one of the sweep's points already.
    fn includes(&self, parking: Duration) -> bool {
        !is_fast(parking) && self.slow.contains(&TRIAL)
    }
}

fn is_fast(parking: Duration) -> bool {
    parking / u32::try_from(TRIAL).unwrap_or(1) < FAST
}

fn sized<'a>(offer: &'a Offer, sweep: &Sweep, cost: &Cost) -> Weighed<'a> {
    let per_worker = cost.parking / u32::try_from(TRIAL).unwrap_or(1);
    let counts = if is_fast(cost.parking) {
        &sweep.fast
    } else {
        &sweep.slow
    };
    // The largest number that the rung can do is worth more than none.
    let most = offer.description.max_workers.max(1);
    let mut counts: Vec<usize> = counts.iter().map(|&n| n.min(most)).collect();
    counts.dedup();
    let includes_trial = sweep.includes(cost.parking);
    let left = |n: usize| sweep.sweeps - u32::from(includes_trial && n == TRIAL);
    let counts = counts.into_iter().map(|n| (n, left(n))).collect();
    Weighed {
        offer,
        counts,
        sweeps: sweep.sweeps,
        processes: 1,
        fixed: cost.whole.saturating_sub(cost.parking),
        per_worker,
        failed: false,
    }
}

/// What a driver process of the sweep is for.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// Workers to park.
    count: usize,
    /// Its number among the rung's, from 1.
    process: u32,
}

/// How long a point took.
struct Cost {
    parking: Duration,
    whole: Duration,
}

/// Parks `count` workers and writes down what they weigh. A trial of `sweep` counts as a point of it only if
/// it has the size of one.
fn point(
    recorder: &mut Recorder,
    offer: &Offer,
    job: &Job<'_>,
    Point { count, process }: Point,
    trial_of: Option<&Sweep>,
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
    let tables = page_tables_of_all(&life.pids);
    let closed = session.close();
    let after = counters()?;

    let about = About {
        rung: offer.rung(),
        function: &function,
        measure: match trial_of {
            Some(sweep) if !sweep.includes(parking) => &Measure::Trial,
            _ => &Measure::Hold,
        },
        n: count as u64,
        workers: u32::try_from(count).unwrap_or(u32::MAX),
        process,
        order: 0,
    };
    write_life(recorder, about, &life)?;
    recorder.value(
        about,
        phase::PARKED,
        Metric::ScopePageTablesBytes,
        tables.into(),
    )?;
    recorder.value(about, phase::PARKED, Metric::CgroupBytes, group.now)?;
    recorder.value(about, phase::PEAK, Metric::CgroupPeakBytes, group.peak)?;
    for (phase, counters) in [
        (phase::BEFORE, before),
        (phase::PARKED, kernel),
        (phase::AFTER, after),
    ] {
        for (metric, value) in counters.metrics() {
            recorder.value(about, phase, metric, value.into())?;
        }
    }
    closed?;
    Ok(Cost {
        parking,
        whole: begun.elapsed(),
    })
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
