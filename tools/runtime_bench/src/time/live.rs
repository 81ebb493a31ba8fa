//! A rung that is measured: its process at work, and what is known of it so far.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::seen::Seen;
use crate::drivers::Offer;
use crate::plan::{Sizes, Task, Work, in_words, work};
use crate::rounds::Standing;
use crate::session::Session;

/// A rung between and in rounds.
pub(super) struct Live<'a> {
    pub offer: &'a Offer,
    /// Of the present round, while it lives.
    pub session: Option<Session>,
    /// Number of the last process, from 1.
    pub process: u32,
    /// Processes that came to their end.
    pub done: u32,
    pub lost_in_a_row: u32,
    /// Nothing more is asked of it.
    pub out: bool,
    /// `user/function`, once a driver has said so.
    pub function: Option<String>,
    /// What its processes have taken, with their share of what was waited for in common.
    pub spent: Duration,
    /// Of that, opening and closing.
    pub opening: Duration,
    /// And its isolated starts, with what was waited for before them.
    pub turns: Duration,
    /// When its last start had ended.
    pub last_end: Instant,
    /// What its starts took.
    pub seen: Seen,
    /// Processes that its interval asks for, by those that it had when all planned ones were last done.
    pub wanted: u32,
    plan: Option<Plan>,
}

/// What is known of a rung between two rounds, but for what its starts took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LiveState {
    done: u32,
    lost_in_a_row: u32,
    out: bool,
    function: Option<String>,
    spent: Duration,
    opening: Duration,
    turns: Duration,
    wanted: u32,
    plan: Option<Plan>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    start_ns: u64,
    work: Work,
    processes: u32,
}

impl<'a> Live<'a> {
    pub fn new(offer: &'a Offer) -> Self {
        Self {
            offer,
            session: None,
            process: 0,
            done: 0,
            lost_in_a_row: 0,
            out: false,
            function: None,
            spent: Duration::ZERO,
            opening: Duration::ZERO,
            turns: Duration::ZERO,
            last_end: Instant::now(),
            seen: Seen::default(),
            wanted: 0,
            plan: None,
        }
    }

    /// As it was between two rounds of a run that was cut short: its last process was number `process`, and its starts took `seen`.
    pub fn resumed(offer: &'a Offer, state: &LiveState, process: u32, seen: Seen) -> Self {
        let state = state.clone();
        Self {
            process,
            done: state.done,
            lost_in_a_row: state.lost_in_a_row,
            out: state.out,
            function: state.function,
            spent: state.spent,
            opening: state.opening,
            turns: state.turns,
            seen,
            wanted: state.wanted,
            plan: state.plan,
            ..Self::new(offer)
        }
    }

    /// What [`Live::resumed`] goes on from.
    pub fn state(&self) -> LiveState {
        LiveState {
            done: self.done,
            lost_in_a_row: self.lost_in_a_row,
            out: self.out,
            function: self.function.clone(),
            spent: self.spent,
            opening: self.opening,
            turns: self.turns,
            wanted: self.wanted,
            plan: self.plan.clone(),
        }
    }

    /// How it stands between two rounds. Before its first start one process is planned.
    pub fn standing(&self) -> Standing {
        Standing {
            done: self.done,
            planned: if self.out { self.done } else { self.planned() },
            wanted: if self.out { 0 } else { self.wanted },
            cost: self.spent / self.process.max(1),
        }
    }

    pub fn planned(&self) -> u32 {
        self.plan.as_ref().map_or(1, |plan| plan.processes)
    }

    pub fn replan(&mut self, processes: u32) {
        if let Some(plan) = &mut self.plan {
            plan.processes = processes;
        }
    }

    /// None of its processes has made a start yet.
    pub fn never_started(&self) -> bool {
        self.plan.is_none()
    }

    /// What a start takes, as far as is known.
    pub fn start_ns(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.start_ns)
    }

    /// What one of its processes should take in starts.
    pub fn estimate(&self) -> Duration {
        let plan = self.plan.as_ref();
        plan.map_or(Duration::ZERO, |p| p.work.estimate(p.start_ns))
    }

    pub fn isolated(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.work.isolated)
    }

    pub fn tasks(&self) -> Vec<Task> {
        self.plan
            .as_ref()
            .map_or_else(Vec::new, |plan| plan.work.tasks.clone())
    }

    /// Measured starts that a process of it is to make.
    pub fn measured_starts(&self) -> u64 {
        let plan = self.plan.as_ref();
        plan.map_or(0, |plan| plan.work.measured_starts())
    }

    /// Chooses what each process does, from a start that took `start_ns`. Returns it in words.
    pub fn size(&mut self, sizes: &Sizes, start_ns: u64) -> String {
        let opening = self.opening / self.process.max(1);
        let most = self.offer.description.max_workers.max(1);
        let work = work(sizes, start_ns, opening, most);
        let words = in_words(sizes, &work, start_ns);
        self.plan = Some(Plan {
            start_ns,
            work,
            processes: sizes.processes(start_ns) * sizes.sets,
        });
        words
    }

    /// Changes what each process does from here on.
    pub fn rework(&mut self, change: impl FnOnce(&mut Work)) {
        if let Some(plan) = &mut self.plan {
            change(&mut plan.work);
        }
    }
}
