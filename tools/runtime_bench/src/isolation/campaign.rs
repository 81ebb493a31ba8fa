//! The probes at the rungs of one driver.

use std::collections::BTreeMap;
use std::time::Duration;

use isolation::IsolationError;
use isolation::catalogue::Probe;
use isolation::cell::{Cell, Ended, judge};
use isolation::control::weigh;
use isolation::facts::HostFacts;
use isolation::home::{Home, USER};
use isolation::host_starts::HostStarts;
use isolation::networks::passed_out;
use isolation::plant::{Plant, functions};
use isolation::record::{RungFound, host_processes};
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::process_tree::processes_below;
use measure_core::contract::{Probe as Readiness, Scope};

use super::asked::Asked;
use super::starts::{Where, starts_of};
use crate::drivers::Offer;
use crate::error::SessionError;

/// What tells that a function is a plain process of the host.
const TELLS_PLAIN: &str = "signal-process";

/// Probes that are aimed at what was planted for one driver.
pub(super) struct Campaign<'a> {
    plant: Plant,
    home: Home,
    control: &'a BTreeMap<String, Cell>,
    probes: &'a [&'static Probe],
    patience: Duration,
}

impl<'a> Campaign<'a> {
    pub(super) fn prepare(
        facts: &HostFacts,
        control: &'a BTreeMap<String, Cell>,
        probes: &'a [&'static Probe],
        (asked, patience): (&Asked, Duration),
    ) -> Result<Self, IsolationError> {
        let plant = Plant::new(facts, &home::root())?;
        let home = asked.home(&plant)?;
        Ok(Self {
            plant,
            home,
            control,
            probes,
            patience,
        })
    }

    fn place(&self) -> Where<'_> {
        Where {
            home: self.home.root(),
            patience: self.patience,
        }
    }

    /// All probes at the rung `offer`.
    ///
    /// # Errors
    /// What is planted cannot be looked after.
    pub(super) fn rung(
        &mut self,
        offer: &Offer,
        say: &dyn Fn(String),
    ) -> Result<RungFound, IsolationError> {
        let mut found = RungFound {
            rung: offer.rung().to_owned(),
            driver: offer.driver_name(),
            isolation: offer.description.isolation.clone(),
            ..RungFound::default()
        };
        if let Readiness::Unavailable { why, mend } = &offer.probe {
            found.unavailable = Some(format!("{why}, {mend}"));
            return Ok(found);
        }
        let mut broken = found.isolation.states_nothing().then(|| Cell::NotTried {
            why: "no containment: it states none".into(),
        });
        for probe in self.probes {
            if interrupt::received().is_some() {
                break;
            }
            say(format!("{}: {}", offer.rung(), probe.id));
            let cell = match &broken {
                Some(cell) => cell.clone(),
                None => match self.attempt(offer, probe, &found.cells)? {
                    Attempt::Judged(cell) => cell,
                    Attempt::Broken(cell) => broken.insert(cell).clone(),
                    Attempt::Interrupted => break,
                },
            };
            found.cells.insert(probe.id.to_owned(), cell);
        }
        say(format!("{}: from outside", offer.rung()));
        self.look_from_outside(offer, &mut found);
        Ok(found)
    }

    fn attempt(
        &mut self,
        offer: &Offer,
        probe: &Probe,
        so_far: &BTreeMap<String, Cell>,
    ) -> Result<Attempt, IsolationError> {
        if probe.takes && so_far.get(TELLS_PLAIN) == Some(&Cell::Reached) {
            let why = "no containment: it is a plain process of the host".into();
            return Ok(Attempt::Judged(Cell::NotTried { why }));
        }
        if probe.at_once > offer.description.max_workers {
            let why = "it makes one start at a time".into();
            return Ok(Attempt::Judged(Cell::CannotTry { why }));
        }
        let host = probe.takes.then(|| self.plant.watch_host());
        let mut ended: Vec<Ended> = Vec::new();
        for function in functions(probe) {
            // Names of probes are names of functions.
            let Ok(id) = FunctionId::new(USER, &function) else {
                continue;
            };
            let mut aimed = Ok(());
            let place = Where {
                home: self.home.root(),
                patience: self.patience,
            };
            let plant = &mut self.plant;
            let starts = (probe.starts, probe.at_once);
            let started = starts_of(&place, offer, &id, starts, |scope| {
                aimed = plant.before(probe, &pids_of(scope));
            });
            match started {
                Ok(starts) if probe.at_once > 1 => ended.extend(starts),
                Ok(mut starts) => ended.extend(starts.pop()),
                Err(SessionError::Interrupted(_)) => return Ok(Attempt::Interrupted),
                Err(error) => {
                    let cell = Cell::CannotTry {
                        why: error.to_string(),
                    };
                    // Another may be had with one start at a time.
                    return Ok(if probe.at_once > 1 {
                        Attempt::Judged(cell)
                    } else {
                        Attempt::Broken(cell)
                    });
                }
            }
            if let Err(error) = aimed {
                let why = error.to_string();
                return Ok(Attempt::Judged(Cell::CannotTry { why }));
            }
        }
        let seen = self.plant.seen(probe, &ended);
        let mut cell = judge(probe, &ended, seen);
        let host_lives = host.is_none_or(HostStarts::all_ended) && self.plant.neighbour_lives();
        if probe.takes && !host_lives {
            cell = Cell::Reached;
        }
        Ok(Attempt::Judged(weigh(
            probe,
            cell,
            self.control.get(probe.id),
        )))
    }

    /// The processes of the host that carry one parked worker, and what passes out of its network; nothing where it cannot be
    /// parked.
    fn look_from_outside(&mut self, offer: &Offer, found: &mut RungFound) {
        let mut look = || -> Result<(), SessionError> {
            let mut session = self.place().open(offer, None, ("hold", 1), None)?;
            session.park(Duration::ZERO)?;
            // As it is prepared: what was granted the network has a namespace where others of the rung have none.
            found.isolation = session.description.isolation.clone();
            let Scope {
                roots, includes, ..
            } = &session.scope;
            let pids = processes_below(roots);
            found.processes = host_processes(&pids);
            let passed = passed_out(&mut self.plant, &self.home, (roots, &pids), includes);
            // Where the listener cannot be, nobody can be heard.
            found.passed = passed.unwrap_or_default();
            // It has been looked at; how it ends tells nothing of that.
            let _ = session.close();
            Ok(())
        };
        look().unwrap_or_default();
    }
}

/// How an attempt went.
enum Attempt {
    Judged(Cell),
    /// No probe can be started at this rung.
    Broken(Cell),
    Interrupted,
}

/// Processes of `scope` whose network a function may be let into.
fn pids_of(scope: &Scope) -> Vec<i32> {
    scope.roots.clone()
}
