//! The command line that every driver has, and what its commands do.

use std::os::fd::RawFd;

use structopt::StructOpt;

use super::batch::{Batch, run_batch};
use super::cgroup;
use super::gate::Gate;
use super::open_loop::{Caller, Loop, run_open_loop};
use super::output_dir;
use super::releases::Releases;
use super::{Driver, DriverError, Plan, Purpose, Rung, open};
use crate::base::exit::{Exit, HasExit};
use crate::base::ids::{FunctionId, FunctionIdError};
use crate::base::interrupt;
use crate::base::range::in_range;
use crate::base::stdout::{Reader, print};
use crate::contract::open_loop::Arrivals;
use crate::contract::protocol::{BatchEnd, Go, Message, StartSample, to_line};
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
        ContractCommand::Time(options) => said(time(driver, options)),
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

fn time(driver: &dyn Driver, options: &TimeOptions) -> Result<Exit, DriverError> {
    // First of all: what is opened from here on may get the number of a descriptor that was not passed.
    let given = options.releases.zip(options.release_page);
    let releases = given
        .map(|(pipe, page)| Releases::take(pipe, page))
        .transpose()?;
    in_range("N", options.starts, 1..=MAX_COUNT)?;
    in_range("--workers", options.workers, 1..=MAX_WORKERS)?;
    let (rung, _) = ready(driver, &options.what, options.workers, Purpose::Time)?;
    let mut gate = Gate::new(options.what.gated)?;
    let (mut any_failed, mut first_error) = (false, None);
    for number in 0.. {
        let Some(go) = gate.next()? else { break };
        let end = if go.open_loop.is_some() {
            let end = open_batch(&*rung, options, releases.as_ref(), number, &go, &mut gate)?;
            let Some(end) = end else { break };
            end
        } else {
            closed_batch(&*rung, options, number, &go, &mut first_error)?
        };
        // Failures of an open loop are its caller's to judge.
        any_failed |= end.failed > 0 && go.open_loop.is_none();
        say(Message::Batch(end))?;
        if interrupt::received().is_some() {
            break;
        }
    }
    drop(rung);
    say(Message::Ended)?;
    if let Some(exit) = interrupt::received() {
        return Ok(exit);
    }
    match first_error {
        Some(error) if any_failed => Err(DriverError::StartFailed(error)),
        _ => Ok(Exit::Ok),
    }
}

fn workers_of(go: &Go, options: &TimeOptions) -> Result<usize, DriverError> {
    let workers = go.workers.unwrap_or(options.workers);
    in_range("workers", workers, 1..=options.workers)?;
    Ok(workers)
}

/// One batch in a closed loop; keeps the first reason why a start failed.
fn closed_batch(
    rung: &dyn Rung,
    options: &TimeOptions,
    number: u32,
    go: &Go,
    first_error: &mut Option<String>,
) -> Result<BatchEnd, DriverError> {
    let batch = Batch {
        number,
        starts: go.starts.unwrap_or(options.starts),
        workers: workers_of(go, options)?,
        warmup: go.warmup.unwrap_or(options.warmup),
        quiet: go.quiet,
        requests: go.requests || options.requests,
    };
    if batch.requests && batch.workers > 1 {
        let why = "requests are asked one after the other, of one instance: --workers 1";
        return Err(DriverError::Usage(why.to_owned()));
    }
    in_range("starts", batch.starts, 1..=MAX_COUNT)?;
    run_batch(rung, batch, &mut |sample: StartSample| {
        if first_error.is_none() {
            first_error.clone_from(&sample.error);
        }
        say(Message::Sample(sample))
    })
}

/// One open loop; `None` if it was called off.
fn open_batch(
    rung: &dyn Rung,
    options: &TimeOptions,
    releases: Option<&Releases>,
    number: u32,
    go: &Go,
    gate: &mut Gate,
) -> Result<Option<BatchEnd>, DriverError> {
    let (Some(open), Some(releases)) = (&go.open_loop, releases) else {
        let why = "an open loop needs a pipe and a page, which --releases and --release-page name";
        return Err(DriverError::Usage(why.to_owned()));
    };
    let what = Loop {
        rung,
        batch: number,
        workers: workers_of(go, options)?,
        open,
        releases,
    };
    run_open_loop(&what, &mut OnStreams(gate))
}

/// Whoever asks for an open loop, at the other end of standard input and output.
struct OnStreams<'a>(&'a mut Gate);

impl Caller for OnStreams<'_> {
    fn armed(&mut self) -> Result<Option<u64>, DriverError> {
        say(Message::Armed)?;
        match self.0.next()? {
            None => Ok(None),
            Some(Go {
                begin_ns: Some(begin_ns),
                ..
            }) => Ok(Some(begin_ns)),
            Some(_) => Err(DriverError::Usage(
                "an armed open loop waits for a line that says begin_ns".to_owned(),
            )),
        }
    }

    fn arrivals(&mut self, arrivals: Arrivals) -> Result<(), DriverError> {
        say(Message::Arrivals(arrivals))
    }
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
