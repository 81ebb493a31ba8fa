//! `isolation`: what each rung really isolates, found by probes that it runs as functions.
//!
//! Drivers are asked side by side, each over probes aimed at what was planted for it alone, so that what the host sees can
//! be told apart. Then, one after the other, each rung has a victim beside noisy neighbours of its own.

mod asked;
mod campaign;
mod neighbours;
mod options;
mod starts;

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ::report::read_json;
use isolation::IsolationError;
use isolation::catalogue::Probe;
use isolation::facts::HostFacts;
use isolation::home::Home;
use isolation::interference::base_slice_ns;
use isolation::plant::{self, Plant};
use isolation::record::{FILE, Found, RungFound, SCHEMA};
use isolation::{control, report};
use measure_core::base::exit::Exit;
use measure_core::base::progress::Line;
use measure_core::base::stdout::print;
use measure_core::base::{home, interrupt};
use measure_core::contract::environment::ENVIRONMENT;
use measure_core::contract::host_lock::{HostLock, MEASURING};
use measure_core::contract::run_dir::{RESULTS, RunDir};
use measure_core::contract::{Probe as Readiness, environment::Environment};
use nix::unistd::geteuid;

use crate::drivers::{Ladder, Offer};
use crate::engines::Driver;
use crate::error::BenchError;
use crate::output::write_tables_of;
use asked::Asked;
use campaign::Campaign;
pub use options::IsolationOptions;

/// What all victims together may take; what does not fit is named in the tables.
const NEIGHBOURS_WITHIN: Duration = Duration::from_secs(360);
/// What is left of a whole run after its probes, or this where they took longer.
const ALL_WITHIN: Duration = Duration::from_secs(570);
const LEAST_WITHIN: Duration = Duration::from_secs(30);

/// What a driver's thread says.
enum Said {
    Doing(String),
    Found(Box<RungFound>),
}

/// Probes the rungs and prints what was found.
///
/// # Errors
/// The probes are not built, nothing can be planted, or the results cannot be written.
pub(crate) fn run(options: &IsolationOptions) -> Result<Exit, BenchError> {
    let probes = options.probes()?;
    let asked = Asked::parse(options.function.as_deref())?;
    let lock = HostLock::take(MEASURING)?;
    let ladder = Ladder::discover(&options.engines);
    for (driver, why) in &ladder.missing {
        eprintln!("warning: {driver}: {why}; its rungs are missing");
    }
    let offers = match &options.rungs {
        Some(names) => ladder.select(names)?,
        None => ladder.offers.clone(),
    };
    if !geteuid().is_root() {
        eprintln!(
            "warning: not root: what only root of the host may do or read cannot be tried, and some rungs cannot run"
        );
    }
    plant::remove_orphans();
    let facts = HostFacts::gather();
    let mut bench = Bench::open(options, asked, &facts)?;
    bench.found.control = bench.control(&probes)?;
    let offers = bench.leave_out(offers);
    bench.probe(&offers, &probes)?;
    if options.neighbours {
        bench.neighbours(&offers)?;
    }
    bench.found.ended = interrupt::ended_early();
    let exit = bench.finish()?;
    drop(lock);
    Ok(exit)
}

/// A run under way.
struct Bench<'a> {
    options: &'a IsolationOptions,
    asked: Asked,
    facts: &'a HostFacts,
    environment: Environment,
    dir: RunDir,
    found: Found,
    line: Line,
    begun: Instant,
    /// All rungs by the ladder.
    order: Vec<String>,
}

impl<'a> Bench<'a> {
    fn open(
        options: &'a IsolationOptions,
        asked: Asked,
        facts: &'a HostFacts,
    ) -> Result<Self, BenchError> {
        let dir = match &options.output {
            Some(path) => RunDir::open(path)?,
            None => RunDir::create(Path::new(RESULTS))?,
        };
        if Found::is_there(dir.path()) || !dir.is_empty()? {
            return Err(BenchError::Usage(format!(
                "{} holds the results of another run already; choose another directory with --output",
                dir.path().display()
            )));
        }
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let found = Found {
            schema: SCHEMA,
            run: dir.name(),
            cpus,
            slice_ns: base_slice_ns(cpus),
            function: asked.function.as_ref().map(ToString::to_string),
            granted: asked.network.iter().map(ToString::to_string).collect(),
            ended: Some("it was killed before its end".into()),
            ..Found::default()
        };
        let bench = Self {
            options,
            asked,
            facts,
            environment: probes::environment::capture(),
            dir,
            found,
            line: Line::default(),
            begun: Instant::now(),
            order: Vec::new(),
        };
        bench.save()?;
        Ok(bench)
    }

