//! The command line that every driver has, and what its commands do.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;

use structopt::StructOpt;

use super::batch::{Batch, run_batch};
use super::cgroup;
use super::output_dir;
use super::{Driver, DriverError, Plan, Purpose, Rung, open};
use crate::base::exit::{Exit, HasExit};
use crate::base::ids::{FunctionId, FunctionIdError};
use crate::base::interrupt;
use crate::base::range::in_range;
use crate::base::stdout::{Reader, print};
use crate::contract::Probe;
use crate::contract::protocol::{Go, Message, StartSample, to_line};

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
) -> Result<Box<dyn Rung>, DriverError> {
    remove_what_killed_runs_left();
    let mut rung = open(driver, &what.rung)?;
    let description = rung.describe();
    let default = match purpose {
        Purpose::Time => description.default_function.as_str(),
        Purpose::Hold => PARK_FUNCTION,
    };
    let function = parsed(what.function.as_deref().unwrap_or(default))?;
    if let Probe::Unavailable { why, mend } = rung.probe() {
        return Err(DriverError::Unavailable { why, mend });
    }
    let scope = rung.prepare(&Plan {
        function: function.clone(),
        workers,
        purpose,
    })?;
    say(Message::Scope {
        description,
        function: function.to_string(),
        scope,
    })?;
    say(Message::Ready)?;
    Ok(rung)
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
    in_range("N", options.starts, 1..=MAX_COUNT)?;
    in_range("--workers", options.workers, 1..=MAX_WORKERS)?;
    let rung = ready(driver, &options.what, options.workers, Purpose::Time)?;
    let mut gate = Gate::new(options.what.gated)?;
    let (mut any_failed, mut first_error) = (false, None);
    for number in 0.. {
        let Some(go) = gate.next()? else { break };
        let batch = Batch {
            number,
            starts: go.starts.unwrap_or(options.starts),
            workers: go.workers.unwrap_or(options.workers),
            warmup: go.warmup.unwrap_or(options.warmup),
            quiet: go.quiet,
            requests: go.requests || options.requests,
        };
        if batch.requests && batch.workers > 1 {
            let why = "requests are asked one after the other, of one instance: --workers 1";
            return Err(DriverError::Usage(why.to_owned()));
        }
        in_range("starts", batch.starts, 1..=MAX_COUNT)?;
        in_range("workers", batch.workers, 1..=options.workers)?;
        let end = run_batch(&*rung, batch, &mut |sample: StartSample| {
            if first_error.is_none() {
                first_error.clone_from(&sample.error);
            }
            say(Message::Sample(sample))
        })?;
        any_failed |= end.failed > 0;
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

fn hold(driver: &dyn Driver, options: &HoldOptions) -> Result<Exit, DriverError> {
    in_range("N", options.count, 1..=MAX_WORKERS)?;
    let mut rung = ready(driver, &options.what, options.count, Purpose::Hold)?;
    let mut gate = Gate::new(options.what.gated)?;
    if gate.next()?.is_some() {
        rung.park(options.count)?;
        say(Message::Parked {
            workers: options.count,
        })?;
        // Held until standard input closes or a signal comes; further lines change nothing.
        gate.gated = true;
        while gate.next()?.is_some() {}
        rung.release()?;
    }
    drop(rung);
    say(Message::Ended)?;
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

/// The go-aheads: lines of standard input under `--gated`, else a single one.
struct Gate {
    gated: bool,
    given: bool,
    input: BufReader<File>,
}

impl Gate {
    fn new(gated: bool) -> Result<Self, DriverError> {
        // A reader of our own: one must know whether a line already waits in the buffer before polling.
        let input = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| DriverError::failed("no standard input", e))?;
        Ok(Self {
            gated,
            given: false,
            input: BufReader::new(input.into()),
        })
    }

    /// The next go-ahead; `None` once standard input has closed or a signal came.
    fn next(&mut self) -> Result<Option<Go>, DriverError> {
        if !self.gated {
            let first = !std::mem::replace(&mut self.given, true);
            return Ok((first && interrupt::received().is_none()).then(Go::default));
        }
        let failed = |e| DriverError::failed("cannot read standard input", e);
        while self.input.buffer().is_empty()
            && !interrupt::wait_readable(self.input.get_ref().as_fd(), None).map_err(failed)?
        {
            if interrupt::received().is_some() {
                return Ok(None);
            }
        }
        if interrupt::received().is_some() {
            return Ok(None);
        }
        let mut line = String::new();
        if self.input.read_line(&mut line).map_err(failed)? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            return Ok(Some(Go::default()));
        }
        serde_json::from_str(&line)
            .map(Some)
            .map_err(|e| DriverError::Usage(format!("not a go-ahead ({e}): {}", line.trim())))
    }
}
