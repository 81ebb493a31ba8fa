//! What the starts so far say about where the rest of the time is best spent: how many processes, and what each does
//! (Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013).

use stats::levels::{Costs, Levels, Plan, best_plan, variance};

#[cfg(test)]
mod simulation;

use super::live::Live;
use super::seen::levels;
use crate::plan::{Pass, Sizes, Task, Work};

/// Processes of which something can be said about how they differ.
const PILOT_PROCESSES: u32 = 3;
/// Within these the plan moves.
const MOST_ISOLATED: u32 = 10;
const MOST_BATCHES: u32 = 16;
const MOST_STARTS: u32 = 50;
/// Fewest of each where starts are fast: less would save nothing, and percentiles want them.
const LEAST_BATCHES: u32 = 4;
const LEAST_STARTS: u64 = 25;
/// What it takes to begin a batch beside its warm-up: a line to the driver and a thread there.
const BEGIN_NS: f64 = 300_000.0;

/// Takes up what the processes of `rung` so far have shown: after the first, what a start takes when it is not the first of its
/// process; after the third, how processes, batches and starts differ; whenever all that are planned are done, how many there are
/// to be.
///
/// The last goes by the spread of the processes, never by the width of the interval that is printed: to go on until that happens
/// to be narrow would make it too narrow (compare Stein, "A two-sample test for a linear hypothesis whose power is independent
/// of the variance", Annals of Mathematical Statistics 16, 1945). A test simulates what is left of the coverage.
pub(super) fn rework(rung: &mut Live<'_>, sizes: &Sizes) -> Option<String> {
    if !sizes.may_adapt() {
        return None;
    }
    if rung.done >= rung.planned() {
        rung.wanted = rung.seen.processes_wanted(rung.start_ns());
    }
    match rung.done {
        1 => {
            let start_ns = rung.seen.isolated_ns()?;
            Some(rung.size(sizes, start_ns))
        }
        PILOT_PROCESSES => {
            let process_ns = (rung.spent / rung.process.max(1)).as_nanos() as f64;
            let each_ns =
                sizes.budget.as_nanos() as f64 / f64::from(sizes.processes(rung.start_ns()));
            // Half of what is left of the budget for either design.
            let room = ((each_ns - process_ns) / 2.0 / rung.start_ns() as f64).max(0.0) as u64;
            let isolated = isolated_starts(rung, process_ns)
                .filter(|_| sizes.isolated.is_none())
                .map(|starts| starts.min(rung.isolated() + room));
            let loops = plan_of_loops(rung, process_ns, room);
            rung.rework(|work| change(work, isolated, loops));
            None
        }
        _ => None,
    }
}

/// What an isolated start costs with its share of the waiting.
fn isolated_starts(rung: &Live<'_>, process_ns: f64) -> Option<u64> {
    let turns = rung.seen.isolated.len().max(1);
    let turn_ns = rung.turns.as_nanos() as f64 / turns as f64;
    let variance = variance(&levels(&rung.seen.isolated)?)?;
    let plan = best_plan(
        &variance,
        &costs(turn_ns, turn_ns, process_ns),
        most(1, MOST_ISOLATED),
    );
    Some(u64::from(plan.batches_per_process.max(2)))
}

fn plan_of_loops(rung: &Live<'_>, process_ns: f64, room: u64) -> Option<(u64, u32)> {
    let tasks = rung.tasks();
    let task = tasks.iter().find(|t| t.pass == Pass::BackToBack)?;
    let start_ns = rung.start_ns() as f64;
    if task.repetitions == 1 {
        // Of a slow rung, which has one batch in a process: its starts are what differs within.
        let seen = (0..).zip(&rung.seen.back_to_back);
        let each = seen.map(|(number, &(process, _, ns))| (process, number, ns));
        let variance = variance(&Levels::from_observations(each)?)?;
        let plan = best_plan(
            &variance,
            &costs(start_ns, start_ns, process_ns),
            most(1, MOST_STARTS),
        );
        let starts = u64::from(plan.batches_per_process).min(task.starts + room);
        return Some((starts, 1));
    }
    let variance = variance(&levels(&rung.seen.back_to_back)?)?;
    let batch_ns = BEGIN_NS + task.warmup as f64 * start_ns;
    let plan = best_plan(
        &variance,
        &costs(start_ns, batch_ns, process_ns),
        most(MOST_STARTS, MOST_BATCHES),
    );
    Some((
        u64::from(plan.starts_per_batch).max(LEAST_STARTS),
        plan.batches_per_process.max(LEAST_BATCHES),
    ))
}

fn costs(start_ns: f64, batch_ns: f64, process_ns: f64) -> Costs {
    Costs {
        start_ns,
        batch_ns,
        process_ns,
    }
}

fn most(starts_per_batch: u32, batches_per_process: u32) -> Plan {
    Plan {
        starts_per_batch,
        batches_per_process,
    }
}

fn change(work: &mut Work, isolated: Option<u64>, loops: Option<(u64, u32)>) {
    if let Some(starts) = isolated {
        work.isolated = starts;
    }
    let is_loop = |task: &&mut Task| task.pass == Pass::BackToBack;
    if let Some((starts, batches)) = loops {
        for task in work.tasks.iter_mut().filter(is_loop) {
            (task.starts, task.repetitions) = (starts, batches);
        }
    }
}
