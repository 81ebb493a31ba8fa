//! Opening and closing the driver processes of a round, all at once.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::interrupt;
use measure_core::contract::run_info::ProcessInfo;
use measure_core::contract::vocabulary::Measure;
use stats::schedule::SplitMix64;

use super::adapt;
use super::bench::{Bench, equal_share};
use super::live::Live;
use crate::error::{BenchError, SessionError};
use crate::link::Start;
use crate::session::Session;

/// Drivers that get ready at the same time: engines load images, which is work for every processor and disk.
const OPEN_AT_ONCE: usize = 4;
/// Environments differ by up to a page, which is what moves the beginning of a stack.
const MAX_PADDING_BYTES: u64 = 4096;

impl Bench<'_> {
    /// Opens a process for each of the rungs `next`. Nothing is measured meanwhile.
    pub(super) fn open(
        &mut self,
        rungs: &mut [Live<'_>],
        next: &[usize],
    ) -> Result<(), BenchError> {
        self.recorder.next_block();
        self.progress
            .show(&format!("{} drivers get ready", next.len()));
        let begun = Instant::now();
        let mut random = SplitMix64::new(self.seed());
        let mut starts = Vec::new();
        for &index in next {
            let rung = &mut rungs[index];
            rung.process += 1;
            // At most its bound, which fits.
            let padding = random.below(MAX_PADDING_BYTES + 1) as u32;
            self.note_process(rung, padding);
            starts.push((index, self.start_of(rung, padding)));
        }
        let opened = open_all(starts);
        let ready = opened.iter().filter_map(|(_, s)| s.as_ref().ok());
        let all_ns: u64 = ready.map(|session| session.opened_ns).sum();
        let took = begun.elapsed();
        for (index, session) in opened {
            let rung = &mut rungs[index];
            match session {
                Ok(session) => {
                    let share = session.opened_ns as f64 / all_ns.max(1) as f64;
                    rung.spent += took.mul_f64(share);
                    rung.opening += took.mul_f64(share);
                    self.take_up(rung, session);
                }
                Err(error) => self.lose(rung, error.into())?,
            }
        }
        Ok(())
    }

    fn note_process(&mut self, rung: &Live<'_>, environment_padding_bytes: u32) {
        self.recorder.about_rung(rung.offer.rung(), |info| {
            info.processes.push(ProcessInfo {
                process: rung.process,
                environment_padding_bytes,
                ..ProcessInfo::default()
            });
        });
    }

    fn start_of<'a>(&self, rung: &Live<'a>, environment_padding_bytes: u32) -> Start<'a>
    where
        Self: 'a,
    {
        let most = rung.offer.description.max_workers.max(1);
        let workers = self.sizes.workers.iter().copied().filter(|&w| w <= most);
        Start {
            driver: &rung.offer.driver,
            command: "time",
            count: 1,
            rung: rung.offer.rung(),
            function: self.job.function,
            workers: Some(workers.max().unwrap_or(1)),
            log: self.recorder.log("time", rung.offer.rung(), rung.process),
            home: None,
            takes_releases: false,
            patience: self.job.patience,
            environment_padding_bytes,
        }
    }

    fn take_up(&mut self, rung: &mut Live<'_>, session: Session) {
        let name = rung.offer.rung();
        self.recorder.about_process(name, rung.process, |info| {
            info.opened_ns = session.opened_ns;
        });
        self.recorder.about_rung(name, |info| {
            info.function = Some(session.function.clone());
            info.scope = Some(session.scope.includes.clone());
            // With what it knows once it is prepared, for example the image's digest.
            info.description = session.description.clone();
        });
        rung.function = Some(session.function.clone());
        rung.last_end = Instant::now();
        rung.session = Some(session);
    }

    /// Releases every process of the round, then waits for each to clean up.
    pub(super) fn close(
        &mut self,
        rungs: &mut [Live<'_>],
        next: &[usize],
    ) -> Result<(), BenchError> {
        let begun = Instant::now();
        self.progress
            .show(&format!("{} drivers clean up", next.len()));
        for &index in next {
            if let Some(session) = &mut rungs[index].session {
                session.release();
            }
        }
        for &index in next {
            let rung = &mut rungs[index];
            self.note_left_out(rung);
            let Some(session) = rung.session.take() else {
                continue;
            };
            match session.close() {
                Err(error) if error.exit() != Exit::Interrupted => self.lose(rung, error.into())?,
                _ if interrupt::received().is_some() => {}
                _ => {
                    rung.done += 1;
                    rung.lost_in_a_row = 0;
                    self.progress.done(rung.spent / rung.process.max(1));
                }
            }
        }
        let share = equal_share(begun.elapsed(), next.len());
        for &index in next {
            let rung = &mut rungs[index];
            rung.spent += share;
            rung.opening += share;
            if let Some(words) = adapt::rework(rung, self.sizes) {
                let name = rung.offer.rung();
                self.recorder
                    .about_rung(name, |info| info.plan = Some(words));
            }
        }
        Ok(())
    }

    /// Writes down how many starts the last process of `rung` did not come to make.
    fn note_left_out(&mut self, rung: &Live<'_>) {
        let planned = rung.measured_starts();
        self.recorder
            .about_process(rung.offer.rung(), rung.process, |info| {
                let apart = [Measure::Calibrate.as_str(), Measure::DropCaches.as_str()];
                let made = info
                    .starts
                    .iter()
                    .filter(|(pass, _)| !apart.contains(&pass.as_str()));
                info.left_out = planned.saturating_sub(made.map(|(_, starts)| starts).sum());
            });
    }
}

/// Opens all of `starts`, several at the same time.
fn open_all<'a>(starts: Vec<(usize, Start<'a>)>) -> Vec<(usize, Result<Session, SessionError>)> {
    let at_once = OPEN_AT_ONCE.min(starts.len());
    let queue = Mutex::new(starts.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let opened = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((index, start)) = next() {
                    let session = Session::start(start);
                    let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
                    opened.push((index, session));
                }
            });
        }
    });
    let mut opened = opened.into_inner().unwrap_or_else(PoisonError::into_inner);
    opened.sort_by_key(|(index, _)| *index);
    opened
}
