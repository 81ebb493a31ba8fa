//! The command line that every driver has, and what its commands do.

mod time;

use std::os::fd::RawFd;

use structopt::StructOpt;

use super::cgroup;
use super::gate::Gate;
use super::output_dir;
use super::{Driver, DriverError, Plan, Purpose, Rung, open};
use crate::base::exit::{Exit, HasExit};
use crate::base::ids::{FunctionId, FunctionIdError};
use crate::base::interrupt;
use crate::base::range::in_range;
use crate::base::stdout::{Reader, print};
use crate::contract::protocol::{Message, to_line};
use crate::contract::{Probe, Scope};

/// The most starts or parked workers one command accepts; beyond it a number is a typing error.
pub const MAX_COUNT: u64 = 10_000_000;
/// The most workers at once.
pub const MAX_WORKERS: usize = 100_000;

// The commands of the driver contract.
#[expect(
    missing_docs,
    reason = "a doc comment here would replace every driver's own line in --help"
)]
#[derive(Debug, StructOpt)]
pub enum ContractCommand {
    /// Says what each rung is and whether this host can run it
    Info {
        /// Only this rung
        #[structopt(long)]
        rung: Option<String>,
        /// JSON lines instead of text
        #[structopt(long)]
        json: bool,
    },
    /// Makes N cold starts and prints a JSON line for each, with its phases
    Time(TimeOptions),
    /// Parks N workers inside the function's main until standard input closes
    Hold(HoldOptions),
    /// Runs a function once, untimed, and prints as a JSON line what it answered: exit code, standard output, files written
    Run(RunOptions),
    /// Removes what killed runs of this driver left behind; touches nothing without our label
    Clean,
}

/// Options of `time`.
#[derive(Debug, StructOpt)]
pub struct TimeOptions {
    /// Measured starts
    #[structopt(name = "N")]
    pub starts: u64,
    #[structopt(flatten)]
    what: What,
    /// Starts under way at once, closed loop: each worker starts anew when its last start is torn down
    #[structopt(long, default_value = "1")]
    pub workers: usize,
    /// Unmeasured starts per worker beforehand (kept in the output, marked)
    #[structopt(long, default_value = "0")]
    pub warmup: u64,
    /// A pipe that this process was started with, through which workers are woken when an arrival of an open loop is due: how
    /// `runtime_bench load` asks for starts
    #[structopt(long, name = "FD", requires = "PAGE_FD")]
    releases: Option<RawFd>,
    /// A page of memory that goes with it, in which workers and generator see of one another who waits and what was taken
    #[structopt(long, name = "PAGE_FD", requires = "FD")]
    release_page: Option<RawFd>,
    /// Of handlers: N requests to one instance that has answered one before, instead of N starts
    #[structopt(long)]
    requests: bool,
}

/// Options of `hold`.
#[derive(Debug, StructOpt)]
pub struct HoldOptions {
    /// Parked workers
    #[structopt(name = "N")]
    pub count: usize,
    #[structopt(flatten)]
    what: What,
}

#[derive(Debug, StructOpt)]
struct What {
    /// Which rung of the ladder (see `info`)
    #[structopt(long)]
    rung: String,
    /// What to run, user/function [default: the rung's no-op, or its parked twin under `hold`]
    #[structopt(long)]
    function: Option<String>,
    /// Wait for a line on standard input before each batch (for a sampler outside)
    #[structopt(long)]
    gated: bool,
}

/// Options of `run`.
#[derive(Debug, StructOpt)]
pub struct RunOptions {
    /// Which rung of the ladder (see `info`)
    #[structopt(long)]
    rung: String,
    /// What to run, user/function
    #[structopt(long)]
    function: String,
}

/// What `hold` parks unless told otherwise.
pub const PARK_FUNCTION: &str = "demo/park";

/// Carries out a contract command.
///
/// # Errors
/// Whatever the driver reports; under `time` and `hold` it has been said as [`Message::Failed`] too.
pub fn run(driver: &dyn Driver, command: &ContractCommand) -> Result<Exit, DriverError> {
    interrupt::install().map_err(|e| DriverError::failed("cannot catch signals", e))?;
    let done = carry_out(driver, command);
    output_dir::remove();
    done
}

fn carry_out(driver: &dyn Driver, command: &ContractCommand) -> Result<Exit, DriverError> {
    match command {
        ContractCommand::Info { rung, json } => info(driver, rung.as_deref(), *json),
        ContractCommand::Time(options) => said(time::time(driver, options)),
        ContractCommand::Hold(options) => said(hold(driver, options)),
        ContractCommand::Run(options) => said(run_once(driver, options)),
        ContractCommand::Clean => {
            let removed = driver.clean()?.removed;
            for removed in removed.into_iter().chain(output_dir::remove_orphans()) {
                print_lines(&format!("removed {removed}"))?;
            }
            Ok(Exit::Ok)
        }
    }
}

