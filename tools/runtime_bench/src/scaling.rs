//! `scaling`: how starts per second grow with workers. A time run that spends its time on closed loops of 1, 2, 4, ... workers; the report
//! fits the universal scalability law to what they did.

use std::thread;
use std::time::Duration;

use measure_core::base::exit::Exit;
use measure_core::base::range::in_range;
use measure_core::driver_kit::cli::MAX_WORKERS;
use structopt::StructOpt;

use crate::common_options::{Common, DEFAULT_IDLE, Which, all_in_range, distinct};
use crate::error::BenchError;
use crate::plan::Sizes;
use crate::run::Run;

/// Options of `scaling`.
#[derive(Debug, StructOpt)]
pub struct ScalingOptions {
    #[structopt(flatten)]
    common: Common,
    #[structopt(flatten)]
    which: Which,
    /// Starts under way at once [default: 1, 2, 4, ... to twice the processors]
    #[structopt(long, name = "W,...", require_delimiter = true)]
    workers: Option<Vec<usize>>,
    /// Driver processes of a rung, each a replicate [default: 10, of rungs above 10 ms 6]
    #[structopt(long, name = "PROCESSES")]
    repetitions: Option<u32>,
    /// Seconds to spend on a rung beyond its least processes
    #[structopt(long, name = "SECONDS", default_value = "25")]
    budget: u64,
}

impl ScalingOptions {
    fn sizes(&self) -> Result<Sizes, BenchError> {
        let asked = self.workers.as_deref().unwrap_or_default();
        all_in_range("--workers", asked, MAX_WORKERS)?;
        in_range("--repetitions", self.repetitions.unwrap_or(1), 1..=10_000)?;
        in_range("--budget", self.budget, 1..=86_400)?;
        let workers = match &self.workers {
            Some(asked) => distinct(asked),
            None => doublings(2 * thread::available_parallelism().map_or(1, usize::from)),
        };
        Ok(Sizes {
            iterations: None,
            isolated: Some(1),
            idle: DEFAULT_IDLE,
            requests: false,
            workers,
            processes: self.repetitions,
            sets: 1,
            strict: self.common.strict,
            budget: Duration::from_secs(self.budget),
            within: None,
            is_scaling: true,
        })
    }
}

/// 1, 2, 4, ... and `most`.
fn doublings(most: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..usize::BITS)
        .map(|power| 1 << power)
        .take_while(|&number| number < most)
        .collect();
    numbers.push(most);
    numbers
}

/// Measures the rungs and prints the tables.
///
/// # Errors
/// See [`BenchError`].
pub(crate) fn run(options: &ScalingOptions) -> Result<Exit, BenchError> {
    let sizes = options.sizes()?;
    let mut run = Run::prepare(&options.common, &options.which)?;
    let trouble = run.time(&sizes, "scaling", false)?;
    run.finish(vec![trouble])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_double_up_to_the_most() {
        assert_eq!(doublings(1), [1]);
        assert_eq!(doublings(4), [1, 2, 4]);
        assert_eq!(doublings(12), [1, 2, 4, 8, 12]);
    }
}
