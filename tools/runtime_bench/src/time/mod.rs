//! `time`: wall time, CPU and disk I/O of cold starts.
//!
//! The unit of replication is the driver process, not the start. So a run goes by rounds: each rung that takes part gets a fresh
//! driver; all are opened, nothing is measured meanwhile; single starts are asked for in turns, each of a rung that
//! has been idle; then closed loops, alternating over the rungs in a seeded random order; then all drivers are closed.
//! Wall time, CPU and disk I/O of fast rungs are batches of their own, so that reading counters disturbs no wall time.

mod adapt;
mod batches;
mod bench;
mod halves;
mod isolated;
mod live;
mod replicates;
pub mod resume;
mod seen;
mod watch;

use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::Probe;
use stats::schedule::{Block, interleave};

use crate::drivers::Offer;
use crate::error::{BenchError, SessionError, StepError};
use crate::plan::{Pass, Sizes, Task};
use crate::recorder::Recorder;
use crate::rounds::{self, Standing};
use crate::session::Job;
use crate::trouble::Trouble;
use bench::Bench;
use live::Live;
use report::Records;
use resume::{RESUME, Resume};

/// A rung of which this many processes in a row were lost is given up.
const LOST_IN_A_ROW: u32 = 2;
/// In which processes of a rung page caches are dropped at the end: each time costs a flush of the whole host's.
const DROPS_CACHES: [u32; 2] = [1, 4];

/// Measures the ready rungs of `offers`, from where `resume` stands on.
///
/// # Errors
/// The records cannot be written. What goes wrong with rungs is in the [`Trouble`].
pub fn measure(
    recorder: &mut Recorder,
    offers: &[Offer],
    job: &Job<'_>,
    mut resume: Resume,
) -> Result<Trouble, BenchError> {
    let sizes = &resume.asked.sizes.clone();
    let mut rungs = rungs(recorder, offers, &resume)?;
    recorder.write(RESUME, &resume.to_json())?;
    recorder.part().idle_ns = Some(u64::try_from(sizes.idle.as_nanos()).unwrap_or(u64::MAX));
    let mut bench = Bench {
        recorder,
        progress: Progress::begin("time"),
        trouble: Trouble::default(),
        job: *job,
        sizes,
        begun: Instant::now(),
        elapsed: resume.elapsed,
        watched: resume.watched.clone(),
        round: resume.round,
    };
    while interrupt::received().is_none() {
        bench.plan(&mut rungs);
        let standings: Vec<Standing> = rungs.iter().map(Live::standing).collect();
        let next = rounds::next_round(&standings);
        if next.is_empty() {
            break;
        }
        bench.round(&mut rungs, &next)?;
        bench.recorder.save()?;
        if interrupt::received().is_none() {
            bench.round += 1;
            bench.keep(&rungs, &mut resume)?;
        }
    }
    if interrupt::received().is_none() {
        bench.recorder.remove(RESUME)?;
    }
    let host = bench.watched.in_words();
    bench.recorder.part().notes.extend(host);
    bench.say_what_is_missing(&rungs);
    bench.progress.clear();
    Ok(bench.trouble)
}

/// The rungs of `offers` that can run, as they were when the run was cut short.
fn rungs<'a>(
    recorder: &Recorder,
    offers: &'a [Offer],
    resume: &Resume,
) -> Result<Vec<Live<'a>>, BenchError> {
    let ready = offers.iter().filter(|o| o.probe == Probe::Ready);
    if resume.live.is_empty() {
        return Ok(ready.map(Live::new).collect());
    }
    let samples = Records::read(recorder.path())?.samples;
    let rung = |offer: &'a Offer| {
        let of_rung = samples.iter().filter(|s| s.rung == offer.rung());
        // A run that was killed knows its last processes by their samples alone.
        let process = of_rung.map(|s| s.process).max().unwrap_or(0);
        let process = process.max(recorder.last_process(offer.rung()));
        match resume.live.get(offer.rung()) {
            Some(state) => {
                let seen = resume::seen(&samples, offer.rung());
                Live::resumed(offer, state, process, seen)
            }
            None => Live::new(offer),
        }
    };
    Ok(ready.map(rung).collect())
}

