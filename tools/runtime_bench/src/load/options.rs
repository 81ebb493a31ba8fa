//! Options of `load`.

use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::duration::parse_duration_or_ms;
use measure_core::base::ids::FunctionIdError;
use measure_core::base::range::in_range;
use measure_core::driver_kit::cli::MAX_WORKERS;
use structopt::StructOpt;

use super::mix::{Mix, ScriptError};
use super::pattern::Pattern;
use super::rates::{CLOSED, LoadSizes, MAX_RATE_PER_S, SHARES, Source};
use super::trace;
use crate::common_options::{Common, Which};
use crate::error::BenchError;

/// Options of `load`.
#[derive(Debug, StructOpt)]
pub struct LoadOptions {
    #[structopt(flatten)]
    pub(crate) common: Common,
    #[structopt(flatten)]
    pub(crate) which: Which,
    /// Arrivals a second, separated by commas [default: chosen, from a tenth of what a closed loop makes up to where the rung
    /// cannot follow]
    #[structopt(long, name = "RATE,...", require_delimiter = true)]
    rates: Option<Vec<f64>>,
    /// How arrivals follow one another: poisson, constant, bursts:N
    #[structopt(long, name = "PATTERN", default_value = "poisson")]
    arrivals: Pattern,
    /// What a start may take, from when it was due, at p99, as in 5ms: the knee is the largest rate at which it holds [default: ten
    /// times the median of starts one by one, at least 1ms]
    #[structopt(long, name = "SLO", parse(try_from_str = parse_duration_or_ms))]
    slo: Option<Duration>,
    /// Starts under way at once; further arrivals wait [default: as many as there are CPUs, of rungs above 10 ms a start twice that, at least 4]
    #[structopt(long, name = "WORKERS")]
    workers: Option<usize>,
    /// Driver processes of a rung, each offered every rate [default: 6, from which on there are intervals]
    #[structopt(long, name = "PROCESSES", default_value = "6")]
    repetitions: u32,
    /// How long a rate is offered by each process, as in 2s [default: by the budget, 100ms to 10s]
    #[structopt(long, name = "DURATION", parse(try_from_str = parse_duration_or_ms))]
    duration: Option<Duration>,
    /// Seconds in which a rung is to be offered all its rates
    #[structopt(long, name = "SECONDS", default_value = "60")]
    budget: u64,
    /// Several functions by weights, at the --rates that are asked for, as this file has it: [[function]], name, weight, parked
    #[structopt(
        long,
        name = "MIX",
        parse(from_os_str),
        conflicts_with = "TRACE",
        requires = "RATE,..."
    )]
    mix: Option<PathBuf>,
    /// Arrivals as this file has them: `seconds,function` a line each, or counts per minute and function as the Azure Functions data set
    #[structopt(long, name = "TRACE", parse(from_os_str), conflicts_with = "RATE,...")]
    trace: Option<PathBuf>,
    /// So many times as fast as the trace has them
    #[structopt(long, name = "TIMES", default_value = "1")]
    speed: f64,
    /// Draws what the original published beside it, as another machine's
    #[structopt(long)]
    #[expect(
        dead_code,
        reason = "tables and plots are made from records alone, which have the command line"
    )]
    with_paper: bool,
}

impl LoadOptions {
    /// What to measure.
    ///
    /// # Errors
    /// A number makes no sense.
    pub(crate) fn sizes(&self) -> Result<LoadSizes, BenchError> {
        let mut rates = self.rates.clone();
        for &rate in rates.as_deref().unwrap_or_default() {
            // A start in a quarter of an hour is no load.
            in_range("--rates", rate, 0.001..=MAX_RATE_PER_S)
                .map_err(|e| e.in_unit("arrivals a second; one thread lets no more go"))?;
        }
        if let Some(rates) = &mut rates {
            rates.sort_unstable_by(f64::total_cmp);
            rates.dedup();
        }
        for (option, duration) in [("--slo", self.slo), ("--duration", self.duration)] {
            let seconds = duration.map_or(1.0, |d| d.as_secs_f64());
            in_range(option, seconds, 1e-6..=3600.0).map_err(|e| e.in_unit("seconds"))?;
        }
        in_range("--workers", self.workers.unwrap_or(1), 1..=MAX_WORKERS)?;
        in_range("--repetitions", self.repetitions, 1..=1000)?;
        in_range("--budget", self.budget, 1..=86_400)?;
        in_range("--speed", self.speed, 0.001..=1e6)?;
        Ok(LoadSizes {
            source: self.source()?,
            pattern: self.arrivals,
            rates,
            shares: SHARES,
            is_open_ended: true,
            duration: self.duration,
            budget: Duration::from_secs(self.budget),
            processes: self.repetitions,
            slow_processes: self.repetitions,
            closed: CLOSED,
            workers: self.workers,
            slo: self.slo,
        })
    }

    fn source(&self) -> Result<Source, BenchError> {
        if let Some(path) = &self.mix {
            return Ok(Source::Mix(Mix::read(path)?));
        }
        let Some(path) = &self.trace else {
            return Ok(Source::Rates);
        };
        let stand_in = self.which.function.as_deref().map(str::parse).transpose();
        let stand_in = stand_in.map_err(|e: FunctionIdError| BenchError::Usage(e.to_string()))?;
        let seed = self.common.seed.unwrap_or(0);
        let script = trace::read(path, stand_in.as_ref(), seed).map_err(ScriptError::from)?;
        Ok(Source::Trace(script.at_speed(self.speed)))
    }
}
