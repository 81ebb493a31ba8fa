//! What a driver is made with. A runtime joins the ladder by implementing [`Rung`]; its whole command
//! line (`info`, `time N`, `hold N`, `clean`) and its side of the [`protocol`](crate::contract::protocol)
//! come from here.

pub mod bare_thread;
mod batch;
pub mod cgroup;
pub mod cli;
pub mod collector;
mod error;
mod gate;
pub mod hand_off;
pub mod handler;
pub mod http_client;
pub mod kept;
pub mod mounts;
pub mod native_command;
mod open_loop;
pub mod output_dir;
pub mod placement;
pub mod refusals;
mod releases;
pub mod spawn;
pub mod stored_function;

use crate::base::clock::Phases;
use crate::base::ids::{self, FunctionId};
use crate::contract::answer::Answer;
use crate::contract::{Description, Probe, Scope};

pub use cli::{ContractCommand, run};
pub use error::{BoxedError, DriverError};

/// What to do about a function that ended although it was to stay blocked.
pub const PARKABLE: &str = "park one that reads its standard input, as demo/park does";

/// A program that offers one or more rungs of the ladder.
pub trait Driver {
    /// The executable's name.
    fn name(&self) -> &'static str;

    /// Ids of the rungs it offers.
    fn rungs(&self) -> Vec<String>;

    /// The rung `id`, which is one of [`Driver::rungs`]; makes nothing yet.
    ///
    /// # Errors
    /// The driver's own options are wrong.
    fn open(&self, id: &str) -> Result<Box<dyn Rung>, DriverError>;

    /// Removes whatever carries our label and whose maker is gone, and nothing else.
    ///
    /// # Errors
    /// Something of ours could not be removed.
    fn clean(&self) -> Result<Cleaned, DriverError>;
}

/// One way to run a function, from a bare thread to a micro-VM.
///
/// Order of calls: `probe`, `prepare` once, then either `cold_start` any number of times from up to
/// `plan.workers` threads at once, or `park` and `release`. Dropping a rung undoes `prepare`,
/// whatever came between.
pub trait Rung: Send + Sync {
    /// What this rung is, for the table and the records.
    fn describe(&self) -> Description;

    /// Whether this host can run it; makes nothing that outlives the call.
    fn probe(&self) -> Probe;

    /// Makes everything that a start is allowed to find ready (image, compiled code, namespaces) and
    /// says whose work counts.
    ///
    /// # Errors
    /// The function does not exist or is refused, or the host lacks something.
    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError>;

    /// One start as worker `worker` (below `plan.workers`): runs the function to its end, checks its
    /// result, tears down, and returns the phases.
    ///
    /// # Errors
    /// The function failed, or the engine is gone.
    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError>;

    /// Starts the function, a handler, once, and has that instance answer a request that is not timed and then `count` more, one after
    /// the other; what each took goes to `each`, which says whether to go on.
    ///
    /// # Errors
    /// This rung runs no handlers, or the engine is gone; [`DriverError::StartFailed`] of a request that was not answered as it should
    /// be, after which the instance is gone.
    fn answer_requests(
        &self,
        worker: usize,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        let _ = (worker, count, each);
        Err(refusals::no_handlers(
            "it starts programs that run to their end",
        ))
    }

    /// Called now and then while starts run, by the driver's first thread, beside the workers' time: the chance
    /// to take leave of what became that thread's children.
    fn tidy(&self) {}

    /// Starts `count` workers that stay blocked inside the function's `main`; returns when all are.
    ///
    /// # Errors
    /// A worker could not be started or ended by itself; those already parked are released on drop.
    fn park(&mut self, count: usize) -> Result<(), DriverError>;

    /// Lets the parked workers run to their end and checks their results.
    ///
    /// # Errors
    /// A worker ended wrongly.
    fn release(&mut self) -> Result<(), DriverError>;

    /// Runs `function` once, untimed, and hands back what it answered, a bad end included. In place of `prepare` and all that comes
    /// after it.
    ///
    /// # Errors
    /// The function does not exist, has no side for this rung, or the rung cannot see what it answers.
    fn answer(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        Err(DriverError::Unavailable {
            why: format!("this rung hands back nothing of what {function} answers"),
            mend: "compare it on another rung".to_owned(),
        })
    }
}

/// What a rung is asked to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The function to run.
    pub function: FunctionId,
    /// How many starts may be under way at once (`time`), or will be parked (`hold`).
    pub workers: usize,
    /// What the workers are for.
    pub purpose: Purpose,
}

/// What `prepare` prepares for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Starts, to be timed.
    Time,
    /// Parked workers, to be weighed.
    Hold,
}

/// What a clean-up removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Kind and name of each thing, for example `cgroup faasm-bench.12.cpu`.
    pub removed: Vec<String>,
}

/// The rung `id` of `driver`, or the error that names the nearest.
///
/// # Errors
/// There is no such rung, or the driver's options are wrong.
pub fn open(driver: &dyn Driver, id: &str) -> Result<Box<dyn Rung>, DriverError> {
    let known = driver.rungs();
    if known.iter().any(|k| k == id) {
        driver.open(id)
    } else {
        Err(DriverError::Usage(ids::unknown("rung", id, &known)))
    }
}
