//! Several functions on one time line: a driver process for each, and one generator for all.

use std::time::Duration;

use measure_core::base::ids::FunctionId;

use super::closed::Closed;
use super::point::{self, Lane, Offered};
use super::rates::Source;
use super::trace::Script;
use super::{Bench, Loaded, closed_well};
use crate::error::StepError;
use crate::session::Session;

/// How long a mix is offered at each rate by each process, unless asked for.
const MIX_DURATION: Duration = Duration::from_secs(10);

/// A function's driver.
struct Player {
    function: FunctionId,
    session: Session,
    workers: usize,
    closed: Closed,
    parked: usize,
}

/// Something to play, and how it was made.
struct Piece {
    script: Script,
    /// Arrivals a second of each of its functions.
    per_s: Vec<f64>,
    pattern: String,
    seed: u64,
}

impl Bench<'_> {
    /// All functions of the mix or the trace, on `rung`.
    pub(super) fn played(&mut self, rung: &mut Loaded<'_>) -> Result<(), StepError> {
        // There is nothing for a first process to choose.
        rung.processes = self.sizes.processes;
        let pieces = self.pieces();
        let mut players = Vec::new();
        for (function, parked) in self.functions() {
            let part = format!("load-{}", function.to_string().replace('/', "-"));
            let mut session = self.opened(rung, Some(&function), &part)?;
            let (workers, closed) = self.closed_loop(rung, &mut session, None)?;
            rung.has_started = true;
            players.push(Player {
                function,
                session,
                workers,
                closed,
                parked,
            });
        }
        for piece in pieces {
            let (name, process) = (rung.offer.rung(), rung.process);
            let arrivals = piece.script.arrivals.len();
            self.progress
                .show(&format!("{name}, process {process}: {arrivals} arrivals"));
            self.recorder.next_block();
            let mut lanes = self.lanes(rung, &piece, &mut players);
            for point in point::measure(&mut lanes, self.own_cpu)? {
                self.recorder.load_point(point)?;
            }
        }
        players
            .into_iter()
            .try_for_each(|player| closed_well(player.session))
    }

    /// Every function, with the workers that are there at the beginning.
    fn functions(&self) -> Vec<(FunctionId, usize)> {
        match &self.sizes.source {
            Source::Rates => Vec::new(),
            Source::Mix(mix) => mix.parked().map(|(f, n)| (f.clone(), n)).collect(),
            Source::Trace(script) => script.functions.iter().map(|f| (f.clone(), 0)).collect(),
        }
    }

    fn pieces(&mut self) -> Vec<Piece> {
        match &self.sizes.source {
            Source::Rates => Vec::new(),
            Source::Trace(script) => vec![Piece {
                per_s: script.per_s(),
                script: script.clone(),
                pattern: "trace".to_owned(),
                seed: self.recorder.seed(),
            }],
            Source::Mix(mix) => {
                let rates = self.sizes.rates.iter().flatten();
                let duration = self.sizes.duration.unwrap_or(MIX_DURATION);
                let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
                let pattern = self.sizes.pattern;
                let piece = |&per_s: &f64| {
                    let seed = self.random.next_u64();
                    Piece {
                        script: mix.script(pattern, per_s, duration_ns, seed),
                        per_s: mix.shares(per_s),
                        pattern: format!("mix, {pattern}"),
                        seed,
                    }
                };
                rates.map(piece).collect()
            }
        }
    }

    /// What each player gets of `piece`; those that get nothing are left out.
    fn lanes<'a>(
        &self,
        rung: &Loaded<'_>,
        piece: &Piece,
        players: &'a mut [Player],
    ) -> Vec<Lane<'a>> {
        let duration_ns = piece.script.duration_ns;
        let functions = &piece.script.functions;
        let lanes = players.iter_mut().filter_map(|player| {
            let index = functions.iter().position(|f| *f == player.function)?;
            let offsets_ns = piece.script.offsets_ns(index);
            let per_s = piece.per_s[index];
            let unloaded_ns = player.closed.unloaded_ns;
            let lane = Lane {
                session: &mut player.session,
                offered: Offered {
                    rung: rung.offer.rung().to_owned(),
                    process: rung.process,
                    pattern: piece.pattern.clone(),
                    seed: piece.seed,
                    per_s,
                    duration_ns,
                    workers: player.workers,
                    closed_loop_per_s: player.closed.per_s,
                    unloaded_ns,
                    slo_ns: self.sizes.slo_ns(unloaded_ns),
                },
                parked: Some(player.parked),
                offsets_ns,
            };
            (!lane.offsets_ns.is_empty()).then_some(lane)
        });
        lanes.collect()
    }
}
