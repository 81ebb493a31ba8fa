//! What a benchmark, a column of comparison and a program are.

use std::io;
use std::time::Duration;

use measure_core::base::clock::Phases;

use crate::error::CompareError;
use crate::layout::Layout;

/// Processes that live on: as many as an interval takes.
const CURVE_PROCESSES: u32 = stats::levels::MIN_PROCESSES as u32;

/// A benchmark, which every column runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Benchmark {
    /// As in the store and in the CSV, for example `poly_3mm-small`.
    pub name: String,
    /// What means are taken over, for example the dataset size. May be empty.
    pub group: String,
}

/// The headline column of native code.
pub const NATIVE: &str = "native";
/// The headline column of Wasm.
pub const WASM: &str = "wasm";

/// Whose number of iterations a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Machine code from a compiler.
    Native,
    /// A Wasm module.
    Wasm,
}

impl Side {
    /// The side of the column `name`.
    #[must_use]
    pub fn of_column(name: &str) -> Self {
        if name == NATIVE || name.starts_with("native-") {
            Self::Native
        } else {
            // Ours and other engines'.
            Self::Wasm
        }
    }
}

/// What a program is to do in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Run the kernel once and write what it computed, to be compared, to standard output.
    Output,
    /// Run the kernel so many times and write the nanoseconds of each, a line each, to standard output.
    Time {
        /// How many times.
        repeats: u64,
    },
    /// As [`Task::Time`], without an unrecorded round before the first: how a process that lives on gets faster.
    Curve {
        /// How many times.
        iterations: u32,
    },
    /// Run the kernel once and write what it computed, to be read, to standard error.
    Dump,
}

/// What a column is, as its records say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// `native`, `wasm`, `wasm-<engine>`, ...
    pub name: String,
    /// What runs how, in a sentence.
    pub summary: String,
    /// Compiler flags, engine settings: what a reader needs to judge or repeat the numbers.
    pub settings: Vec<String>,
    /// The column that shares with this one what sets both apart from others (a profile, a reused process): what it is held
    /// against where that runs too. Else it is the reference.
    pub twin: Option<String>,
    /// How many iterations a process is to make, and each to be told, if it is to live on.
    pub curve: Option<u32>,
}

/// A way of running benchmarks: the trait to implement for a further engine.
pub trait Column {
    /// What it is.
    fn about(&self) -> &About;

    /// Its name.
    fn name(&self) -> &str {
        &self.about().name
    }

    /// How many processes `iterations` of a benchmark take.
    fn processes(&self, iterations: u32) -> u32 {
        match self.about().curve {
            // As many as an interval takes: each makes all iterations.
            Some(_) => iterations.min(CURVE_PROCESSES),
            None => iterations,
        }
    }

    /// Finds out, without running anything, whether `benchmark` can run.
    ///
    /// # Errors
    /// It cannot, and how to mend that.
    fn check(&self, benchmark: &Benchmark) -> Result<(), NotReady>;

    /// Does everything for `benchmark` that is not to be timed.
    ///
    /// # Errors
    /// As of [`Column::check`].
    fn prepare<'a>(&'a self, benchmark: &Benchmark) -> Result<Box<dyn Program + 'a>, NotReady>;

    /// SHA-256 of the code that `benchmark` is here, for the records.
    ///
    /// # Errors
    /// The file cannot be found or read.
    fn hash(&self, benchmark: &Benchmark) -> io::Result<String>;
}

/// A benchmark ready to be run in a column.
pub trait Program {
    /// One run in a process of its own, laid out as `layout` says, from asked for to nothing left of it.
    ///
    /// # Errors
    /// It did not end well, or not in time.
    fn run(&mut self, task: Task, layout: Layout) -> Result<Run, RunError>;
}

/// What `benchmark` writes in `column` when it is asked for `task`.
///
/// # Errors
/// It cannot run there, or does not end well.
pub(crate) fn output_of(
    column: &dyn Column,
    benchmark: &Benchmark,
    task: Task,
) -> Result<Vec<u8>, CompareError> {
    let lack = |lack: NotReady| CompareError::Unavailable(lack.to_string());
    column.check(benchmark).map_err(lack)?;
    let mut program = column.prepare(benchmark).map_err(lack)?;
    let run = program.run(task, Layout::default()).map_err(|error| {
        CompareError::Benchmarks(format!("{}, {}: {error}", benchmark.name, column.name()))
    })?;
    Ok(run.output)
}

/// A run that ended well.
#[derive(Debug)]
pub struct Run {
    /// The whole run of the program; phases sum to the total. Natively that is the process; of Wasm the start within its
    /// engine's process, from the thread asked for to the thread joined.
    pub whole: Phases,
    /// The process, from asked for to reaped: with the engine and the loading of code on the Wasm side.
    pub process_ns: u64,
    /// What it wrote to the stream that its [`Task`] names.
    pub output: Vec<u8>,
}

/// Why a benchmark cannot run in a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {mend}")]
pub struct NotReady {
    /// What is missing or wrong.
    pub why: String,
    /// The command that mends it, in words.
    pub mend: String,
}

/// Why a run does not count.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not start, ended wrongly or wrote nonsense.
    #[error("{0}")]
    Failed(String),
    /// The kernel refuses something on its way.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// It was ended.
    #[error("still running after {0:?} and ended; --timeout SECONDS gives it longer")]
    Timeout(Duration),
    /// A signal came to us.
    #[error("interrupted")]
    Interrupted,
}

impl RunError {
    /// A failure of the kernel's at `what`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Makes the column of a name; one that works several times in one process is to work as often as the number says.
pub type MakeColumn = Box<dyn Fn(&str, u32) -> Result<Box<dyn Column>, CompareError>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_columns_name_tells_its_side() {
        for (name, side) in [
            ("native", Side::Native),
            ("native-o3", Side::Native),
            ("wasm", Side::Wasm),
            ("wasm-wamr", Side::Wasm),
            ("wasmer-llvm", Side::Wasm),
            ("node", Side::Wasm),
        ] {
            assert_eq!(Side::of_column(name), side, "{name}");
        }
    }
}
