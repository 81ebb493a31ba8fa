//! Measures any command, or several by turns: the `measure-core` executable.
//!
//! Three passes, because measuring one thing disturbs another: wall time with nothing else going on
//! (what wait4(2) tells for free is read there too), hardware counters, and memory, under a tracer that
//! stops each process at its exit to weigh it.

mod baseline;
mod comparison;
mod error;
mod exports;
mod failures;
mod hyperfine;
mod left;
mod memory_pass;
mod options;
mod output;
mod parameters;
mod pass;
pub mod program;
mod report;
mod scan;
mod streams;
mod table;
mod task;
mod trace;
mod tree;
mod words;

use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::stdout::print;
use output::Output;
use pass::Session;
use report::Report;

pub use error::{ArgumentError, CommandError, UsageError};
pub use failures::Ignored;
pub use options::{Options, Pass};

/// Measures the commands of `options` and prints what was found. What was measured before a failure or a
/// signal is printed and written all the same.
///
/// # Errors
/// A command cannot be found, started or failed; the output cannot be written.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    if options.schema {
        print(report::json_schema()).map_err(CommandError::Print)?;
        return Ok(Exit::Ok);
    }
    options.check()?;
    let output = Output::open(&options)?;
    let tasks = task::tasks(&options)?;
    interrupt::install()
        .and_then(|()| tree::kill_on_signal())
        .map_err(CommandError::Signals)?;
    tree::adopt_orphans();
    let environment = probes::environment::capture();
    environment.heed(options.strict)?;
    let mut report = Report::new(&options, &tasks, environment);
    if options.passes.contains(&Pass::Wall) {
        report.baselines = baseline::measure(options.shell_words()?.as_deref())?;
    }
    let mut session = Session::new(&options, &tasks, report);
    let mut outcome = Ok(());
    for group in groups(options.one_after_another, tasks.len()) {
        if outcome.is_ok() && interrupt::received().is_none() {
            // A killed run keeps the passes that were over.
            outcome = session.measure(&group, |report| output.keep(report));
        }
    }
    let mut report = session.report;
    report.finish();
    output.finish(&report)?;
    outcome?;
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

/// The tasks that take turns: all of them, or each by itself.
fn groups(one_after_another: bool, tasks: usize) -> Vec<Vec<usize>> {
    if one_after_another {
        return (0..tasks).map(|task| vec![task]).collect();
    }
    vec![(0..tasks).collect()]
}
