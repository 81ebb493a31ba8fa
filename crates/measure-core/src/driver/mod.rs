//! The driver contract. A runtime joins the ladder by implementing [`Rung`]; its whole command line
//! (`info`, `time N`, `hold N`, `clean`) and its side of the [`protocol`] come from here.

mod batch;
pub mod cli;
pub mod protocol;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::Phases;
use crate::exit::{Exit, HasExit};
use crate::ids::{self, FunctionId};

pub use cli::{ContractCommand, run};

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

/// What a rung is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Ladder id.
    pub rung: String,
    /// One line: what starts.
    pub summary: String,
    /// Engine and version, for example `wasmtime 48.0.8`.
    pub engine: String,
    /// What a start finds ready, and how the rung knows that the start was cold.
    pub cold: String,
    /// What it isolates.
    pub isolation: Isolation,
    /// Security-relevant settings in force, for the records.
    pub settings: Vec<String>,
    /// The most starts that make sense at once (1 for what has no concurrency of its own).
    pub max_workers: usize,
    /// The function that starts are timed with unless told otherwise.
    pub default_function: String,
}

/// How each resource is isolated; empty where it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// For example `SFI`, `address space`.
    pub memory: String,
    /// For example `cgroup`.
    pub cpu: String,
    /// For example `network namespace`.
    pub network: String,
    /// For example `mount namespace`, `WASI capabilities`.
    pub files: String,
    /// For example `seccomp`, `no system calls`.
    pub syscalls: String,
    /// For example `dropped`, `none`.
    pub capabilities: String,
    /// For example `KVM`: an edge that the processor guards, beyond the one between kernel and process.
    #[serde(default)]
    pub hardware: String,
}

/// Whether a rung can run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// It can.
    Ready,
    /// It cannot.
    Unavailable {
        /// Why.
        why: String,
        /// What to do about it.
        mend: String,
    },
}

/// Whose work counts as the rung's, for a sampler outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Roots of process trees, walked anew at each sample.
    pub roots: Vec<i32>,
    /// Cgroup directories that hold all of the work, by controller (`cpuacct`, `memory`, `blkio`,
    /// `unified`); a controller that is absent cannot be had here.
    pub cgroups: std::collections::BTreeMap<String, PathBuf>,
    /// The driver itself where it is only the client of an engine: weighed, but apart.
    pub client: Option<i32>,
    /// In words, for the records: what is inside.
    pub includes: String,
}

/// What a clean-up removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Kind and name of each thing, for example `cgroup faasm-bench.12.cpu`.
    pub removed: Vec<String>,
}

/// Why a driver could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The command line asks for what does not exist.
    #[error("{0}")]
    Usage(String),
    /// This host cannot do it.
    #[error("unavailable: {why}, {mend}")]
    Unavailable {
        /// Why.
        why: String,
        /// What to do about it.
        mend: String,
    },
    /// The function failed.
    #[error("{0}")]
    StartFailed(String),
    /// Another process holds what is needed.
    #[error("{0}")]
    Busy(String),
    /// The engine went away.
    #[error("the engine is gone: {0}")]
    EngineLost(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl DriverError {
    /// `what: cause`, for errors that need no code of their own.
    pub fn failed(what: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {cause}"))
    }
}

impl HasExit for DriverError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unavailable { .. } => Exit::Unavailable,
            Self::StartFailed(_) => Exit::StartFailed,
            Self::Busy(_) => Exit::Busy,
            Self::EngineLost(_) => Exit::EngineLost,
            Self::Failed(_) => Exit::Failed,
        }
    }
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
