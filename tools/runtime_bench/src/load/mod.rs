//! `load`: what a start takes at a rate of arrivals, and up to which rate a rung follows.
//!
//! A run goes by rounds; in each every rung, in another random order, gets a fresh driver process. That makes starts in a closed loop, by
//! which the first process of a rung chooses the rates, and is then offered each rate: the first process in rising order until it no longer
//! follows, later ones in random order. Beside each rate of a fast rung is another closed loop, as what a process makes shifts as it gets older. Each point
//! is on disk when it is over.

mod closed;
mod cpus;
mod generator;
mod keep_alive;
mod mix;
mod options;
mod pattern;
mod play;
mod point;
mod queue;
mod rates;
mod trace;

use std::time::Instant;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::Probe;
use measure_core::contract::run_info::ProcessInfo;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use stats::schedule::SplitMix64;

use crate::drivers::Offer;
use crate::error::{BenchError, SessionError, StepError};
use crate::link::Start;
use crate::recorder::{About, Recorder};
use crate::session::{Job, Session};
use crate::trouble::Trouble;
use cpus::Shared;
pub use mix::ScriptError;
pub use options::LoadOptions;
use pattern::draw;
use point::{Lane, Offered};
pub use rates::{LoadSizes, QUICK_RUNGS, quick};
use rates::{Rates, SLOW_NS, Source};

/// A rung of which this many processes in a row were lost is given up.
const LOST_IN_A_ROW: u32 = 2;

/// A rung under load.
struct Loaded<'a> {
    offer: &'a Offer,
    /// At most.
    workers: usize,
    /// Processes so far.
    process: u32,
    lost_in_a_row: u32,
    /// Nothing more is asked of it.
    is_out: bool,
    /// To have at the end.
    processes: u32,
    /// One of them has made starts.
    has_started: bool,
    plan: Option<Planned>,
}

/// What its first process chose.
#[derive(Debug)]
struct Planned {
    workers: usize,
    rates: Rates,
    unloaded_ns: u64,
    slo_ns: u64,
    processes: u32,
}

/// What is at hand while rungs are loaded.
struct Bench<'r> {
    recorder: &'r mut Recorder,
    progress: Progress,
    trouble: Trouble,
    job: Job<'r>,
    sizes: &'r LoadSizes,
    random: SplitMix64,
    own_cpu: Option<usize>,
    /// How many drivers have.
    cpus: usize,
}

/// Loads the ready rungs of `offers`.
///
/// # Errors
/// The records cannot be written. What goes wrong with rungs is in the [`Trouble`].
pub fn measure(
    recorder: &mut Recorder,
    offers: &[Offer],
    job: &Job<'_>,
    sizes: &LoadSizes,
) -> Result<Trouble, BenchError> {
    let shared = Shared::take();
    recorder.part().notes.extend(shared.in_words());
    let ready = offers.iter().filter(|o| o.probe == Probe::Ready);
    let mut rungs: Vec<Loaded<'_>> = ready
        .map(|offer| Loaded {
            offer,
            workers: sizes.workers_of(shared.cpus(), offer.description.max_workers),
            process: 0,
            lost_in_a_row: 0,
            is_out: false,
            processes: 1,
            has_started: false,
            plan: None,
        })
        .collect();
    let seed = recorder.seed();
    let mut bench = Bench {
        recorder,
        progress: Progress::begin("load"),
        trouble: Trouble::default(),
        job: *job,
        sizes,
        random: SplitMix64::new(seed),
        own_cpu: shared.own_cpu(),
        cpus: shared.cpus(),
    };
    while interrupt::received().is_none() {
        let mut next: Vec<usize> = (0..rungs.len()).filter(|&i| rungs[i].is_wanted()).collect();
        if next.is_empty() {
            break;
        }
        bench.random.shuffle(&mut next);
        for index in next {
            bench.process(&mut rungs[index])?;
        }
        bench.recorder.save()?;
    }
    bench.progress.clear();
    Ok(bench.trouble)
}

impl Loaded<'_> {
    fn is_wanted(&self) -> bool {
        !self.is_out && self.process < self.processes
    }
}

