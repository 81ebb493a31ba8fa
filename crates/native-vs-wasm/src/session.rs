//! A comparison from its beginning to its end.

mod ready;
mod timing;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::comparison::{Comparison, csv_rows, csv_whole_runs, terminal};
use measure_core::base::exit::Exit;
use measure_core::base::files::OutputFile;
use measure_core::base::interrupt;
use measure_core::contract::host_lock::{HostLock, MEASURING};
use measure_core::contract::run_dir::{RunDir, RunDirError};
use measure_core::contract::vocabulary::Measure;

use crate::column::{Program, RunError, Task};
use crate::error::CompareError;
use crate::layout::{self, Layout};
use crate::options::{CommonOptions, CsvTime};
use crate::output::{refused, say};
use crate::pyperf_files::PyperfFiles;
use crate::recorder::{About, Kernel, Recorder, write_tables};
use crate::suite::Suite;

/// Compares, writes every file and prints the tables.
///
/// # Errors
/// Something cannot run or cannot be written, found before anything is measured as far as it can be; or some
/// benchmarks failed or disagreed, after the others were measured.
pub fn run(suite: &Suite, options: &CommonOptions) -> Result<Exit, CompareError> {
    options.timeout()?;
    let default = Path::new("/tmp").join(format!("{}.csv", suite.name));
    let output = options.output.as_deref().unwrap_or(&default);
    let csv = OutputFile::open(output).map_err(refused(output))?;
    let pyperf = options
        .export_pyperf
        .as_deref()
        .map(PyperfFiles::open)
        .transpose()?;
    suite.check()?;
    interrupt::install().map_err(|e| CompareError::failed("cannot catch signals", e))?;
    let _lock = lock(options.strict)?;
    let mut environment = probes::environment::capture();
    environment
        .heed(options.strict)
        .map_err(|unfit| CompareError::Unavailable(unfit.to_string()))?;
    let seed = options
        .seed
        .unwrap_or_else(measure_core::base::clock::now_ns);
    suite.describe(&mut environment, seed);
    let mut info = suite.info(seed);
    if let Some(why) = layout::not_randomised() {
        let warning = format!(
            "Every process is laid out alike in memory, so that all runs are one draw: {why}."
        );
        eprintln!("warning: {warning}");
        info.notes.push(warning);
    }
    let csv = (csv, options.csv_time);
    let recorder = Recorder::open(options.run_dir.as_deref(), csv, environment, info)?;
    let mut session = Session {
        suite,
        recorder,
        begun: Instant::now(),
        budget: options.budget.map(Duration::from_secs),
        strict: options.strict,
        pyperf,
    };
    let mut ready = session.get_ready()?;
    session.time(&mut ready)?;
    session.finish()
}

/// Makes the tables of the run directory `dir` again, from its records alone, and prints them.
///
/// # Errors
/// There are no records, or the tables cannot be written.
pub fn report(dir: &Path, options: &CommonOptions) -> Result<Exit, CompareError> {
    // Reading first: a directory that does not exist is not to be made.
    let comparison = Comparison::read(dir)?;
    write_tables(&RunDir::open(dir)?, &comparison)?;
    if let Some(pattern) = &options.export_pyperf {
        PyperfFiles::open(pattern)?.write(&comparison)?;
    }
    if let Some(output) = &options.output {
        let rows = match options.csv_time {
            CsvTime::Kernel => csv_rows(&comparison),
            CsvTime::WholeRun => csv_whole_runs(&comparison),
        };
        let file = OutputFile::open(output).map_err(refused(output))?;
        file.finish(rows.as_bytes()).map_err(refused(output))?;
    }
    say(format!(
        "{}tables and samples: {}\n",
        terminal(&comparison, table::terminal_width()),
        dir.display()
    ))?;
    Ok(Exit::Ok)
}

/// Another measurement on this host disturbs this one.
fn lock(strict: bool) -> Result<Option<HostLock>, CompareError> {
    match HostLock::take(MEASURING) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ RunDirError::Busy { .. }) if strict => Err(error.into()),
        Err(error) => {
            eprintln!("warning: {error}, or both disturb each other");
            Ok(None)
        }
    }
}

struct Session<'a> {
    suite: &'a Suite,
    recorder: Recorder,
    begun: Instant,
    budget: Option<Duration>,
    /// Whether what was made while the host was disturbed is made again.
    strict: bool,
    pyperf: Option<PyperfFiles>,
}