impl Bench<'_> {
    /// Writes down what it takes to go on after the rounds that are over.
    fn keep(&self, rungs: &[Live<'_>], resume: &mut Resume) -> Result<(), BenchError> {
        resume.round = self.round;
        resume.elapsed = self.elapsed();
        resume.watched = self.watched.clone();
        resume.live = rungs
            .iter()
            .map(|rung| (rung.offer.rung().to_owned(), rung.state()))
            .collect();
        Ok(self.recorder.write(RESUME, &resume.to_json())?)
    }

    /// Since the beginning, without what lay between a run that was cut short and the one that goes on with it.
    fn elapsed(&self) -> Duration {
        self.elapsed + self.begun.elapsed()
    }

    /// Decides how many processes each rung is to have, from what they have cost and shown so far.
    fn plan(&mut self, rungs: &mut [Live<'_>]) {
        let standings = planned(rungs, self.sizes, self.elapsed());
        for (rung, standing) in rungs.iter_mut().zip(standings) {
            let more = standing.planned.saturating_sub(rung.planned());
            self.progress.expect(standing.cost * more);
            rung.replan(standing.planned);
        }
    }

    /// One round: a fresh process for each of the rungs `next`, and all that it has to do.
    fn round(&mut self, rungs: &mut [Live<'_>], next: &[usize]) -> Result<(), BenchError> {
        self.open(rungs, next)?;
        for &index in next {
            self.step(&mut rungs[index], "first start", batches::first_start)?;
        }
        self.watched(rungs, next, Self::isolated_turns)?;
        self.watched(rungs, next, Self::loops)?;
        for &index in next {
            if !self.sizes.is_aa() && DROPS_CACHES.contains(&rungs[index].process) {
                self.block(&mut rungs[index], batches::DROP_CACHES)?;
            }
        }
        self.close(rungs, next)
    }

    /// All batches of a round, in random order over its rungs.
    fn loops(&mut self, rungs: &mut [Live<'_>], next: &[usize]) -> Result<(), BenchError> {
        let plan: Vec<(usize, Task)> = next
            .iter()
            .flat_map(|&index| rungs[index].tasks().into_iter().map(move |t| (index, t)))
            .collect();
        let repetitions: Vec<u32> = plan.iter().map(|(_, task)| task.repetitions).collect();
        for Block { task, .. } in interleave(self.seed(), &repetitions) {
            let (index, task) = plan[task];
            self.block(&mut rungs[index], task)?;
        }
        Ok(())
    }

    /// Of the present round.
    fn seed(&self) -> u64 {
        self.recorder.seed().wrapping_add(self.round)
    }

    fn block(&mut self, rung: &mut Live<'_>, task: Task) -> Result<(), BenchError> {
        let doing = match task.pass {
            Pass::DropCaches => "page caches dropped".to_owned(),
            Pass::Request => format!("{} requests", task.starts),
            _ => format!("{}, {} starts", task.pass.word(), task.starts),
        };
        self.step(rung, &doing, |bench, rung| {
            batches::batch(bench, rung, task)
        })
    }

    /// Does something with the process of a rung, if it has one, in a block of its own; a process that fails is lost.
    fn step(
        &mut self,
        rung: &mut Live<'_>,
        doing: &str,
        work: impl FnOnce(&mut Self, &mut Live<'_>) -> Result<(), StepError>,
    ) -> Result<(), BenchError> {
        if rung.session.is_none() || interrupt::received().is_some() {
            return Ok(());
        }
        self.recorder.next_block();
        self.show(rung, doing);
        let begun = Instant::now();
        let outcome = work(self, rung);
        rung.spent += begun.elapsed();
        rung.last_end = Instant::now();
        outcome.or_else(|error| self.lose(rung, error))
    }

    fn show(&mut self, rung: &Live<'_>, doing: &str) {
        let (name, process) = (rung.offer.rung(), rung.process);
        self.progress
            .show(&format!("{name}, process {process}: {doing}"));
    }

    /// The process of `rung` is lost; so is the rung, if it never made a start or this is one loss too many in a row.
    fn lose(&mut self, rung: &mut Live<'_>, error: StepError) -> Result<(), BenchError> {
        let error = error.of_rung()?;
        drop(rung.session.take());
        if matches!(error, SessionError::Interrupted(_)) {
            return Ok(());
        }
        rung.lost_in_a_row += 1;
        let name = rung.offer.rung();
        let (recorder, progress) = (&mut *self.recorder, &mut self.progress);
        recorder.about_process(name, rung.process, |info| {
            info.died = Some(error.to_string())
        });
        if rung.never_started() || rung.lost_in_a_row >= LOST_IN_A_ROW {
            rung.out = true;
            let function = rung.function.clone().or_else(|| self.job.named());
            return self
                .trouble
                .add(recorder, progress, rung.offer, function, error);
        }
        self.trouble
            .lost_process(recorder, progress, rung.offer, rung.process, error)
    }

    /// Notes which rungs have fewer processes than the design asks for, where that is not said elsewhere.
    fn say_what_is_missing(&mut self, rungs: &[Live<'_>]) {
        if interrupt::received().is_some() {
            return;
        }
        for rung in rungs.iter().filter(|rung| !rung.out) {
            let least = self.sizes.processes(rung.start_ns()) * self.sizes.sets;
            if rung.done < least {
                let within = self.sizes.within.unwrap_or_default();
                self.recorder.part().notes.push(format!(
                    "{}: {} of {least} driver processes, as all rungs together have {} s; `runtime_bench time --rungs {}` makes all of them",
                    rung.offer.rung(),
                    rung.done,
                    within.as_secs(),
                    rung.offer.rung(),
                ));
            }
        }
    }
}

/// How many processes each rung is to have, `elapsed` after the beginning.
fn planned(rungs: &[Live<'_>], sizes: &Sizes, elapsed: Duration) -> Vec<Standing> {
    let mut standings: Vec<Standing> = rungs.iter().map(Live::standing).collect();
    if sizes.may_adapt() {
        let rungs = u32::try_from(rungs.len()).unwrap_or(u32::MAX);
        let all = sizes.within.unwrap_or(sizes.budget * rungs);
        rounds::extend(&mut standings, all.saturating_sub(elapsed));
    }
    if let Some(within) = sizes.within {
        rounds::cut(&mut standings, within.saturating_sub(elapsed));
    }
    standings
}