impl Bench<'_> {
    /// A fresh driver process of `rung`, and all rates.
    fn process(&mut self, rung: &mut Loaded<'_>) -> Result<(), BenchError> {
        if interrupt::received().is_some() {
            return Ok(());
        }
        rung.process += 1;
        let begun = Instant::now();
        let done = match &self.sizes.source {
            Source::Rates => self.swept(rung),
            Source::Mix(_) | Source::Trace(_) => self.played(rung),
        };
        match done {
            Ok(()) => rung.lost_in_a_row = 0,
            Err(error) => self.lose(rung, error)?,
        }
        self.progress.done(begun.elapsed());
        Ok(())
    }

    /// One driver, which is offered every rate.
    fn swept(&mut self, rung: &mut Loaded<'_>) -> Result<(), StepError> {
        let mut session = self.opened(rung, self.job.function, "load")?;
        self.points(rung, &mut session)?;
        closed_well(session)
    }

    /// A driver that starts `function`; its standard error goes to a file of `part`.
    fn opened(
        &mut self,
        rung: &Loaded<'_>,
        function: Option<&FunctionId>,
        part: &str,
    ) -> Result<Session, StepError> {
        let name = rung.offer.rung();
        self.progress
            .show(&format!("{name}, process {}: opening", rung.process));
        let session = Session::start(Start {
            driver: &rung.offer.driver,
            command: "time",
            count: 1,
            rung: name,
            function,
            workers: Some(rung.workers),
            log: self.recorder.log(part, name, rung.process),
            environment_padding_bytes: 0,
            home: None,
            takes_releases: true,
            patience: self.job.patience,
        })?;
        self.recorder.about_rung(name, |info| {
            info.function = Some(session.function.clone());
            info.scope = Some(session.scope.includes.clone());
            info.description = session.description.clone();
            info.processes.push(ProcessInfo {
                process: rung.process,
                opened_ns: session.opened_ns,
                ..ProcessInfo::default()
            });
        });
        Ok(session)
    }

    /// The closed loop, and then every rate.
    fn points(&mut self, rung: &mut Loaded<'_>, session: &mut Session) -> Result<(), StepError> {
        let known = rung.plan.as_ref().map(|plan| plan.unloaded_ns);
        let (workers, mut closed) = self.closed_loop(rung, session, known)?;
        let plan = rung.plan.get_or_insert_with(|| Planned {
            workers,
            rates: Rates::plan(self.sizes, closed.per_s, closed.unloaded_ns),
            unloaded_ns: closed.unloaded_ns,
            slo_ns: self.sizes.slo_ns(closed.unloaded_ns),
            processes: self.sizes.processes_of(closed.unloaded_ns),
        });
        rung.has_started = true;
        rung.processes = plan.processes;
        let (name, process) = (rung.offer.rung().to_owned(), rung.process);
        let is_first = process == 1;
        let mut left = plan.rates.per_s.clone();
        if !is_first {
            self.random.shuffle(&mut left);
        }
        left.reverse();
        while let Some(per_s) = left.pop() {
            if plan.unloaded_ns < SLOW_NS {
                let time = self.sizes.beside();
                closed = closed::together(session, workers, plan.unloaded_ns, time)?;
                self.record_closed(&name, process, session, workers, closed)?;
            }
            let offered = Offered {
                rung: name.clone(),
                process,
                pattern: self.sizes.pattern.to_string(),
                seed: self.random.next_u64(),
                per_s,
                duration_ns: plan.rates.duration_ns(per_s),
                workers,
                closed_loop_per_s: closed.per_s,
                unloaded_ns: plan.unloaded_ns,
                slo_ns: plan.slo_ns,
            };
            let (duration_ns, seed) = (offered.duration_ns, offered.seed);
            let lane = Lane {
                session: &mut *session,
                offsets_ns: draw(self.sizes.pattern, per_s, duration_ns, seed),
                offered,
                parked: None,
            };
            let rate = report::count(per_s);
            self.progress.show(&format!(
                "{name}, process {process}: {rate} arrivals a second"
            ));
            self.recorder.next_block();
            for point in point::measure(&mut [lane], self.own_cpu)? {
                let follows = point.follows();
                self.recorder.load_point(point)?;
                if is_first && left.is_empty() {
                    left.extend(plan.rates.step(follows));
                }
            }
        }
        if is_first {
            let words = plan.in_words();
            self.recorder
                .about_rung(&name, |info| info.plan = Some(words));
        }
        Ok(())
    }

    /// The median of starts one by one, unless it is `known`, and starts a second in a closed loop of as many workers as such starts get.
    fn closed_loop(
        &mut self,
        rung: &Loaded<'_>,
        session: &mut Session,
        known: Option<u64>,
    ) -> Result<(usize, closed::Closed), StepError> {
        let (name, process) = (rung.offer.rung(), rung.process);
        self.progress
            .show(&format!("{name}, process {process}: closed loop"));
        let unloaded_ns = closed::unloaded_ns(session, known)?;
        let workers = self.sizes.workers_for(unloaded_ns, self.cpus, rung.workers);
        let closed = closed::together(session, workers, unloaded_ns, self.sizes.closed)?;
        self.record_closed(name, process, session, workers, closed)?;
        Ok((workers, closed))
    }

    fn record_closed(
        &mut self,
        name: &str,
        process: u32,
        session: &Session,
        workers: usize,
        closed: closed::Closed,
    ) -> Result<(), StepError> {
        let about = About {
            rung: name,
            function: &session.function,
            measure: &Measure::ClosedLoop,
            n: closed.starts,
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
            process,
            order: 0,
        };
        self.recorder.next_block();
        let elapsed = closed.elapsed_ns.into();
        self.recorder
            .value(about, phase::TOTAL, Metric::WallNs, elapsed)?;
        Ok(())
    }

    /// The process of `rung` is lost; so is the rung, if it was the first or this is one loss too many in a row.
    fn lose(&mut self, rung: &mut Loaded<'_>, error: StepError) -> Result<(), BenchError> {
        let error = error.of_rung()?;
        if matches!(error, SessionError::Interrupted(_)) {
            return Ok(());
        }
        rung.lost_in_a_row += 1;
        let (recorder, progress) = (&mut *self.recorder, &mut self.progress);
        let name = rung.offer.rung();
        recorder.about_process(name, rung.process, |info| {
            info.died = Some(error.to_string());
        });
        if !rung.has_started || rung.lost_in_a_row >= LOST_IN_A_ROW {
            rung.is_out = true;
            let named = self.job.named();
            return self
                .trouble
                .add(recorder, progress, rung.offer, named, error);
        }
        self.trouble
            .lost_process(recorder, progress, rung.offer, rung.process, error)
    }
}

/// Lets the driver go, and says how it ended; a signal to us is said elsewhere.
fn closed_well(session: Session) -> Result<(), StepError> {
    match session.close() {
        Err(error) if error.exit() != Exit::Interrupted => Err(error.into()),
        _ => Ok(()),
    }
}

impl Planned {
    fn in_words(&self) -> String {
        let rates: Vec<String> = self.rates.per_s.iter().map(|r| report::count(*r)).collect();
        format!(
            "{} fresh driver processes, in each closed loops of {} workers and open loops of {} s at {} arrivals a second, the first in rising order",
            self.processes,
            self.workers,
            self.rates.duration.as_secs_f64(),
            rates.join(", ")
        )
    }
}
