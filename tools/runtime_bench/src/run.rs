//! A run from its preparation to its tables: what its parts share, and each part.

pub(crate) mod resume;

use std::path::Path;
use std::time::Duration;

use measure_core::base::exit::Exit;
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::base::range::in_range;
use measure_core::base::stdout::print;
use measure_core::contract::Probe;
use measure_core::contract::environment::Environment;
use measure_core::contract::host_lock::{HostLock, MEASURING};
use measure_core::contract::run_info::{Part, RungInfo};
use nix::unistd::geteuid;

use crate::common_options::{Common, Which};
use crate::drivers::{Ladder, Offer};
use crate::engines::Engines;
use crate::error::{BenchError, SessionError};
use crate::functions;
use crate::functions::answers::Row;
use crate::load::{self, LoadSizes};
use crate::mem::{self, Sweep};
use crate::plan::Sizes;
use crate::recorder::Recorder;
use crate::session::Job;
use crate::time;
use crate::time::resume::{Asked, Resume};
use crate::trouble::Trouble;

/// What the parts of a run share.
pub(crate) struct Run {
    pub(crate) recorder: Recorder,
    pub(crate) offers: Vec<Offer>,
    /// Named one by one on the command line.
    named: bool,
    engines: Engines,
    pub(crate) function: Option<FunctionId>,
    pub(crate) patience: Duration,
    /// What the rungs answered, if somebody brought the function.
    answers: Vec<Row>,
    /// Whether the function answers requests.
    is_handler: bool,
    /// Held until the run is over.
    _lock: HostLock,
}

impl Run {
    /// Checks everything that can be checked before anything is measured: function, rungs, whether another
    /// run is under way, whether the output can be written, whether the host is fit.
    pub(crate) fn prepare(common: &Common, which: &Which) -> Result<Self, BenchError> {
        let function = which.function.as_deref().map(str::parse::<FunctionId>);
        let function = function
            .transpose()
            .map_err(|e| BenchError::Usage(e.to_string()))?;
        in_range("--patience", common.patience, 1..=86_400)?;
        if let Some(function) = &function {
            functions::require_known(function)?;
        }
        let lock = HostLock::take(MEASURING)?;
        let mut environment = probes::environment::capture();
        let ladder = Ladder::discover(&common.engines);
        stop_if_told()?;
        let offers = match &which.rungs {
            Some(names) => ladder.select(names)?,
            None if which.all => ladder.offers.clone(),
            None => ladder.quick(),
        };
        for (driver, why) in &ladder.missing {
            eprintln!("warning: {driver}: {why}; its rungs are missing");
        }
        if offers.is_empty() {
            return Err(BenchError::Unavailable(
                "no driver offers a rung, see `runtime_bench doctor`".into(),
            ));
        }
        environment
            .heed(common.strict)
            .map_err(|unfit| BenchError::Unavailable(unfit.to_string()))?;
        let (answers, is_handler) = match &function {
            Some(function) => answers_of(function, &offers)?,
            None => (Vec::new(), false),
        };
        let seed = common
            .seed
            .unwrap_or_else(measure_core::base::clock::now_ns);
        environment.note_run("seed", seed);
        describe(&mut environment, &offers);
        let recorder = Recorder::open(common.output.as_deref(), environment, seed)?;
        Ok(Self {
            recorder,
            offers,
            named: which.rungs.is_some(),
            engines: common.engines.clone(),
            function,
            patience: Duration::from_secs(common.patience),
            answers,
            is_handler,
            _lock: lock,
        })
    }

    /// What `quick` measures after times: memory, if it may, and a few rungs under load.
    pub(crate) fn rest_of_quick(&mut self) -> Result<Vec<Trouble>, BenchError> {
        let mut troubles = Vec::new();
        if interrupt::received().is_none() {
            if geteuid().is_root() {
                troubles.push(self.mem(&Sweep::quick(), "quick")?);
            } else {
                eprintln!("warning: memory is not measured: it needs root");
            }
        }
        if interrupt::received().is_none() {
            self.offers
                .retain(|offer| load::QUICK_RUNGS.contains(&offer.rung()));
            troubles.push(self.load(&load::quick(), "quick")?);
        }
        Ok(troubles)
    }

    pub(crate) fn begin(&mut self, name: &str, profile: &str) -> Result<(), BenchError> {
        let rungs = self.offers.iter().map(|offer| RungInfo {
            driver: offer.driver_name(),
            description: offer.description.clone(),
            probe: offer.probe.clone(),
            function: None,
            scope: None,
            plan: None,
            failure: None,
            processes: Vec::new(),
        });
        let part = Part {
            name: name.into(),
            command_line: std::env::args().collect(),
            profile: profile.into(),
            seed: self.recorder.seed(),
            ended: Some("it was killed before its end".into()),
            notes: Vec::new(),
            idle_ns: None,
            rungs: rungs.collect(),
        };
        self.recorder.begin(part)?;
        for offer in &self.offers {
            if let Probe::Unavailable { why, mend } = &offer.probe {
                let function = &offer.description.default_function;
                self.recorder
                    .unavailable(offer.rung(), function, &format!("{why}, {mend}"))?;
            }
        }
        Ok(())
    }

    pub(crate) fn end_part(&mut self) -> Result<(), BenchError> {
        self.recorder.part().ended = interrupt::ended_early();
        self.recorder.save()?;
        Ok(())
    }

