//! Isolated starts: each asked for when its rung, and a little while the whole host, has been left alone.

use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::contract::protocol::{Go, StartSample};
use measure_core::contract::vocabulary::Measure;
use stats::schedule::SplitMix64;

use super::batches;
use super::bench::{Bench, equal_share};
use super::live::Live;
use crate::error::BenchError;
use crate::plan::Pass;

/// Before an isolated start we do nothing for this long, whoever's start came before: the processor has gone idle and
/// what another rung left to its engine is mostly over, in whatever company a rung is measured.
const REST: Duration = Duration::from_millis(10);

impl Bench<'_> {
    /// Asks each of the rungs `next` for its isolated starts. They take turns, in another random order each time; one's start
    /// falls into the others' idle time. All turns of a round are one block, the present one.
    pub(super) fn isolated_turns(
        &mut self,
        rungs: &mut [Live<'_>],
        next: &[usize],
    ) -> Result<(), BenchError> {
        let begun = Instant::now();
        let before: Duration = next.iter().map(|&index| rungs[index].spent).sum();
        let mut random = SplitMix64::new(self.seed());
        let turns = next.iter().map(|&index| rungs[index].isolated()).max();
        for order in 0..turns.unwrap_or(0) {
            let due = |index: &usize| order < rungs[*index].isolated();
            let mut turn: Vec<usize> = next.iter().copied().filter(due).collect();
            random.shuffle(&mut turn);
            while let Some(at) = self.longest_idle(rungs, &turn) {
                let rung = &mut rungs[turn.remove(at)];
                let idle = rung.last_end.elapsed();
                let rest = self.sizes.idle.saturating_sub(idle).max(REST);
                if !interrupt::sleep(rest) {
                    return Ok(());
                }
                self.isolated(rung, order)?;
            }
        }
        let own: Duration = next.iter().map(|&index| rungs[index].spent).sum();
        let waited = begun.elapsed().saturating_sub(own.saturating_sub(before));
        for &index in next {
            let share = equal_share(waited, next.len());
            rungs[index].spent += share;
            rungs[index].turns += share;
        }
        Ok(())
    }

    /// The first of `turn` that has been idle for long enough, else the one that will have been next.
    fn longest_idle(&self, rungs: &[Live<'_>], turn: &[usize]) -> Option<usize> {
        let ready = |index: &usize| rungs[*index].last_end.elapsed() >= self.sizes.idle;
        let first_ready = turn.iter().position(ready);
        first_ready.or_else(|| {
            let by_idle = turn.iter().enumerate();
            by_idle
                .min_by_key(|(_, index)| rungs[**index].last_end)
                .map(|(at, _)| at)
        })
    }

    fn isolated(&mut self, rung: &mut Live<'_>, order: u64) -> Result<(), BenchError> {
        let Some(mut session) = rung.session.take() else {
            return Ok(());
        };
        let begun = Instant::now();
        let function = session.function.clone();
        let about = batches::about(rung, &function, &Measure::Isolated, 1, 1);
        let go = Go {
            starts: Some(1),
            workers: Some(1),
            warmup: Some(0),
            ..Go::default()
        };
        let (recorder, mut took) = (&mut *self.recorder, None);
        let expected = Duration::from_nanos(rung.start_ns());
        let outcome = session.batch(&go, expected, &mut |sample| {
            took = sample.error.is_none().then_some(sample.total_ns);
            Ok(recorder.start(about, &StartSample { order, ..sample })?)
        });
        rung.spent += begun.elapsed();
        rung.turns += begun.elapsed();
        rung.last_end = Instant::now();
        let turn = u32::try_from(order).unwrap_or(u32::MAX);
        let seen = took.map(|ns| (rung.process, turn, ns as f64));
        rung.seen.isolated.extend(seen);
        match outcome {
            Ok(_) => {
                rung.session = Some(session);
                batches::count(self, rung, Pass::Isolated, 1);
                Ok(())
            }
            Err(error) => {
                drop(session);
                self.lose(rung, error)
            }
        }
    }
}
