//! What a cold start costs, over all drivers: `time`, `mem`, `load`, `quick` (all three), `scaling`, `capacity`, `isolation`, `aa`, `doctor`, `compare`, `history`, `report`, `tune`; of functions
//! that users bring too (`add`, `list`, `show`, `test`, `remove`).
//!
//! Drivers are child processes that this tool never links, so each one's footprint is its own; memory, CPU
//! and disk I/O are read from here, outside, over the scope that a driver names.

mod aa;
mod capacity;
mod cli;
mod common_options;
mod compare;
mod counters;
mod doctor;
mod drivers;
mod engines;
mod error;
mod fleet_record;
mod functions;
mod history;
mod isolation;
mod link;
mod load;
mod mem;
mod options;
mod output;
mod plan;
mod recorder;
mod report_runs;
mod rounds;
mod run;
mod sampler;
mod scaling;
mod schema;
mod session;
mod slo;
mod time;
mod trouble;
mod tune;
mod validate;

use measure_core::base::exit::Exit;
use measure_core::base::interrupt;

pub use error::{BenchError, SessionError};
pub use options::Args;

use options::Command;

/// Carries out a command line.
///
/// # Errors
/// See [`BenchError`].
pub fn run(args: Args) -> Result<Exit, BenchError> {
    interrupt::install().map_err(BenchError::Signals)?;
    match args.command {
        Command::Time(options) => cli::time(&options),
        Command::Mem(options) => cli::mem(&options),
        Command::Load(options) => cli::load(&options),
        Command::Quick(options) => cli::quick(&options),
        Command::Scaling(options) => scaling::run(&options),
        Command::Capacity(options) => capacity::run(&options),
        Command::Isolation(options) => isolation::run(&options),
        Command::Aa(options) => cli::aa(&options),
        Command::Add(options) => Ok(functions::add(&options)?),
        Command::List => Ok(functions::list()?),
        Command::Show(options) => Ok(functions::show(&options)?),
        Command::Compute(options) => Ok(functions::compute(&options)?),
        Command::Remove(options) => Ok(functions::remove(&options)?),
        Command::Test(options) => Ok(functions::test(&options)?),
        Command::Doctor(engines) => doctor::run(&engines),
        Command::Compare(options) => {
            options.check()?;
            compare::run(&options)
        }
        Command::Report(options) => report_runs::run(&options),
        Command::History(options) => history::run(&options),
        Command::Validate { dirs } => validate::run(&dirs),
        Command::Schema { record } => schema::run(record.as_deref()),
        Command::Tune(options) => Ok(tune::run(options)?),
    }
}
