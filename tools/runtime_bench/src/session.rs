//! One driver at work as a child process, spoken to by JSON lines.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use measure_core::base::clock::now_ns;
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::contract::open_loop::{Arrivals, OpenLoop};
use measure_core::contract::protocol::{BatchEnd, Go, Message, StartSample};
use measure_core::contract::release_page::ReleasePage;
use measure_core::contract::{Description, Scope};
use nix::sys::signal::Signal;

use crate::error::{BenchError, SessionError, StepError};
use crate::link::{Link, Start, interrupted};

/// How long a driver may take to make everything ready: a container engine that loads its image.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// A host that stalls is no stuck driver: work may take this many times as long as it should.
const SLOWER_THAN_EXPECTED: u32 = 20;

/// What all drivers of a run are asked.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// What to run; each rung's default if `None`.
    pub function: Option<&'a FunctionId>,
    /// See [`Start::patience`].
    pub patience: Duration,
}

impl Job<'_> {
    /// What was asked for by name.
    #[must_use]
    pub fn named(&self) -> Option<String> {
        self.function.map(ToString::to_string)
    }
}

/// A driver that is ready.
#[derive(Debug)]
pub struct Session {
    link: Link,
    /// What runs.
    pub description: Description,
    /// `user/function`.
    pub function: String,
    /// Whose work counts.
    pub scope: Scope,
    /// From its being started until it was ready.
    pub opened_ns: u64,
}

impl Session {
    /// Starts a driver and waits until everything a start may find ready is ready.
    ///
    /// # Errors
    /// It cannot be started, fails, dies or takes too long, or a signal came to us; it is gone then.
    pub fn start(start: Start<'_>) -> Result<Self, SessionError> {
        Self::start_unless(start, &mut interrupted)
    }

