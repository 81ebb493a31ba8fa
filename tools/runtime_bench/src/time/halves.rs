//! Half of a round under watch, and once more where the host was disturbed.

use measure_core::base::interrupt;
use measure_core::contract::Scope;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use probes::host_watch::{HostBlock, HostWatch, Verdict};

use super::batches;
use super::bench::Bench;
use super::live::Live;
use crate::error::BenchError;

/// How often half of a round is made again at most, with `--strict`, because the host was disturbed.
const REPEATS: u32 = 2;

impl Bench<'_> {
    /// Half of a round with the rungs `next`, in blocks from the next one on, under watch.
    pub(super) fn watched<'a>(
        &mut self,
        rungs: &mut [Live<'a>],
        next: &[usize],
        half: impl Fn(&mut Self, &mut [Live<'a>], &[usize]) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        for attempt in 0.. {
            self.recorder.next_block();
            let first_block = self.recorder.block();
            let seen: Vec<(usize, usize)> = rungs.iter().map(|rung| rung.seen.len()).collect();
            let sessions = rungs.iter().filter_map(|rung| rung.session.as_ref());
            let scopes: Vec<Scope> = sessions.map(|session| session.scope.clone()).collect();
            let watch = HostWatch::start_scopes(&scopes);
            half(self, rungs, next)?;
            let host = watch.end();
            let Verdict::Disturbed(by) = host.verdict() else {
                return self.note_host(rungs, next, first_block, &host, false);
            };
            self.watched.disturbed += 1;
            self.watched.first.get_or_insert_with(|| by[0].to_string());
            let again = self.sizes.strict && attempt < REPEATS && interrupt::received().is_none();
            self.note_host(rungs, next, first_block, &host, again)?;
            if !again {
                return Ok(());
            }
            self.watched.repeated += 1;
            for (rung, seen) in rungs.iter_mut().zip(seen) {
                rung.seen.truncate(seen);
            }
        }
        Ok(())
    }

    /// Writes down what the host did, for each of the rungs that took part, under the first block of the half; and if it `is_repeated`
    /// which blocks do not count.
    fn note_host(
        &mut self,
        rungs: &[Live<'_>],
        next: &[usize],
        first_block: u32,
        host: &HostBlock,
        is_repeated: bool,
    ) -> Result<(), BenchError> {
        self.watched.halves += 1;
        let last_block = self.recorder.block();
        for rung in next.iter().map(|&index| &rungs[index]) {
            let function = rung.function.clone().unwrap_or_default();
            let about = batches::about(rung, &function, &Measure::Host, 1, 1);
            for (phase, metric, value) in host.values() {
                self.recorder
                    .value_in(first_block, about, phase, metric, value)?;
            }
            if is_repeated {
                for block in first_block..=last_block {
                    let one = 1.into();
                    self.recorder.value_in(
                        block,
                        about,
                        phase::REPEATED,
                        Metric::Disturbed,
                        one,
                    )?;
                }
            }
        }
        Ok(())
    }
}