/// A benchmark that is verified and calibrated.
struct Ready<'a> {
    index: usize,
    /// One per column; none for one that failed or disagrees.
    programs: Vec<Option<Box<dyn Program + 'a>>>,
    repeats: u64,
    /// What one run of every column takes.
    round: Duration,
}

impl Ready<'_> {
    /// `asked` without the columns that are out.
    fn asked(&self, asked: &[u32]) -> Vec<u32> {
        let programs = self.programs.iter().zip(asked);
        programs
            .map(|(program, &n)| if program.is_some() { n } else { 0 })
            .collect()
    }

    /// What one run of a column takes, on average.
    fn each_run(&self) -> Duration {
        let columns = self.programs.iter().flatten().count();
        self.round / u32::try_from(columns).unwrap_or(1).max(1)
    }
}

impl<'a> Session<'a> {
    /// One run of a column that is still in; recorded. A failure puts the column out. Nanoseconds of its process, and
    /// output.
    fn attempt(
        &mut self,
        ready: &mut Ready<'a>,
        column: usize,
        task: Task,
        measure: &Measure,
        order: u64,
    ) -> Result<Option<(u64, Vec<u8>)>, CompareError> {
        let Some(program) = &mut ready.programs[column] else {
            return Ok(None);
        };
        // A process that lives on makes all iterations whenever it is timed.
        let task = match (task, self.suite.columns[column].column.about().curve) {
            (Task::Time { .. }, Some(iterations)) => Task::Curve { iterations },
            _ => task,
        };
        if interrupt::received().is_some() {
            return Ok(None);
        }
        let name = self.suite.columns[column].column.name();
        // What is not timed is to compute the same in each column and each run.
        let (process, layout) = match measure {
            Measure::Run => {
                let info = &self.recorder.comparison().info.benchmarks[ready.index];
                let replicate = usize::try_from(order).unwrap_or(usize::MAX);
                // Of A/A each column has its own: two that were laid out alike would share more than a column with itself.
                let first = if self.suite.aa {
                    column * info.layouts.len() / self.suite.columns.len()
                } else {
                    0
                };
                let layout = info.layouts.get(first + replicate).copied();
                let layout = layout.unwrap_or_default();
                (u32::try_from(order + 1).unwrap_or(u32::MAX), layout)
            }
            _ => (0, Layout::default()),
        };
        let about = About {
            benchmark: ready.index,
            column: name,
            measure,
            process,
            order,
            warmup: *measure != Measure::Run,
        };
        let outcome = program.run(task, layout).and_then(|run| {
            let kernel = Kernel::parse(task, &run.output);
            Ok((run, kernel.map_err(|e| RunError::Failed(e.to_string()))?))
        });
        match outcome {
            Ok((run, kernel)) => {
                self.recorder.run(&about, &run, &kernel)?;
                Ok(Some((run.process_ns, run.output)))
            }
            // Not the program's failure.
            Err(RunError::Interrupted) => Ok(None),
            Err(error) => {
                let why = error.to_string();
                self.recorder.failed(&about, &why)?;
                self.recorder.trouble(ready.index, format!("{name}: {why}"));
                ready.programs[column] = None;
                Ok(None)
            }
        }
    }

    fn finish(self) -> Result<Exit, CompareError> {
        let (path, csv) = (
            self.recorder.path().to_owned(),
            self.recorder.csv_path().to_owned(),
        );
        let comparison = self.recorder.finish(interrupt::ended_early())?;
        if let Some(pyperf) = &self.pyperf {
            pyperf.write(&comparison)?;
        }
        let tables = terminal(&comparison, table::terminal_width());
        let (path, csv) = (path.display(), csv.display());
        say(format!(
            "\n{tables}\nrows: {csv}\ntables, plots and samples: {path}\n"
        ))?;
        if let Some(exit) = interrupt::received() {
            return Ok(exit);
        }
        let benchmarks = &comparison.info.benchmarks;
        let failed: Vec<&str> = benchmarks
            .iter()
            .filter(|b| !b.trouble.is_empty())
            .map(|b| b.name.as_str())
            .collect();
        if failed.is_empty() {
            return Ok(Exit::Ok);
        }
        Err(CompareError::Benchmarks(format!(
            "{} of {} failed: {} (above, and in report.md){}",
            failed.len(),
            benchmarks.len(),
            failed.join(", "),
            if failed.len() < benchmarks.len() {
                "; the others were measured"
            } else {
                ""
            }
        )))
    }
}