    fn save(&self) -> Result<(), BenchError> {
        self.dir.write(FILE, self.found.to_json().as_bytes())?;
        let environment = self.environment.to_json();
        Ok(self.dir.write(ENVIRONMENT, environment.as_bytes())?)
    }

    fn control(
        &mut self,
        probes: &[&'static Probe],
    ) -> Result<std::collections::BTreeMap<String, isolation::cell::Cell>, BenchError> {
        self.line
            .show("isolation: the control, without any rung".into());
        let mut plant = Plant::new(self.facts, &home::root())?;
        let own = Home::make(plant.place().join("home"), &home::root())?;
        Ok(control::run(&mut plant, &own, probes)?)
    }

    /// Notes the rungs that state what one before them does, of the same driver and engine, and returns the others; all
    /// if they were asked for.
    fn leave_out(&mut self, offers: Vec<Offer>) -> Vec<Offer> {
        self.order = offers.iter().map(|o| o.rung().to_owned()).collect();
        if self.options.all || self.options.rungs.is_some() {
            return offers;
        }
        let mut kept: Vec<Offer> = Vec::new();
        for offer in offers {
            let (driver, is) = (&offer.driver, &offer.description);
            let same = |k: &&Offer| {
                k.driver == *driver
                    && k.probe == Readiness::Ready
                    && k.description.engine == is.engine
                    && k.description.isolation == is.isolation
            };
            match kept.iter().find(same) {
                Some(other) if offer.probe == Readiness::Ready => {
                    self.found.rungs.push(RungFound {
                        rung: offer.rung().to_owned(),
                        driver: offer.driver_name(),
                        isolation: is.isolation.clone(),
                        as_rung: Some(other.rung().to_owned()),
                        ..RungFound::default()
                    })
                }
                _ => kept.push(offer),
            }
        }
        kept
    }

    /// Lets every driver probe its rungs, side by side.
    fn probe(&mut self, offers: &[Offer], probes: &[&'static Probe]) -> Result<(), BenchError> {
        let mut drivers: Vec<&Driver> = offers.iter().map(|o| &o.driver).collect();
        drivers.dedup();
        let control = self.found.control.clone();
        let (facts, slice_ns) = (self.facts, self.found.slice_ns);
        let asked = self.asked.clone();
        let dir = self.dir.path().to_owned();
        let patience = self.options.patience();
        let (sender, heard) = mpsc::channel();
        thread::scope(|scope| {
            let workers: Vec<_> = drivers
                .into_iter()
                .map(|driver| {
                    let (sender, control, asked) = (Sender::clone(&sender), &control, &asked);
                    let ours = offers.iter().filter(move |o| o.driver == *driver);
                    scope.spawn(move || -> Result<(), IsolationError> {
                        let mut campaign =
                            Campaign::prepare(facts, control, probes, (asked, patience))?;
                        for offer in ours {
                            if interrupt::received().is_some() {
                                break;
                            }
                            let mut found = campaign.rung(offer, &|words| {
                                let _ = sender.send(Said::Doing(words));
                            })?;
                            found.slice_ns = slice_ns;
                            let _ = sender.send(Said::Found(Box::new(found)));
                        }
                        Ok(())
                    })
                })
                .collect();
            drop(sender);
            let heard = self.listen(&heard, offers);
            let ended = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| {
                    Err(IsolationError::Record {
                        path: dir.clone(),
                        source: io::Error::other("a thread of ours panicked"),
                    })
                })
            });
            let ended: Result<Vec<()>, IsolationError> = ended.collect();
            heard.and(ended.map(drop).map_err(BenchError::from))
        })
    }

    /// Takes down what the drivers' threads say until all have ended; the rungs stay in the order of the ladder.
    fn listen(&mut self, heard: &mpsc::Receiver<Said>, offers: &[Offer]) -> Result<(), BenchError> {
        let order = self.order.clone();
        let place = |rung: &str| order.iter().position(|known| known == rung);
        let left_out = self.found.rungs.len();
        let mut outcome = Ok(());
        for said in heard {
            match said {
                Said::Doing(words) => {
                    let done = self.found.rungs.len() - left_out;
                    let of = offers.len();
                    self.line
                        .show(format!("isolation: {done} of {of} rungs: {words}"));
                }
                Said::Found(found) => {
                    self.found.rungs.push(*found);
                    self.found.rungs.sort_by_key(|r| place(&r.rung));
                    outcome = outcome.and(self.save());
                }
            }
        }
        outcome
    }

    /// Has each rung's victim beside noisy neighbours, one rung after the other.
    fn neighbours(&mut self, offers: &[Offer]) -> Result<(), BenchError> {
        let begun = Instant::now();
        let left = ALL_WITHIN.saturating_sub(self.begun.elapsed());
        let within = left.clamp(LEAST_WITHIN, NEIGHBOURS_WITHIN);
        let plant = Plant::new(self.facts, &home::root())?;
        let own = self.asked.home(&plant)?;
        let ready: Vec<&Offer> = offers
            .iter()
            .filter(|o| o.probe == Readiness::Ready)
            .collect();
        for (at, offer) in ready.iter().enumerate() {
            if interrupt::received().is_some() {
                break;
            }
            let left = within.saturating_sub(begun.elapsed());
            let share = left / u32::try_from(ready.len() - at).unwrap_or(1);
            let place = neighbours::Place {
                home: own.root(),
                victim: self.asked.function.as_ref(),
                patience: self.options.patience(),
                aggressors: self.found.cpus,
            };
            let doing = format!(
                "isolation: neighbours {} of {}: {}",
                at + 1,
                ready.len(),
                offer.rung()
            );
            self.line.show(doing);
            let found = neighbours::measure(offer, &place, share);
            let ours = self.found.rungs.iter_mut().find(|r| r.rung == offer.rung());
            if let Some(rung) = ours {
                rung.interference = Some(found);
            }
            self.save()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Exit, BenchError> {
        self.line.clear();
        probes::environment::finish(&mut self.environment);
        self.save()?;
        for (name, content) in tables(&self.found, Some(&self.environment)) {
            self.dir.write(name, content.as_bytes())?;
        }
        print_table(&self.found, self.dir.path())?;
        if let Some(exit) = interrupt::received() {
            return Ok(exit);
        }
        let tried = self.found.rungs.iter().any(|r| r.unavailable.is_none());
        if !tried {
            return Err(BenchError::Unavailable(
                "none of these rungs can run here; the table says why".into(),
            ));
        }
        Ok(Exit::Ok)
    }
}

/// Every table of `found`: names of files, and what they hold.
fn tables(found: &Found, environment: Option<&Environment>) -> Vec<(&'static str, String)> {
    let files = report::render(found, environment).into_iter();
    files.map(|file| (file.name, file.content)).collect()
}

/// Prints the table for a terminal; the others are in `place`.
fn print_table(found: &Found, place: &Path) -> Result<(), BenchError> {
    let table = report::terminal(found, table::terminal_width());
    let place = place.display();
    print(format!("{table}\ntables, plot and verdicts: {place}\n")).map_err(BenchError::Output)?;
    Ok(())
}

/// Makes every table of the results in `dir` again.
///
/// # Errors
/// They cannot be read, or the tables not written.
pub(crate) fn tables_again(dir: &Path, output: Option<&Path>) -> Result<Exit, BenchError> {
    let found = Found::read(dir)?;
    let environment: Option<Environment> = read_json(&dir.join(ENVIRONMENT))?;
    let files = tables(&found, environment.as_ref());
    print_table(&found, write_tables_of(dir, output, &files)?)?;
    Ok(Exit::Ok)
}
