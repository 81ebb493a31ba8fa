//! How often the intervals of a run that was planned as it went cover the truth: the planner itself, from the first process to the
//! last, on drawn starts, with skew and with effects of processes and batches.

use std::collections::BTreeMap;
use std::time::Duration;

use measure_core::contract::{Description, Probe};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use stats::levels::{self, Levels};
use stats::verdict;

use super::{levels as levels_of, rework};
use crate::common_options::DEFAULT_IDLE;
use crate::drivers::Offer;
use crate::engines::Driver;
use crate::plan::{Pass, Sizes};
use crate::rounds::{self, Standing};
use crate::time::live::Live;
use crate::time::planned;
use crate::time::seen::Seen;

#[path = "../../../../../crates/stats/tests/by_process/populations.rs"]
#[expect(dead_code, reason = "the tests of stats draw in other ways besides")]
mod populations;
use populations::{DESIGNS, Design, process};

/// Nominal 95 % is to lie between these.
const COVERAGE: (f64, f64) = (0.92, 0.98);
/// Fewer where nothing of ours is optimised; what is held against [`COVERAGE`] allows for that.
const RUNS: u32 = if cfg!(debug_assertions) { 150 } else { 600 };
/// As of `compare`.
const MARGIN: f64 = 0.05;
/// Processes of which the truth about all is taken.
const ALL: usize = 4000;

fn sizes() -> Sizes {
    Sizes {
        iterations: None,
        isolated: None,
        idle: DEFAULT_IDLE,
        workers: vec![1],
        processes: None,
        sets: 1,
        requests: false,
        strict: false,
        budget: Duration::from_secs(12),
        within: None,
        is_scaling: false,
    }
}

fn offer() -> Offer {
    Offer {
        driver: Driver::default(),
        description: Description::default(),
        probe: Probe::Ready,
    }
}

/// A process that makes its starts of a median of `start_ns`, by the layout that `rung` has at present. Two fifths of the time that
/// it has go to opening, as drivers' do.
fn make_process(rng: &mut Xoshiro256PlusPlus, rung: &mut Live<'_>, design: Design, start_ns: f64) {
    rung.process += 1;
    if rung.never_started() {
        rung.size(&sizes(), start_ns as u64);
    }
    let number = rung.process;
    let isolated = process(rng, design, rung.isolated() as usize, 1);
    for (turn, values) in (0..).zip(isolated) {
        rung.seen
            .isolated
            .push((number, turn, start_ns * values[0]));
    }
    let tasks = rung.tasks();
    let loops = tasks.iter().filter(|task| task.pass == Pass::BackToBack);
    for task in loops {
        let batches = process(rng, design, task.repetitions as usize, task.starts as usize);
        for (batch, values) in (0..).zip(batches) {
            let starts = values.iter().map(|value| (number, batch, start_ns * value));
            rung.seen.back_to_back.extend(starts);
        }
    }
    let took = rung.estimate() + Duration::from_millis(100) * rung.isolated() as u32;
    rung.turns += Duration::from_millis(100) * rung.isolated() as u32;
    rung.opening += took.mul_f64(0.4);
    rung.spent += took.mul_f64(1.4);
    rung.done += 1;
}

/// A run of one rung from its beginning to its end.
fn run(rng: &mut Xoshiro256PlusPlus, offer: &Offer, design: Design, start_ns: f64) -> (Seen, u64) {
    let sizes = sizes();
    let mut rungs = [Live::new(offer)];
    loop {
        let standings = planned(&rungs, &sizes, rungs[0].spent);
        rungs[0].replan(standings[0].planned);
        let standings: Vec<Standing> = rungs.iter().map(Live::standing).collect();
        if rounds::next_round(&standings).is_empty() {
            let [rung] = rungs;
            let isolated = rung.isolated();
            return (rung.seen, isolated);
        }
        make_process(rng, &mut rungs[0], design, start_ns);
        rework(&mut rungs[0], &sizes);
    }
}

/// The median of all processes' medians of so many isolated starts.
fn truth(
    known: &mut BTreeMap<u64, f64>,
    rng: &mut Xoshiro256PlusPlus,
    design: Design,
    isolated: u64,
) -> f64 {
    *known.entry(isolated).or_insert_with(|| {
        let medians: Vec<f64> = (0..ALL)
            .filter_map(|_| stats::median(&process(rng, design, isolated as usize, 1).concat()))
            .collect();
        stats::median(&medians).expect("medians")
    })
}

fn share(hits: u32) -> f64 {
    f64::from(hits) / f64::from(RUNS)
}

/// Three standard deviations of a binomial share.
fn chance(p: f64) -> f64 {
    3.0 * (p * (1.0 - p) / f64::from(RUNS)).sqrt()
}

/// Simulates [`RUNS`] runs, each with a second that is no different.
fn check(design: Design, start_ns: f64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(start_ns as u64);
    let (offer, mut known) = (offer(), BTreeMap::new());
    let (mut covered, mut differing, mut processes) = (0, 0, 0);
    let medians = |rng: &mut Xoshiro256PlusPlus| -> (Levels, u64) {
        let (seen, isolated) = run(rng, &offer, design, start_ns);
        (levels_of(&seen.isolated).expect("starts"), isolated)
    };
    for _ in 0..RUNS {
        let (one, isolated) = medians(&mut rng);
        let (other, _) = medians(&mut rng);
        let truth = start_ns * truth(&mut known, &mut rng, design, isolated);
        let median = levels::median(&one).interval.expect("six processes");
        covered += u32::from(median.contains(truth));
        let ratio = verdict::compare(&[(&one, &other)], MARGIN)[0].interval;
        differing += u32::from(!ratio.expect("six processes").contains(1.0));
        processes += one.processes().len();
    }
    let (covered, differing) = (share(covered), share(differing));
    let what = format!(
        "{}, {start_ns} ns, {:.1} processes: {covered:.3} covered, {differing:.3} differ",
        design.name,
        processes as f64 / f64::from(RUNS)
    );
    eprintln!("{what}");
    let (lo, hi) = COVERAGE;
    assert!(
        (lo - chance(lo)..=hi + chance(hi)).contains(&covered),
        "{what}"
    );
    assert!(differing <= 0.05 + chance(0.05), "{what}");
}

#[test]
fn intervals_of_fast_rungs_cover_the_truth_however_many_processes_were_added() {
    for design in DESIGNS {
        check(design, 100_000.0);
    }
}

#[test]
fn intervals_of_slow_rungs_cover_the_truth_however_many_processes_were_added() {
    for design in DESIGNS {
        check(design, 20_000_000.0);
    }
}