    /// The same, unless `stop`, which is asked now and then, says why not to wait for it.
    ///
    /// # Errors
    /// As of [`Session::start`], or what `stop` says.
    pub fn start_unless(
        start: Start<'_>,
        stop: &mut dyn FnMut() -> Option<SessionError>,
    ) -> Result<Self, SessionError> {
        let begun = Instant::now();
        let mut link = Link::spawn(start)?;
        let mut scope = None;
        let limit = begun + READY_LIMIT;
        loop {
            let message = match link.next_unless(limit, "getting ready", stop) {
                Ok(message) => message,
                Err(error) => {
                    // It does not look at its input while it prepares.
                    link.signal(Signal::SIGTERM);
                    return Err(error);
                }
            };
            match message {
                Message::Scope {
                    description,
                    function,
                    scope: found,
                } => scope = Some((description, function, found)),
                Message::Ready => break,
                other => return Err(unexpected(&other)),
            }
        }
        let (description, function, scope) =
            scope.ok_or_else(|| SessionError::Unexpected("ready without a scope".into()))?;
        Ok(Self {
            link,
            description,
            function,
            scope,
            opened_ns: u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX),
        })
    }

    /// Runs one batch that should take `expected` and hands on its samples. If a signal comes to us the driver is told to stop,
    /// and what it had measured is handed on before the error.
    ///
    /// # Errors
    /// As of [`Session::start`]; or `on_sample` failed.
    pub fn batch(
        &mut self,
        go: &Go,
        expected: Duration,
        on_sample: &mut dyn FnMut(StartSample) -> Result<(), BenchError>,
    ) -> Result<BatchEnd, StepError> {
        let asked_ns = now_ns();
        self.link.go(go)?;
        let mut until = Instant::now() + self.link.patience + expected * SLOWER_THAN_EXPECTED;
        let mut interrupted = None;
        loop {
            let message = match interrupted {
                None => self.link.next(until, "in a batch"),
                Some(_) => self.link.next_regardless(until, "stopping"),
            };
            match message {
                Ok(Message::Sample(sample)) => {
                    check_clock(&sample, asked_ns)?;
                    if let Err(error) = on_sample(sample) {
                        self.link.signal(Signal::SIGTERM);
                        return Err(error.into());
                    }
                }
                Ok(Message::Batch(end)) => return Ok(interrupted.map_or(Ok(end), Err)?),
                Ok(other) => return Err(unexpected(&other).into()),
                Err(error @ SessionError::Interrupted(_)) if interrupted.is_none() => {
                    interrupted = Some(error);
                    until = Instant::now() + self.link.patience;
                    self.link.signal(Signal::SIGTERM);
                }
                Err(error) => return Err(interrupted.unwrap_or(error).into()),
            }
        }
    }

    /// Begins a batch that nobody waits for; [`Session::stop_batch`] ends it.
    ///
    /// # Errors
    /// The driver is gone.
    pub fn begin_batch(&mut self, go: &Go) -> Result<(), SessionError> {
        self.link.go(go)
    }

    /// Tells the driver to end what [`Session::begin_batch`] began, which should take `expected`, and leaves out its samples.
    ///
    /// # Errors
    /// As of [`Session::start`].
    pub fn stop_batch(&mut self, expected: Duration) -> Result<(), SessionError> {
        self.link.signal(Signal::SIGTERM);
        let until = Instant::now() + self.link.patience + expected * SLOWER_THAN_EXPECTED;
        loop {
            match self.link.next_regardless(until, "stopping")? {
                Message::Sample(_) => {}
                Message::Batch(_) => return Ok(()),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Where a byte wakes a worker that waits for an arrival of an open loop, and where it is seen whether one waits.
    ///
    /// # Errors
    /// The driver was not started for open loops, or no descriptor is to be had.
    pub fn releases(&self) -> Result<(OwnedFd, Arc<ReleasePage>), SessionError> {
        self.link.releases()
    }

    /// Has the driver make ready for `open` with `workers`.
    ///
    /// # Errors
    /// As of [`Session::start`].
    pub fn arm(&mut self, open: OpenLoop, workers: usize) -> Result<(), SessionError> {
        let (_, page) = self.link.releases()?;
        page.reset();
        self.link.go(&Go {
            workers: Some(workers),
            open_loop: Some(open),
            ..Go::default()
        })?;
        let until = Instant::now() + self.link.patience;
        match self.link.next(until, "making ready for arrivals")? {
            Message::Armed => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Tells an armed driver when its loop begins.
    ///
    /// # Errors
    /// The driver is gone.
    pub fn begin(&mut self, begin_ns: u64) -> Result<(), SessionError> {
        let (_, page) = self.link.releases()?;
        page.begin(begin_ns);
        self.link.go(&Go {
            begin_ns: Some(begin_ns),
            ..Go::default()
        })
    }

    /// What became of the arrivals of a loop that has begun and should take `expected`; `on_end` is called once it is over, before all
    /// of them have been told: telling is no work of the rung's. If a signal comes to us the driver is told
    /// to stop.
    ///
    /// # Errors
    /// As of [`Session::start`].
    pub fn arrivals(
        &mut self,
        expected: Duration,
        on_end: &mut dyn FnMut(),
    ) -> Result<(Vec<Arrivals>, BatchEnd), SessionError> {
        let mut until = Instant::now() + self.link.patience + expected * SLOWER_THAN_EXPECTED;
        let (mut told, mut interrupted) = (Vec::new(), None);
        loop {
            let message = match interrupted {
                None => self.link.next(until, "under load"),
                Some(_) => self.link.next_regardless(until, "stopping"),
            };
            match message {
                Ok(Message::Arrivals(arrivals)) => {
                    if told.is_empty() {
                        on_end();
                    }
                    told.push(arrivals);
                }
                Ok(Message::Batch(end)) => {
                    return interrupted.map_or(Ok((told, end)), Err);
                }
                Ok(other) => return Err(unexpected(&other)),
                Err(error @ SessionError::Interrupted(_)) if interrupted.is_none() => {
                    interrupted = Some(error);
                    until = Instant::now() + self.link.patience;
                    self.link.signal(Signal::SIGTERM);
                }
                Err(error) => return Err(interrupted.unwrap_or(error)),
            }
        }
    }

    /// Lets a `hold` park its workers, which should take `expected`, and waits until all are.
    ///
    /// # Errors
    /// As of [`Session::start`].
    pub fn park(&mut self, expected: Duration) -> Result<(), SessionError> {
        self.park_unless(&Go::default(), expected, &mut interrupted)
    }

    /// The same as `go` has it, unless `stop`, which is asked now and then, says why not to wait for it; the driver is told to end then.
    ///
    /// # Errors
    /// As of [`Session::start`], or what `stop` says.
    pub fn park_unless(
        &mut self,
        go: &Go,
        expected: Duration,
        stop: &mut dyn FnMut() -> Option<SessionError>,
    ) -> Result<(), SessionError> {
        self.link.go(go)?;
        let until = Instant::now() + self.link.patience + expected * SLOWER_THAN_EXPECTED;
        match self.link.next_unless(until, "parking its workers", stop) {
            Ok(Message::Parked { .. }) => Ok(()),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => {
                self.link.signal(Signal::SIGTERM);
                Err(error)
            }
        }
    }

    /// Lets the driver go; it cleans up while others are let go too.
    pub fn release(&mut self) {
        self.link.close_pipes();
        if interrupt::received().is_some() {
            self.link.signal(Signal::SIGTERM);
        }
    }

    /// Closes the driver's input, so that what it has parked runs to its end.
    pub fn let_go(&mut self) {
        self.link.close_pipes();
    }

    /// Tells the driver to end at once.
    pub fn terminate(&mut self) {
        self.link.close_pipes();
        self.link.signal(Signal::SIGTERM);
    }

    /// Waits until `until` for the driver, which was let go, to end by itself.
    ///
    /// # Errors
    /// It failed, or had to be ended.
    pub fn close_by(mut self, until: Instant) -> Result<(), SessionError> {
        self.link.close_by(until)
    }

    /// Releases the driver and waits until it has cleaned up.
    ///
    /// # Errors
    /// It failed to, or had to be ended.
    pub fn close(mut self) -> Result<(), SessionError> {
        self.link.close()
    }
}

/// A start lies between its being asked for and its being told of, by the one clock of all processes of a host.
fn check_clock(sample: &StartSample, asked_ns: u64) -> Result<(), SessionError> {
    let (start_ns, told_ns) = (sample.start_ns, now_ns());
    let end_ns = start_ns.saturating_add(sample.total_ns);
    if sample.error.is_some() || (asked_ns <= start_ns && end_ns <= told_ns) {
        return Ok(());
    }
    Err(SessionError::Clock {
        start_ns,
        end_ns,
        asked_ns,
        told_ns,
    })
}

fn unexpected(message: &Message) -> SessionError {
    let text = format!("{message:?}");
    SessionError::Unexpected(text.chars().take(200).collect())
}
