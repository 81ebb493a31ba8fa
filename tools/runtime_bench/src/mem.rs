//! `mem`: what parked workers weigh.
//!
//! Each point of the sweep (rung x number of workers x repetition) has a fresh driver, in a seeded
//! random order. A thread samples the scope from ready to released.

mod point;

use std::time::Duration;

use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::Probe;
use measure_core::contract::vocabulary::Measure;
use stats::schedule::{Block, interleave};

use crate::drivers::Offer;
use crate::error::BenchError;
use crate::recorder::Recorder;
use crate::session::Job;
use crate::trouble::Trouble;
use point::{Cost, Point, measure_point};

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
    let mut rungs = trials(recorder, offers, job, sweep, &mut progress, &mut trouble)?;
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
            let point = Point { count, process };
            let outcome = measure_point(recorder, rung.offer, job, point, |_| Measure::Hold);
            if let Err(error) = outcome {
                let error = error.of_rung()?;
                rung.failed = true;
                trouble.add(recorder, &mut progress, rung.offer, job.named(), error)?;
            }
        }
        progress.done(rung.expected(count));
    }
    Ok(trouble)
}

/// A trial of each ready rung, which says how many workers it is swept over.
fn trials<'a>(
    recorder: &mut Recorder,
    offers: &'a [Offer],
    job: &Job<'_>,
    sweep: &Sweep,
    progress: &mut Progress,
    trouble: &mut Trouble,
) -> Result<Vec<Weighed<'a>>, BenchError> {
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
        // It counts as a point only if it has the size of one.
        let measured = |parking| match sweep.includes(parking) {
            true => Measure::Hold,
            false => Measure::Trial,
        };
        match measure_point(recorder, offer, job, trial, measured) {
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
                trouble.add(recorder, progress, offer, job.named(), error)?;
            }
        }
    }
    Ok(rungs)
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

/// Fresh drivers for every number of workers: what one of them was laid out like is not what is measured.
const SWEEPS: u32 = 3;

impl Sweep {
    /// That of `quick`.
    pub fn quick() -> Self {
        Self {
            fast: vec![100, 200, 400],
            slow: vec![2, 4, 8],
            sweeps: SWEEPS,
        }
    }

    /// That of `mem --full`.
    pub fn full() -> Self {
        Self {
            fast: vec![500, 1000, 2000],
            slow: vec![100, 200, 300],
            sweeps: SWEEPS,
        }
    }

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
