//! A comparison from its beginning to its end.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::comparison::{Comparison, terminal};
use measure_core::base::exit::Exit;
use measure_core::base::files::OutputFile;
use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::run_dir::{HostLock, MEASURING, RunDir, RunDirError};
use measure_core::contract::vocabulary::Measure;
use stats::schedule::{Block, interleave};

use crate::column::{Benchmark, Program, RunError, Task};
use crate::error::CompareError;
use crate::layout::{self, Layout};
use crate::options::CommonOptions;
use crate::output::{refused, say};
use crate::recorder::{About, Kernel, Recorder, write_tables};
use crate::suite::Suite;
use crate::{plan, times};

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
    suite.check()?;
    interrupt::install().map_err(|e| CompareError::Failed(format!("cannot catch signals: {e}")))?;
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
    let recorder = Recorder::open(options.run_dir.as_deref(), csv, environment, info)?;
    let mut session = Session {
        suite,
        recorder,
        begun: Instant::now(),
        budget: options.budget.map(Duration::from_secs),
    };
    let mut ready = session.get_ready()?;
    session.time(&mut ready)?;
    session.finish()
}

/// Makes the tables of the run directory `dir` again, from its records alone, and prints them.
///
/// # Errors
/// There are no records, or the tables cannot be written.
pub fn report(dir: &Path) -> Result<Exit, CompareError> {
    // Reading first: a directory that does not exist is not to be made.
    let comparison = Comparison::read(dir)?;
    write_tables(&RunDir::open(dir)?, &comparison)?;
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

/// How often the list of benchmarks is gone through, each time for a part of their runs. Else all runs of a benchmark would
/// see the host in one state, that of a second, and their interval would not hold for another second.
const PASSES: usize = 3;

struct Session<'a> {
    suite: &'a Suite,
    recorder: Recorder,
    begun: Instant,
    budget: Option<Duration>,
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
}

