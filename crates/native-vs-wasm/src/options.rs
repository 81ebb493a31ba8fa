//! Options that `poly_bench` and `py_bench` share.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use faaslet::Profiling;
use measure_core::base::range::in_range;
use structopt::StructOpt;

use crate::error::CompareError;

/// More iterations than this are a typing error.
const MAX_ITERATIONS: u32 = 100_000;

#[expect(
    missing_docs,
    reason = "a comment here would replace the tool's own help text"
)]
#[derive(Debug, Clone, StructOpt)]
pub struct CommonOptions {
    /// The CSV: benchmark,type,microseconds, a row a run, rewritten whole after each benchmark [default: /tmp/polybench.csv, /tmp/pybench.csv]
    #[structopt(long, value_name = "FILE", parse(from_os_str), global = true)]
    pub output: Option<PathBuf>,
    /// What the CSV's microseconds are of: the kernel alone by the program's own clock, or the whole run, start to end, as Faasm's
    /// own benchmarks had it (whole microseconds then)
    #[structopt(
        long,
        value_name = "OF",
        default_value = "kernel",
        possible_values = &["kernel", "whole-run"],
        global = true
    )]
    pub csv_time: CsvTime,
    /// Also writes the runs in pyperf's form: benchmarks of all columns, named `<benchmark> <column>`; if FILE has `{column}` in
    /// its name, a file for each column, which `pyperf compare_to` compares
    #[structopt(long, value_name = "FILE", global = true)]
    pub export_pyperf: Option<String>,
    /// Directory for samples, environment, tables and plots, made if need be [default: results/TIME-HOST, and results/latest points there]
    #[structopt(long, value_name = "DIR", parse(from_os_str), global = true)]
    pub run_dir: Option<PathBuf>,
    /// The columns to compare, separated by commas, each with as many iterations as its side [default: the tool's own]
    #[structopt(
        long,
        value_name = "COLUMN,...",
        require_delimiter = true,
        global = true
    )]
    pub columns: Vec<String>,
    /// Further columns, separated by commas, each with as many iterations as its side; `engines` are all of engines.toml that run here
    #[structopt(
        long,
        value_name = "COLUMN,...",
        require_delimiter = true,
        global = true
    )]
    pub also: Vec<String>,
    /// A file of further engines, as engines.toml (docs/adding-an-engine.md) [default: $FAASM_BENCH_ENGINES, ~/.config/faasm-bench/engines.toml]
    #[structopt(long, value_name = "FILE", parse(from_os_str), global = true)]
    pub engines: Option<PathBuf>,
    /// Seed of the order of runs and of the intervals, to repeat a run [default: from the clock]
    #[structopt(long, value_name = "SEED", global = true)]
    pub seed: Option<u64>,
    /// Seconds that one run of a program may take before it is ended
    #[structopt(long, value_name = "SECONDS", default_value = "600", global = true)]
    pub timeout: f64,
    /// Seconds to spend in all: fewer iterations where they would not fit, but enough for an interval
    #[structopt(long, value_name = "SECONDS", global = true)]
    pub budget: Option<u64>,
    /// Measure the first column as if it were two, N times (1 to 8), and say how often the two "differ"
    #[structopt(long, value_name = "N", global = true)]
    pub aa: Option<u32>,
    /// Refuse to measure on an unfit host (busy, throttled, swapping) instead of warning, and make again, twice at most, what was
    /// made while the host was disturbed
    #[structopt(long, global = true)]
    pub strict: bool,
    /// Announce compiled code to perf: jitdump (jit-PID.dump in this directory) or perfmap (/tmp/perf-PID.map); see docs/profiling.md [default: $FAASM_BENCH_PROFILE]
    #[structopt(long, value_name = "KIND", global = true)]
    pub profile: Option<Profiling>,
}

impl CommonOptions {
    /// The same, with a budget of `seconds` where none was given.
    #[must_use]
    pub fn within(&self, seconds: u64) -> Self {
        Self {
            budget: self.budget.or(Some(seconds)),
            ..self.clone()
        }
    }

    /// [`CommonOptions::timeout`].
    ///
    /// # Errors
    /// Out of range.
    pub fn timeout(&self) -> Result<Duration, CompareError> {
        in_range("--timeout", self.timeout, 0.01..=86_400.0)
            .map_err(|e| CompareError::Usage(e.in_unit("seconds").to_string()))?;
        Ok(Duration::from_secs_f64(self.timeout))
    }

    /// [`CommonOptions::aa`].
    ///
    /// # Errors
    /// Out of range.
    pub fn pairs(&self) -> Result<Option<u32>, CompareError> {
        if let Some(pairs) = self.aa {
            in_range("--aa", pairs, 1..=8).map_err(|e| CompareError::Usage(e.to_string()))?;
        }
        Ok(self.aa)
    }

    /// [`CommonOptions::profile`], or what the environment says.
    ///
    /// # Errors
    /// The environment asks for what there is not.
    pub fn profiling(&self) -> Result<Profiling, CompareError> {
        self.profile.map_or_else(
            || Profiling::from_env().map_err(|e| CompareError::Usage(e.to_string())),
            Ok,
        )
    }

    /// The iterations of the two sides, as typed.
    ///
    /// # Errors
    /// Out of range, or none at all.
    pub fn iterations(native: u32, wasm: u32) -> Result<(), CompareError> {
        if native.max(wasm) > MAX_ITERATIONS {
            return Err(CompareError::Usage(format!(
                "{} iterations, it must be 0 to {MAX_ITERATIONS}",
                native.max(wasm)
            )));
        }
        if native == 0 && wasm == 0 {
            return Err(CompareError::Usage(
                "no iterations on either side: nothing to do".to_owned(),
            ));
        }
        Ok(())
    }
}

/// What the rows of the CSV that old scripts read are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CsvTime {
    /// The kernel, by the program's own clock.
    #[default]
    Kernel,
    /// From asked for to reaped or torn down: what Faasm's `poly_bench` and `py_bench` wrote.
    WholeRun,
}

/// A word that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither kernel nor whole-run")]
pub struct NoCsvTime(String);

impl FromStr for CsvTime {
    type Err = NoCsvTime;

    fn from_str(text: &str) -> Result<Self, NoCsvTime> {
        match text {
            "kernel" => Ok(Self::Kernel),
            "whole-run" => Ok(Self::WholeRun),
            _ => Err(NoCsvTime(text.to_owned())),
        }
    }
}

/// What was typed in place of a number of iterations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no number of iterations (0, 1, 2, ...)")]
pub struct NoIterations(String);

/// A number of iterations on a command line.
///
/// # Errors
/// It is no number.
pub fn iterations(text: &str) -> Result<u32, NoIterations> {
    text.parse().map_err(|_| NoIterations(text.to_owned()))
}
