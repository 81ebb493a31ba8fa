//! What the commands do.

use std::time::Duration;

use measure_core::base::exit::Exit;
use measure_core::base::stdout::print;
use measure_core::contract::Probe;
use nix::unistd::geteuid;
use report::Records;

use crate::aa::Outcome;
use crate::common_options::{DEFAULT_IDLE, Which};
use crate::compare;
use crate::drivers::Offer;
use crate::error::BenchError;
use crate::load::LoadOptions;
use crate::options::{AaOptions, MemOptions, QUICK_BUDGET_S, QuickOptions, TimeOptions};
use crate::plan::Sizes;
use crate::run::Run;
use crate::run::resume::resume;

/// What all rungs of all drivers together are to take.
const ALL_BUDGET: Duration = Duration::from_secs(500);
/// What they may take, their drivers' starts and ends included; the dearest rungs then get fewer processes, and the report says so.
const ALL_WITHIN: Duration = Duration::from_secs(560);
/// Less says nothing of a slow rung.
const LEAST_BUDGET: Duration = Duration::from_secs(3);

fn need_root() -> Result<(), BenchError> {
    if geteuid().is_root() {
        return Ok(());
    }
    Err(BenchError::Unavailable(
        "mem needs root: it reads the memory of all processes of an engine and their cgroups; run it with sudo".into(),
    ))
}

pub(crate) fn time(options: &TimeOptions) -> Result<Exit, BenchError> {
    if let Some(dir) = &options.resume {
        return resume(dir);
    }
    let mut sizes = options.sizes()?;
    let mut run = Run::prepare(&options.common, &options.which)?;
    if options.which.all && options.budget.is_none() {
        share_among_all(&mut sizes, &run.offers);
    }
    let trouble = run.time(&sizes, "time alone", false)?;
    run.finish(vec![trouble])
}

pub(crate) fn mem(options: &MemOptions) -> Result<Exit, BenchError> {
    let sweep = options.sweep()?;
    need_root()?;
    let mut run = Run::prepare(&options.common, &options.which)?;
    let trouble = run.mem(
        &sweep,
        if options.full {
            "full sweep"
        } else {
            "quick sweep"
        },
    )?;
    run.finish(vec![trouble])
}

pub(crate) fn load(options: &LoadOptions) -> Result<Exit, BenchError> {
    let sizes = options.sizes()?;
    let mut run = Run::prepare(&options.common, &options.which)?;
    let trouble = run.load(&sizes, "load alone")?;
    run.finish(vec![trouble])
}

/// Sizes that let all `offers` together take ten minutes, drivers' own starts and ends included.
fn share_among_all(sizes: &mut Sizes, offers: &[Offer]) {
    let ready = offers.iter().filter(|o| o.probe == Probe::Ready).count();
    let each = ALL_BUDGET / u32::try_from(ready.max(1)).unwrap_or(u32::MAX);
    sizes.budget = sizes.budget.min(each.max(LEAST_BUDGET));
    sizes.within = Some(ALL_WITHIN);
}

pub(crate) fn quick(options: &QuickOptions) -> Result<Exit, BenchError> {
    if let Some(dir) = &options.resume {
        return resume(dir);
    }
    let which = Which {
        rungs: None,
        all: options.all,
        function: options.function.clone(),
    };
    let mut sizes = Sizes {
        iterations: None,
        isolated: None,
        idle: DEFAULT_IDLE,
        workers: vec![1, 2, 4],
        processes: None,
        sets: 1,
        requests: false,
        strict: options.common.strict,
        budget: Duration::from_secs(QUICK_BUDGET_S),
        within: None,
        is_scaling: false,
    };
    let mut run = Run::prepare(&options.common, &which)?;
    if options.all {
        share_among_all(&mut sizes, &run.offers);
    }
    let mut troubles = vec![run.time(&sizes, "quick", true)?];
    troubles.extend(run.rest_of_quick()?);
    run.finish(troubles)
}

/// Measures rungs as if each were two and counts how often they differ.
pub(crate) fn aa(options: &AaOptions) -> Result<Exit, BenchError> {
    let sizes = options.sizes()?;
    let mut run = Run::prepare(&options.common, &options.which)?;
    let trouble = run.time(&sizes, "A/A: every rung compared with itself", false)?;
    let samples = Records::read(run.recorder.path())?.samples;
    let rows = compare::starts_by_row(&samples);
    let outcome = Outcome::from_rows(&rows, options.repetitions, run.recorder.seed());
    run.recorder.part().notes.push(outcome.in_words());
    let tables = outcome.markdown();
    print(format!("{tables}\n")).map_err(BenchError::Output)?;
    let exit = run.finish(vec![trouble])?;
    if exit == Exit::Ok && outcome.is_rejected() {
        return Err(BenchError::Failed(format!(
            "{}; so either the intervals are too narrow or the host was not idle",
            outcome.in_words()
        )));
    }
    Ok(exit)
}
