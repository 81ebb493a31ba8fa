//! What `time` does: batch after batch as its caller asks, in closed loops and open ones.

use super::{MAX_COUNT, MAX_WORKERS, TimeOptions, ready, say};
use crate::base::exit::Exit;
use crate::base::interrupt;
use crate::base::range::in_range;
use crate::contract::open_loop::Arrivals;
use crate::contract::protocol::{BatchEnd, Go, Message, StartSample};
use crate::driver_kit::batch::{Batch, run_batch};
use crate::driver_kit::gate::Gate;
use crate::driver_kit::open_loop::{Caller, Loop, run_open_loop};
use crate::driver_kit::releases::Releases;
use crate::driver_kit::{Driver, DriverError, Purpose, Rung};

pub(super) fn time(driver: &dyn Driver, options: &TimeOptions) -> Result<Exit, DriverError> {
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
