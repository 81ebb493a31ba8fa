//! The timed runs, under watch.

use std::time::Duration;

use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::vocabulary::Measure;
use probes::host_watch::{HostWatch, Verdict};
use stats::schedule::{Block, interleave};

use super::{Ready, Session};
use crate::column::Task;
use crate::error::CompareError;
use crate::layout::Layout;
use crate::output::say;
use crate::plan;

/// How often the list of benchmarks is gone through, each time for a part of their runs. Else all runs of a benchmark would
/// see the host in one state, that of a second, and their interval would not hold for another second.
const PASSES: usize = 3;

/// How often a block is made again at most, with `--strict`, because the host was disturbed.
const REPEATS: u32 = 2;

impl<'a> Session<'a> {
    pub(super) fn time(&mut self, ready: &mut [Ready<'a>]) -> Result<(), CompareError> {
        let mut progress = Progress::begin("timing");
        let asked: Vec<u32> = self.suite.columns.iter().map(|e| e.iterations).collect();
        let most = asked.iter().copied().max().unwrap_or(0);
        for one in ready.iter() {
            progress.expect(one.round * most);
        }
        let blocks: Vec<Vec<Block>> = self.schedule(ready, &asked);
        for pass in 0..PASSES {
            let part = |blocks: &[Block], pass| blocks.len() * pass / PASSES;
            let parts: Vec<&[Block]> = blocks
                .iter()
                .map(|blocks| &blocks[part(blocks, pass)..part(blocks, pass + 1)])
                .collect();
            let take = |(one, part): (&Ready<'_>, &&[Block])| {
                one.each_run() * u32::try_from(part.len()).unwrap_or(u32::MAX)
            };
            let durations: Vec<Duration> = ready.iter().zip(&parts).map(take).collect();
            for together in plan::watched_together(&durations) {
                if interrupt::received().is_some() {
                    return Ok(());
                }
                let these = together.clone();
                self.time_under_watch(&mut ready[these.clone()], &parts[these], &mut progress)?;
                if pass + 1 == PASSES {
                    self.say_results(&ready[together], &mut progress)?;
                }
            }
        }
        Ok(())
    }

    /// The runs `parts` of the benchmarks `ready`, under watch as one block; with `--strict` once more if the host was disturbed.
    fn time_under_watch(
        &mut self,
        ready: &mut [Ready<'a>],
        parts: &[&[Block]],
        progress: &mut Progress,
    ) -> Result<(), CompareError> {
        let benchmarks: Vec<usize> = ready.iter().map(|one| one.index).collect();
        for attempt in 0.. {
            let first_block = self.recorder.block();
            let watch = HostWatch::start_own_tree();
            for (one, part) in ready.iter_mut().zip(parts) {
                self.time_benchmark(one, part, progress)?;
            }
            let host = watch.end();
            let is_disturbed = matches!(host.verdict(), Verdict::Disturbed(_));
            let may_repeat = self.strict && attempt < REPEATS && interrupt::received().is_none();
            let again = is_disturbed && may_repeat;
            self.recorder.host(&benchmarks, first_block, &host, again)?;
            if !again {
                break;
            }
        }
        Ok(())
    }

    /// The runs `part` of one benchmark, kept whatever happens.
    fn time_benchmark(
        &mut self,
        ready: &mut Ready<'a>,
        part: &[Block],
        progress: &mut Progress,
    ) -> Result<(), CompareError> {
        let troubles = self.recorder.benchmark(ready.index).trouble.len();
        let outcome = self.time_blocks(ready, part, progress);
        self.recorder.keep()?;
        outcome?;
        let info = &self.recorder.comparison().info.benchmarks[ready.index];
        for what in &info.trouble[troubles..] {
            progress.warn(&format!("{}: {what}", info.name));
        }
        Ok(())
    }

    fn say_results(
        &self,
        ready: &[Ready<'_>],
        progress: &mut Progress,
    ) -> Result<(), CompareError> {
        progress.clear();
        for one in ready {
            let line = crate::comparison::line(self.recorder.comparison(), one.index);
            say(format!("{line}\n"))?;
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
        let each = ready.each_run();
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
}