    /// Those that answer as they should, where that is known.
    pub(crate) fn offers_to_measure(&self) -> Vec<Offer> {
        let mut offers = self.offers.clone();
        offers.retain(|offer| self.not_timed(offer).is_none());
        offers
    }

    /// Why nothing of `offer` is measured, and whether that is its fault.
    fn not_timed(&self, offer: &Offer) -> Option<SessionError> {
        let row = self.answers.iter().find(|row| row.rung == offer.rung())?;
        let words = row.outcome.not_timed()?;
        Some(SessionError::OtherAnswer {
            words,
            is_failure: row.outcome.fails_timed(),
        })
    }

    pub(crate) fn say_who_answers_otherwise(
        &mut self,
        trouble: &mut Trouble,
    ) -> Result<(), BenchError> {
        let function = self.function.as_ref().map(ToString::to_string);
        let mut progress = Progress::begin("answers");
        for offer in self.offers.iter().filter(|o| o.probe == Probe::Ready) {
            if let Some(error) = self.not_timed(offer) {
                let (recorder, function) = (&mut self.recorder, function.clone());
                trouble.add(recorder, &mut progress, offer, function, error)?;
            }
        }
        progress.clear();
        Ok(())
    }

    pub(crate) fn time(
        &mut self,
        sizes: &Sizes,
        profile: &str,
        is_quick: bool,
    ) -> Result<Trouble, BenchError> {
        self.begin("time", profile)?;
        self.go_on(Resume::new(Asked {
            rungs: self.offers.iter().map(|o| o.rung().to_owned()).collect(),
            named: self.named,
            engines: self.engines.clone(),
            function: self.function.as_ref().map(ToString::to_string),
            patience_s: self.patience.as_secs(),
            is_quick,
            sizes: Sizes {
                requests: self.is_handler && !sizes.is_aa(),
                ..sizes.clone()
            },
        }))
    }

    /// The time part, from where `resume` stands.
    fn go_on(&mut self, resume: Resume) -> Result<Trouble, BenchError> {
        let job = Job {
            function: self.function.as_ref(),
            patience: self.patience,
        };
        let offers = self.offers_to_measure();
        let mut trouble = time::measure(&mut self.recorder, &offers, &job, resume)?;
        self.say_who_answers_otherwise(&mut trouble)?;
        self.end_part()?;
        Ok(trouble)
    }

    pub(crate) fn mem(&mut self, sweep: &Sweep, profile: &str) -> Result<Trouble, BenchError> {
        self.begin("mem", profile)?;
        let job = Job {
            function: self.function.as_ref(),
            patience: self.patience,
        };
        let offers = self.offers_to_measure();
        let mut trouble = mem::measure(&mut self.recorder, &offers, &job, sweep)?;
        self.say_who_answers_otherwise(&mut trouble)?;
        self.end_part()?;
        Ok(trouble)
    }

    pub(crate) fn load(&mut self, sizes: &LoadSizes, profile: &str) -> Result<Trouble, BenchError> {
        self.begin("load", profile)?;
        let job = Job {
            function: self.function.as_ref(),
            patience: self.patience,
        };
        let offers = self.offers_to_measure();
        let mut trouble = load::measure(&mut self.recorder, &offers, &job, sizes)?;
        self.say_who_answers_otherwise(&mut trouble)?;
        self.end_part()?;
        Ok(trouble)
    }

    /// Writes and prints the tables, and ends with what went wrong first.
    pub(crate) fn finish(self, troubles: Vec<Trouble>) -> Result<Exit, BenchError> {
        let nothing_can_run = self.offers.iter().all(|o| o.probe != Probe::Ready);
        let path = self.recorder.path().to_owned();
        let table = self.recorder.finish()?;
        print_tables(&table, &path)?;
        if let Some(exit) = interrupt::received() {
            return Ok(exit);
        }
        troubles.into_iter().try_for_each(Trouble::result)?;
        if self.named && nothing_can_run {
            return Err(BenchError::Unavailable(
                "none of these rungs can run here; the table says why".into(),
            ));
        }
        Ok(Exit::Ok)
    }
}

/// What each rung answers before any is measured, and whether it is a handler; nothing for a function that nobody brought.
fn answers_of(function: &FunctionId, offers: &[Offer]) -> Result<(Vec<Row>, bool), BenchError> {
    match functions::stored_file(function)? {
        Some(file) => {
            let rows = functions::answers::ask_rungs(offers, function, &file)?;
            Ok((rows, file.served().is_some()))
        }
        None => Ok((Vec::new(), false)),
    }
}

fn stop_if_told() -> Result<(), BenchError> {
    match interrupt::received() {
        Some(exit) => Err(BenchError::Rung {
            rung: "before anything was measured".into(),
            error: SessionError::Interrupted(exit),
        }),
        None => Ok(()),
    }
}

/// Versions and hashes of what is about to be measured.
fn describe(environment: &mut Environment, offers: &[Offer]) {
    for offer in offers {
        let driver = offer.driver_name();
        let hash =
            measure_core::base::files::sha256_of(&offer.driver.path).map_err(|e| e.to_string());
        environment.note_engine(&driver, "executable_sha256", hash);
        environment.note_engine(&driver, offer.rung(), offer.description.engine.as_str());
    }
}

pub(crate) fn print_tables(tables: &str, dir: &Path) -> Result<(), BenchError> {
    let dir = dir.display();
    // A reader that has seen enough changes nothing about how the run ends.
    print(format!("{tables}\ntables and samples: {dir}\n")).map_err(BenchError::Output)?;
    Ok(())
}
