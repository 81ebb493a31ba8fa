//! Before anything is timed: whether columns agree, how often a kernel runs in a process, which native build is the fastest.

use std::time::Duration;

use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::vocabulary::Measure;

use super::{Ready, Session};
use crate::column::{Benchmark, Task};
use crate::error::CompareError;
use crate::{plan, times};

impl<'a> Session<'a> {
    /// Verifies and calibrates every benchmark.
    pub(super) fn get_ready(&mut self) -> Result<Vec<Ready<'a>>, CompareError> {
        let mut progress = Progress::begin("verifying");
        let count = self.suite.benchmarks.len();
        let one = Duration::from_secs(1);
        let mut ready = Vec::new();
        for (index, benchmark) in self.suite.benchmarks.iter().enumerate() {
            ready.extend(self.ready(index, benchmark, &mut progress)?);
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

    /// Says which benchmark is looked at and in which column: of the largest datasets each run takes seconds.
    fn show(&self, index: usize, column: usize, progress: &mut Progress) {
        let name = &self.suite.benchmarks[index].name;
        let column = self.suite.columns[column].column.name();
        let count = self.suite.benchmarks.len();
        progress.show(&format!("{name} ({} of {count}), {column}", index + 1));
    }

    /// `None` if no column is left to be timed.
    fn ready(
        &mut self,
        index: usize,
        benchmark: &Benchmark,
        progress: &mut Progress,
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
            self.verify(&mut ready, benchmark, progress)?;
        }
        if self.suite.own_clock && interrupt::received().is_none() && ready.round < plan::LONG {
            self.calibrate(&mut ready)?;
        }
        self.recorder.benchmark(index).repeats = ready.repeats;
        log::debug!(
            "{}: the kernel runs {} times in a process, a run of every column takes {:?}",
            benchmark.name,
            ready.repeats,
            ready.round
        );
        self.choose_build(&mut ready, progress)?;
        Ok(ready.programs.iter().any(Option::is_some).then_some(ready))
    }

    /// Compares what the columns compute; those that disagree with the first are left out.
    fn verify(
        &mut self,
        ready: &mut Ready<'a>,
        benchmark: &Benchmark,
        progress: &mut Progress,
    ) -> Result<(), CompareError> {
        let mut reference: Option<Vec<u8>> = None;
        let mut agreed: Vec<String> = Vec::new();
        for column in 0..ready.programs.len() {
            let name = self.suite.columns[column].column.name();
            self.show(ready.index, column, progress);
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
    fn choose_build(
        &mut self,
        ready: &mut Ready<'a>,
        progress: &mut Progress,
    ) -> Result<(), CompareError> {
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
            let tried = plan::worth_a_run(ready.round, &kernel_ns);
            for (i, &column) in builds.iter().enumerate().filter(|(i, _)| tried[*i]) {
                self.show(ready.index, column, progress);
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
                if self.suite.columns[column].column.about().curve.is_some() {
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
}
