//! Processes that differ, whose truth is known, for the tests that draw from them.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Exp1, StandardNormal};
use stats::levels::Levels;

/// How values arise: standard deviations of the effects of processes, batches and starts on the logarithmic scale.
#[derive(Clone, Copy)]
pub struct Design {
    pub name: &'static str,
    processes: f64,
    batches: f64,
    starts: f64,
    /// Starts have an exponential tail, and 3 % of them lie far out.
    pub skewed: bool,
    /// This share of the processes takes twice as long.
    pub slow_share: f64,
}

pub const DESIGNS: [Design; 5] = [
    design("alike", [0.0, 0.0, 0.1], false, 0.0),
    design("some of each", [0.05, 0.05, 0.1], false, 0.0),
    design("processes, skewed", [0.15, 0.05, 0.2], true, 0.0),
    design("batches, skewed", [0.02, 0.2, 0.3], true, 0.0),
    design("two modes", [0.05, 0.05, 0.1], true, 0.15),
];

const fn design(
    name: &'static str,
    [processes, batches, starts]: [f64; 3],
    skewed: bool,
    slow_share: f64,
) -> Design {
    Design {
        name,
        processes,
        batches,
        starts,
        skewed,
        slow_share,
    }
}

pub type Process = Vec<Vec<f64>>;

/// The values of a process, by batch.
pub fn process(
    rng: &mut Xoshiro256PlusPlus,
    design: Design,
    batches: usize,
    starts: usize,
) -> Process {
    let normal = |rng: &mut Xoshiro256PlusPlus| -> f64 { StandardNormal.sample(rng) };
    let slow = if rng.random::<f64>() < design.slow_share {
        2_f64.ln()
    } else {
        0.0
    };
    let of_process = slow + design.processes * normal(rng);
    (0..batches)
        .map(|_| {
            let of_batch = of_process + design.batches * normal(rng);
            let start = |rng: &mut Xoshiro256PlusPlus| {
                let tail: f64 = if design.skewed { Exp1.sample(rng) } else { 0.0 };
                let far = design.skewed && rng.random::<f64>() < 0.03;
                let noise = normal(rng) + tail + if far { 5.0 } else { 0.0 };
                (of_batch + design.starts * noise).exp()
            };
            (0..starts).map(|_| start(rng)).collect()
        })
        .collect()
}

/// All the processes that there are: the truth about them is known, and any number can be drawn.
pub struct Population {
    processes: Vec<Process>,
    pub medians: Vec<f64>,
}

impl Population {
    pub fn new(
        rng: &mut Xoshiro256PlusPlus,
        design: Design,
        batches: usize,
        starts: usize,
    ) -> Self {
        let processes: Vec<Process> = (0..1000)
            .map(|_| process(rng, design, batches, starts))
            .collect();
        let medians = processes
            .iter()
            .filter_map(|p| stats::median(&p.concat()))
            .collect();
        Self { processes, medians }
    }

    pub fn draw(&self, rng: &mut Xoshiro256PlusPlus, processes: u32) -> Levels {
        let mut seen = Vec::new();
        for number in 0..processes {
            let drawn = &self.processes[rng.random_range(0..self.processes.len())];
            for (batch, values) in (0..).zip(drawn) {
                seen.extend(values.iter().map(|&value| (number, batch, value)));
            }
        }
        Levels::from_observations(seen).expect("values")
    }

    pub fn draw_medians(&self, rng: &mut Xoshiro256PlusPlus, processes: u32) -> Levels {
        let drawn: Vec<f64> = (0..processes)
            .map(|_| self.medians[rng.random_range(0..self.medians.len())])
            .collect();
        Levels::one_per_process(&drawn).expect("values")
    }

    /// Of each process's starts.
    pub fn means(&self) -> Vec<f64> {
        let mean = |process: &Process| {
            let values = process.concat();
            values.iter().sum::<f64>() / values.len() as f64
        };
        self.processes.iter().map(mean).collect()
    }

    pub fn values(&self) -> Vec<f64> {
        self.processes.iter().flat_map(|p| p.concat()).collect()
    }
}
