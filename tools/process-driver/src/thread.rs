//! Rung `thread`: a new OS thread runs the native function.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::{Builder, JoinHandle};

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::contract::{Description, Isolation, Probe, Reach, Scope};
use measure_core::driver_kit::bare_thread::{self, Attributes};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::{DriverError, Plan, Rung};
use nix::unistd::gettid;

use crate::native::{self, Native};
use crate::parking::Parking;
use crate::{blocked, scope};

/// Ladder id.
pub const ID: &str = "thread";
/// Stack of a thread; as much as a Faaslet's thread has.
pub const STACK_BYTES: usize = 1 << 20;

/// Phases of a start.
pub mod phase {
    /// From asked for to the thread's first instruction.
    pub const CREATE: &str = "create";
    /// The function.
    pub const RUN: &str = "run";
    /// From its end to joined.
    pub const JOIN: &str = "join";
}

/// Rung `thread`.
#[derive(Debug, Default)]
pub struct ThreadRung {
    ready: Option<Ready>,
}

#[derive(Debug)]
struct Ready {
    native: Native,
    stdin: File,
    attributes: Attributes,
    parked: Option<Parked>,
    _scope: OwnScope,
}

/// Parked threads; the pipe closes first, then they are joined.
#[derive(Debug)]
struct Parked {
    parking: Option<Parking>,
    threads: Vec<JoinHandle<c_int>>,
}

/// What a thread is linked to for its standard input while it is timed.
pub(crate) fn null_stdin() -> Result<File, DriverError> {
    File::open("/dev/null").map_err(|e| DriverError::failed("/dev/null", e))
}

pub(crate) fn no_thread(e: &io::Error) -> DriverError {
    DriverError::Failed(bare_thread::no_thread(e))
}

pub(crate) fn unprepared() -> DriverError {
    DriverError::Failed("the rung is not prepared".into())
}

impl Rung for ThreadRung {
    fn describe(&self) -> Description {
        Description {
            rung: ID.into(),
            summary: "OS thread runs the native function".into(),
            engine: "pthread, nothing on top".into(),
            cold: "a new thread each time; the function is linked into the driver, its code mapped; the C library reuses stacks of ended threads".into(),
            warm: "nothing".into(),
            isolation: Isolation {
                reach: Some(Reach::Host),
                ..Isolation::default()
            },
            settings: vec![format!("stack {} KiB", STACK_BYTES >> 10)],
            max_workers: measure_core::driver_kit::cli::MAX_WORKERS,
            default_function: Native::Noop.id().into(),
        }
    }

    fn probe(&self) -> Probe {
        Probe::Ready
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let native = Native::linked(&plan.function, ID)?;
        let stdin = null_stdin()?;
        let attributes = Attributes::new(STACK_BYTES).map_err(|e| no_thread(&e))?;
        let scope = scope::enter();
        let said = scope.scope("this process: its threads run the function");
        self.ready = Some(Ready {
            native,
            stdin,
            attributes,
            parked: None,
            _scope: scope,
        });
        Ok(said)
    }

    fn cold_start(&self, _worker: usize) -> Result<Phases, DriverError> {
        let Ready {
            native,
            stdin,
            attributes,
            ..
        } = self.ready.as_ref().ok_or_else(unprepared)?;
        let (mut clock, mut code) = (PhaseClock::start(), 0);
        attributes
            .run(&mut || {
                clock.lap(phase::CREATE);
                code = native.run(stdin.as_fd());
                clock.lap(phase::RUN);
            })
            .map_err(|e| no_thread(&e))?;
        clock.lap(phase::JOIN);
        native::check_exit_code(native.id(), code)?;
        Ok(clock.finish())
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let parking = Parking::open()?;
        let parked = ready.parked.insert(Parked {
            parking: None,
            threads: Vec::with_capacity(count),
        });
        let inside: Arc<[AtomicI32]> = (0..count).map(|_| AtomicI32::new(0)).collect();
        for worker in 0..count {
            let thread = start_parked(ready.native, parking.shared_stdin(), &inside, worker);
            parked.threads.push(thread.map_err(|e| no_thread(&e))?);
        }
        parked.parking = Some(parking);
        let threads = &parked.threads;
        blocked::wait_until_blocked(
            count,
            &|worker| blocked::thread_stat(&inside[worker]),
            &mut |worker| threads[worker].is_finished().then(|| "ended".to_owned()),
        )
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let id = ready.native.id();
        ready.parked.take().map_or(Ok(()), |mut p| p.release(id))
    }
}

fn start_parked(
    native: Native,
    stdin: Arc<OwnedFd>,
    inside: &Arc<[AtomicI32]>,
    worker: usize,
) -> io::Result<JoinHandle<c_int>> {
    let inside = inside.clone();
    Builder::new().stack_size(STACK_BYTES).spawn(move || {
        inside[worker].store(gettid().as_raw(), Ordering::Release);
        native.run(stdin.as_fd())
    })
}

impl Parked {
    fn release(&mut self, id: &str) -> Result<(), DriverError> {
        self.parking = None;
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread
                .join()
                .map_err(|_| DriverError::Failed("a parked thread panicked".into()))
                .and_then(|code| native::check_exit_code(id, code));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        let _ = self.release("");
    }
}
