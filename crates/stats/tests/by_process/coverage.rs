//! How often each interval of 95 % covers the truth, for the layouts in use, on data that are skewed and where processes and
//! batches differ.

use crate::populations::{DESIGNS, Design, Population};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use stats::levels::{self, Levels};

/// Nominal 95 % is to lie between these.
const COVERAGE: std::ops::RangeInclusive<f64> = 0.92..=0.98;

/// Counts of draws, and of those whose interval covers the truth.
#[derive(Default)]
struct Covered {
    draws: f64,
    hits: f64,
}

impl Covered {
    fn count(&mut self, hit: bool) {
        self.draws += 1.0;
        self.hits += f64::from(u8::from(hit));
    }

    /// Whether the share lies in [`COVERAGE`] but for chance: three standard deviations of a binomial share.
    fn hold(&self, what: &str) {
        let share = self.hits / self.draws;
        let chance = |p: f64| 3.0 * (p * (1.0 - p) / self.draws).sqrt();
        let (lo, hi) = (*COVERAGE.start(), *COVERAGE.end());
        eprintln!("{what}: {share:.3}");
        assert!(
            (lo - chance(lo)..=hi + chance(hi)).contains(&share),
            "{what}: {share} of the intervals cover the truth"
        );
    }
}

/// Of six processes none shows a mode that 15 % have in two of five runs: what rests on the tail of a few values
/// cannot know of it, and only medians and ratios promise anything there.
fn promised(design: &Design, of_the_tail: bool) -> bool {
    !(of_the_tail && design.slow_share > 0.0)
}

#[test]
fn medians_and_ratios_cover_the_truth() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for design in DESIGNS {
        for (batches, starts) in [(3, 2), (3, 40), (20, 1)] {
            let population = Population::new(&mut rng, design, batches, starts);
            let truth = stats::median(&population.medians).expect("medians");
            for processes in [6, 10, 15] {
                let mut covered: [Covered; 2] = Default::default();
                for _ in 0..800 {
                    let a = population.draw_medians(&mut rng, processes);
                    let b = population.draw_medians(&mut rng, processes + 2);
                    let intervals = [
                        (levels::median(&a), truth),
                        (levels::ratio(&a, &b).expect("positive"), 1.0),
                    ];
                    for (covered, (found, truth)) in covered.iter_mut().zip(intervals) {
                        covered.count(found.interval.expect("six processes").contains(truth));
                    }
                }
                for (covered, what) in covered.iter().zip(["median", "ratio"]) {
                    let layout = format!("{processes} x {batches} x {starts}");
                    covered.hold(&format!("{what}, {}, {layout}", design.name));
                }
            }
        }
    }
}

/// Throughput, CPU time and I/O: means over processes of each one's mean, from the three starts of a slow rung on.
#[test]
fn means_cover_the_truth() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    for design in DESIGNS {
        if !promised(&design, true) {
            continue;
        }
        for (batches, starts) in [(1, 3), (3, 2), (2, 50), (20, 1)] {
            let population = Population::new(&mut rng, design, batches, starts);
            let means = population.means();
            let truth = means.iter().sum::<f64>() / means.len() as f64;
            for processes in [6, 10, 15] {
                let mut covered = Covered::default();
                for _ in 0..2000 {
                    let drawn: Vec<f64> = (0..processes)
                        .map(|_| means[rng.random_range(0..means.len())])
                        .collect();
                    let found = levels::mean_by_process(&drawn, drawn.len() * batches * starts)
                        .expect("values");
                    covered.count(found.interval.expect("six processes").contains(truth));
                }
                let layout = format!("{processes} x {batches} x {starts}");
                covered.hold(&format!("mean, {}, {layout}", design.name));
            }
        }
    }
}

#[test]
fn percentiles_cover_the_truth() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let layouts = [
        ((6, 3, 10), &[0.5, 0.9][..]),
        ((10, 20, 1), &[0.9]),
        ((10, 3, 40), &[0.99]),
    ];
    for design in DESIGNS {
        for ((processes, batches, starts), quantiles) in layouts {
            let population = Population::new(&mut rng, design, batches, starts);
            let all = population.values();
            for &q in quantiles {
                if !promised(&design, q > 0.5) {
                    continue;
                }
                let truth = stats::quantile(&all, q).expect("values");
                let mut covered = Covered::default();
                for _ in 0..500 {
                    let found = levels::quantile(&population.draw(&mut rng, processes), q);
                    covered.count(found.interval.expect("enough").contains(truth));
                }
                let layout = format!("{processes} x {batches} x {starts}");
                covered.hold(&format!("p{}, {}, {layout}", 100.0 * q, design.name));
            }
        }
    }
}

/// Medians of processes on a host whose state (AR(1), 0.7 from one process to the next) spreads as much as the processes do.
fn on_a_drifting_host(rng: &mut Xoshiro256PlusPlus, processes: usize) -> Levels {
    let mut state: f64 = rng.sample(StandardNormal);
    let medians: Vec<f64> = (0..processes)
        .map(|_| {
            let (moved, own): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            state = 0.7 * state + (1.0 - 0.7_f64.powi(2)).sqrt() * moved;
            (0.03 * (state + own)).exp()
        })
        .collect();
    Levels::one_per_process(&medians).expect("medians")
}

/// Taken for independent, seven of ten such intervals hold, however many processes there are. They hold the oftener the more
/// processes there are to see what drifts; of fewer than ten nobody can.
#[test]
fn intervals_widen_where_the_host_drifts() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    for (processes, least) in [(15, 0.80), (40, 0.88), (60, 0.90)] {
        let (mut median, mut same) = (Covered::default(), Covered::default());
        for _ in 0..2000 {
            let sides = [(); 2].map(|()| on_a_drifting_host(&mut rng, processes));
            let found = levels::median(&sides[0]).interval.expect("processes");
            median.count(found.contains(1.0));
            let compared = stats::verdict::compare(&[(&sides[0], &sides[1])], 0.05);
            same.count(compared[0].interval.expect("processes").contains(1.0));
        }
        for (covered, what) in [(median, "median"), (same, "two runs")] {
            let share = covered.hits / covered.draws;
            eprintln!("{what}, drifting host, {processes}: {share:.3}");
            assert!(share >= least, "{what} of {processes}: {share}");
        }
    }
}