impl<'a> Session<'a> {
    /// Verifies and calibrates every benchmark.
    fn get_ready(&mut self) -> Result<Vec<Ready<'a>>, CompareError> {
        let mut progress = Progress::begin("verifying");
        let count = self.suite.benchmarks.len();
        let one = Duration::from_secs(1);
        let mut ready = Vec::new();
        for (index, benchmark) in self.suite.benchmarks.iter().enumerate() {
            progress.show(&format!("{} ({} of {count})", benchmark.name, index + 1));
            ready.extend(self.ready(index, benchmark)?);
            if interrupt::received().is_some() {
                break;
            }
            for what in &self.recorder.comparison().info.benchmarks[index].trouble {
                progress.warn(&format!("{}: {what}", benchmark.name));
            }
            if index == 0 {
                // From here on the pace is known.
                progress.expect(one * u32::try_from(count).unwrap_or(u32::MAX));
            }
            progress.done(one);
        }
        Ok(ready)
    }

    /// `None` if no column is left to be timed.
    fn ready(
        &mut self,
        index: usize,
        benchmark: &Benchmark,
    ) -> Result<Option<Ready<'a>>, CompareError> {
        let mut programs = Vec::new();
        for entry in &self.suite.columns {
            let ready = entry.column.check(benchmark);
            match ready.and_then(|()| entry.column.prepare(benchmark)) {
                Ok(program) => programs.push(Some(program)),
                Err(lack) if entry.iterations == 0 => {
                    eprintln!("warning: {} is not verified: {lack}", benchmark.name);
                    programs.push(None);
                }
                Err(lack) => {
                    self.recorder
                        .trouble(index, format!("{}: {lack}", entry.column.name()));
                    programs.push(None);
                }
            }
        }
        let mut ready = Ready {
            index,
            programs,
            repeats: 1,
            round: Duration::ZERO,
        };
        let unverified = self.suite.columns[0].iterations == 0 && ready.programs[0].is_none();
        if self.suite.columns.len() > 1 && !unverified {
            self.verify(&mut ready, benchmark)?;
        }
        if interrupt::received().is_none() && ready.round < plan::LONG {
            self.calibrate(&mut ready)?;
        }
        self.recorder.benchmark(index).repeats = ready.repeats;
        self.choose_build(&mut ready)?;
        Ok(ready.programs.iter().any(Option::is_some).then_some(ready))
    }

    /// Compares what the columns compute; those that disagree with the first are left out.
    fn verify(&mut self, ready: &mut Ready<'a>, benchmark: &Benchmark) -> Result<(), CompareError> {
        let mut reference: Option<Vec<u8>> = None;
        let mut agreed: Vec<String> = Vec::new();
        for column in 0..ready.programs.len() {
            let name = self.suite.columns[column].column.name();
            let run = self.attempt(ready, column, Task::Output, &Measure::Verify, 0)?;
            let Some((process_ns, output)) = run else {
                if column == 0 {
                    // Nothing to hold the others against.
                    ready
                        .programs
                        .iter_mut()
                        .for_each(|program| *program = None);
                    return Ok(());
                }
                continue;
            };
            ready.round += Duration::from_nanos(process_ns);
            let Some(reference) = &reference else {
                reference = Some(output);
                continue;
            };
            match (self.suite.compare)(benchmark, reference, &output) {
                Ok(how) => agreed.push(format!("{name} {how}")),
                Err(why) => {
                    ready.programs[column] = None;
                    self.recorder
                        .trouble(ready.index, format!("{name} is not timed, it {why}"));
                }
            }
        }
        if !agreed.is_empty() {
            self.recorder.benchmark(ready.index).verified = Some(agreed.join("; "));
        }
        if self.suite.columns[0].iterations == 0 {
            ready.programs[0] = None;
            ready.round = Duration::ZERO;
        }
        Ok(())
    }

    /// Finds the fastest native build, by runs that are not reported: the fastest of those that are would be one that had luck.
    fn choose_build(&mut self, ready: &mut Ready<'a>) -> Result<(), CompareError> {
        let columns = self.suite.columns.iter().enumerate();
        let builds: Vec<usize> = columns
            .filter(|(_, entry)| self.suite.builds.contains(&entry.column.name()))
            .map(|(column, _)| column)
            .collect();
        if builds.len() < 2 {
            return Ok(());
        }
        let task = Task::Time {
            repeats: ready.repeats,
        };
        let mut kernel_ns = vec![Vec::new(); builds.len()];
        let mut process_ns = vec![0; builds.len()];
        for order in 0..plan::choosing(ready.round) {
            for (i, &column) in builds.iter().enumerate() {
                let order = plan::CHOOSING_ORDER + order;
                let run = self.attempt(ready, column, task, &Measure::Calibrate, order)?;
                if let Some((whole_ns, output)) = run {
                    process_ns[i] = whole_ns;
                    kernel_ns[i].extend(times::parse(&output, ready.repeats));
                }
            }
        }
        let median = |taken: &mut Vec<u64>| {
            taken.sort_unstable();
            taken.get(taken.len() / 2).copied()
        };
        let medians = kernel_ns.iter_mut().map(median).enumerate();
        let Some((_, best)) = medians.filter_map(|(i, ns)| Some((ns?, i))).min() else {
            return Ok(());
        };
        let name = self.suite.columns[builds[best]].column.name().to_owned();
        self.recorder.benchmark(ready.index).best_native = Some(name);
        if self.suite.best_build_only {
            for i in (0..builds.len()).filter(|&i| i != best) {
                ready.programs[builds[i]] = None;
                let saved = Duration::from_nanos(process_ns[i]);
                ready.round = ready.round.saturating_sub(saved);
            }
        }
        Ok(())
    }

    /// Finds how often the kernel is to run in one process, and how long a round then takes.
    fn calibrate(&mut self, ready: &mut Ready<'a>) -> Result<(), CompareError> {
        for order in 0..2 {
            let task = Task::Time {
                repeats: ready.repeats,
            };
            let (mut found, mut longer) = (Vec::new(), Duration::ZERO);
            for column in 0..ready.programs.len() {
                let run = self.attempt(ready, column, task, &Measure::Calibrate, order)?;
                let Some((process_ns, output)) = run else {
                    continue;
                };
                if self.suite.columns[column].column.curve().is_some() {
                    longer += Duration::from_nanos(process_ns);
                } else if let Ok(kernel_ns) = times::parse(&output, ready.repeats) {
                    found.push((kernel_ns, process_ns));
                }
            }
            ready.round = found
                .iter()
                .map(|f| Duration::from_nanos(f.1))
                .sum::<Duration>()
                + longer;
            if order > 0 || interrupt::received().is_some() {
                break;
            }
            ready.repeats = plan::repeats(&found);
            if ready.repeats == 1 {
                break;
            }
        }
        Ok(())
    }

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
        let task = match (task, self.suite.columns[column].column.curve()) {
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

    fn time(&mut self, ready: &mut [Ready<'a>]) -> Result<(), CompareError> {
        let mut progress = Progress::begin("timing");
        let asked: Vec<u32> = self.suite.columns.iter().map(|e| e.iterations).collect();
        let most = asked.iter().copied().max().unwrap_or(0);
        for one in ready.iter() {
            progress.expect(one.round * most);
        }
        let blocks: Vec<Vec<Block>> = self.schedule(ready, &asked);
        for pass in 0..PASSES {
            for (one, blocks) in ready.iter_mut().zip(&blocks) {
                let part = |pass| blocks.len() * pass / PASSES;
                let blocks = &blocks[part(pass)..part(pass + 1)];
                if interrupt::received().is_some() {
                    return Ok(());
                }
                let troubles = self.recorder.benchmark(one.index).trouble.len();
                let outcome = self.time_blocks(one, blocks, &mut progress);
                // What was measured is kept whatever happened.
                self.recorder.keep()?;
                outcome?;
                let info = &self.recorder.comparison().info.benchmarks[one.index];
                for what in &info.trouble[troubles..] {
                    progress.warn(&format!("{}: {what}", info.name));
                }
                if pass + 1 == PASSES {
                    progress.clear();
                    let line = crate::comparison::line(self.recorder.comparison(), one.index);
                    say(format!("{line}\n"))?;
                }
            }
        }
        Ok(())
    }

    /// The runs of each benchmark in their order, as many as were `asked` for and fit into the budget; and how each
    /// replicate is laid out.
    fn schedule(&mut self, ready: &[Ready<'a>], asked: &[u32]) -> Vec<Vec<Block>> {
        let mut budget = self.budget.map(|b| b.saturating_sub(self.begun.elapsed()));
        let mut schedule = Vec::new();
        for (one, left) in ready.iter().zip((1..=ready.len()).rev()) {
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            let planned = plan::iterations(&one.asked(asked), one.round, budget.map(|b| b / left));
            let mut replicates = planned.iter().copied().max().unwrap_or(0);
            budget = budget.map(|b| b.saturating_sub(one.round * replicates));
            if self.suite.aa {
                replicates *= u32::try_from(planned.len()).unwrap_or(1);
            }
            let seed = self.recorder.comparison().info.seed;
            let seed = seed.wrapping_add(one.index as u64);
            let layouts = (0..replicates).map(|replicate| Layout::draw(seed, replicate));
            self.recorder.benchmark(one.index).layouts = layouts.collect();
            schedule.push(interleave(seed, &planned));
        }
        schedule
    }

    fn time_blocks(
        &mut self,
        ready: &mut Ready<'a>,
        blocks: &[Block],
        progress: &mut Progress,
    ) -> Result<(), CompareError> {
        let task = Task::Time {
            repeats: ready.repeats,
        };
        let benchmark = &self.suite.benchmarks[ready.index].name;
        let columns = ready.programs.iter().flatten().count();
        let each = ready.round / u32::try_from(columns).unwrap_or(1).max(1);
        for block in blocks {
            if interrupt::received().is_some() {
                break;
            }
            let column = self.suite.columns[block.task].column.name();
            progress.show(&format!("{benchmark}, {column} {}", block.repetition + 1));
            let order = u64::from(block.repetition);
            self.attempt(ready, block.task, task, &Measure::Run, order)?;
            progress.done(each);
        }
        Ok(())
    }

    fn finish(self) -> Result<Exit, CompareError> {
        let (path, csv) = (
            self.recorder.path().to_owned(),
            self.recorder.csv_path().to_owned(),
        );
        let comparison = self.recorder.finish(interrupt::ended_early())?;
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