fn said(outcome: Result<Exit, DriverError>) -> Result<Exit, DriverError> {
    let Err(failure) = &outcome else {
        return outcome;
    };
    // What a signal cut short failed because of it.
    let signal = interrupt::received();
    let exit = signal.unwrap_or_else(|| failure.exit());
    let _ = say(Message::Failed {
        error: failure.to_string(),
        exit: exit as u8,
    });
    signal.map_or(outcome, Ok)
}

fn say(message: Message) -> Result<(), DriverError> {
    print_lines(&to_line(message))
}

/// Prints `lines` and ends the last one; [`DriverError::ReaderGone`] lets the driver tidy up and end.
///
/// # Errors
/// They cannot be written, or nobody reads them.
pub fn print_lines(lines: &str) -> Result<(), DriverError> {
    match print(format!("{lines}\n")) {
        Ok(Reader::There) => Ok(()),
        Ok(Reader::Gone) => Err(DriverError::ReaderGone),
        Err(e) => Err(DriverError::failed("cannot write to standard output", e)),
    }
}

fn info(driver: &dyn Driver, only: Option<&str>, json: bool) -> Result<Exit, DriverError> {
    let ids = only.map_or_else(|| driver.rungs(), |id| vec![id.to_owned()]);
    for id in ids {
        let rung = open(driver, &id)?;
        let (description, probe) = (rung.describe(), rung.probe());
        if json {
            say(Message::Rung { description, probe })?;
            continue;
        }
        let state = match probe {
            Probe::Ready => "ready".to_owned(),
            Probe::Unavailable { why, mend } => format!("unavailable: {why}, {mend}"),
        };
        print_lines(&format!(
            "{id}: {} ({})\n    cold: {}\n    {state}",
            description.summary, description.engine, description.cold
        ))?;
    }
    Ok(Exit::Ok)
}

/// It stays no longer than until the next run.
fn remove_what_killed_runs_left() {
    for group in cgroup::remove_orphans() {
        eprintln!("note: removed cgroup {group}, which a killed run had left");
    }
    output_dir::remove_orphans();
}

/// Opens, probes and prepares a rung, and says its scope and that it is ready.
fn ready(
    driver: &dyn Driver,
    what: &What,
    workers: usize,
    purpose: Purpose,
) -> Result<(Box<dyn Rung>, Scope), DriverError> {
    remove_what_killed_runs_left();
    let mut rung = open(driver, &what.rung)?;
    let default = match purpose {
        Purpose::Time => rung.describe().default_function,
        Purpose::Hold => PARK_FUNCTION.to_owned(),
    };
    let function = parsed(what.function.as_ref().unwrap_or(&default))?;
    if let Probe::Unavailable { why, mend } = rung.probe() {
        return Err(DriverError::Unavailable { why, mend });
    }
    let scope = rung.prepare(&Plan {
        function: function.clone(),
        workers,
        purpose,
    })?;
    say(Message::Scope {
        // With what it knows once it is prepared: the image, what the function was granted.
        description: rung.describe(),
        function: function.to_string(),
        scope: scope.clone(),
    })?;
    say(Message::Ready)?;
    Ok((rung, scope))
}

fn parsed(function: &str) -> Result<FunctionId, DriverError> {
    let parsed = function.parse();
    parsed.map_err(|e: FunctionIdError| DriverError::Usage(e.to_string()))
}

fn run_once(driver: &dyn Driver, options: &RunOptions) -> Result<Exit, DriverError> {
    let function = parsed(&options.function)?;
    remove_what_killed_runs_left();
    let mut rung = open(driver, &options.rung)?;
    if let Probe::Unavailable { why, mend } = rung.probe() {
        return Err(DriverError::Unavailable { why, mend });
    }
    let answer = rung.answer(&function)?;
    drop(rung);
    say(Message::Answer(answer))?;
    say(Message::Ended)?;
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

fn hold(driver: &dyn Driver, options: &HoldOptions) -> Result<Exit, DriverError> {
    in_range("N", options.count, 1..=MAX_WORKERS)?;
    let (mut rung, scope) = ready(driver, &options.what, options.count, Purpose::Hold)?;
    let mut gate = Gate::new(options.what.gated)?;
    let mut parked = 0;
    while let Some(go) = gate.next()? {
        // Held until standard input closes or a signal comes; lines that ask for nothing more change nothing.
        gate.hold();
        let left = options.count - parked;
        let more = match go.workers {
            None => left,
            Some(more) => {
                in_range("workers", more, 1..=left)?;
                more
            }
        };
        if more == 0 {
            continue;
        }
        if parked > 0 && scope.client.is_none() {
            return Err(DriverError::Usage(
                "this rung parks all its workers at once: start another `hold` for more".into(),
            ));
        }
        rung.park(more)?;
        parked += more;
        say(Message::Parked { workers: parked })?;
    }
    if parked > 0 {
        rung.release()?;
    }
    drop(rung);
    say(Message::Ended)?;
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}
