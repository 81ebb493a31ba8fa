//! Rung `process`: the native executable (or script in its interpreter) in a process of its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::contract::answer::Answer;
use measure_core::contract::{Description, Isolation, Probe, Reach, Scope};
use measure_core::driver_kit;
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::handler::no_handler;
use measure_core::driver_kit::kept::wait_for_pid;
use measure_core::driver_kit::spawn::{Child, Program};
use measure_core::driver_kit::stored_function::StdinFile;
use measure_core::driver_kit::{DriverError, Plan, Rung};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus};
use nix::unistd::{Pid, pipe2};

use crate::answer;
use crate::child::{cannot_wait, check_status, in_words, no_process, opened};
use crate::handler::Handlers;
use crate::parking::Parking;
use crate::store::{NativeFunction, Store};
use crate::thread::unprepared;
use crate::{blocked, scope};

pub use crate::child::phase;

/// Ladder id.
pub const ID: &str = "process";

/// How long starts under way may go on after SIGINT or SIGTERM, and parked processes after release.
const GRACE: Duration = Duration::from_secs(1);
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Rung `process`.
#[derive(Debug)]
pub struct ProcessRung {
    store: Store,
    ready: Option<Ready>,
}

/// Dropped in this order: no process may be left when the group goes.
#[derive(Debug)]
struct Ready {
    parked: Option<Parked>,
    /// Handlers that have answered once.
    resident: Vec<Child>,
    _watch: Watch,
    running: Arc<[Running]>,
    program: Program,
    /// What each start reads, if that is not empty.
    stdin: Option<StdinFile>,
    function: String,
    /// In place of the program, if the function is a handler.
    handlers: Option<Handlers>,
    null: File,
    _scope: OwnScope,
}

/// The process that a worker has started and not yet collected, so that its id cannot be another's.
type Running = Mutex<Option<Pid>>;

fn lock(running: &Running) -> MutexGuard<'_, Option<Pid>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProcessRung {
    /// The rung with functions of `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, ready: None }
    }
}

impl Rung for ProcessRung {
    fn describe(&self) -> Description {
        Description {
            rung: ID.into(),
            summary: "native executable (or script in its interpreter) in a process of its own"
                .into(),
            engine: "clone(CLONE_VM | CLONE_VFORK) + execve, as posix_spawn does".into(),
            cold: "a new process each time; the executable is in the page cache".into(),
            warm: "nothing".into(),
            isolation: Isolation {
                memory: "address space".into(),
                reach: Some(Reach::Host),
                ..Isolation::default()
            },
            settings: vec![
                "empty environment".into(),
                "killed with the driver (PR_SET_PDEATHSIG)".into(),
            ],
            max_workers: driver_kit::cli::MAX_WORKERS,
            default_function: "demo/noop".into(),
        }
    }

    fn probe(&self) -> Probe {
        self.store.probe()
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let native = self.store.native_function(&plan.function, None)?;
        let NativeFunction { program, stdin, .. } = native;
        let handlers = Handlers::find(&self.store, &plan.function, plan.workers)?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null = null.map_err(|e| DriverError::failed("/dev/null", e))?;
        let running: Arc<[Running]> = (0..plan.workers).map(|_| Mutex::new(None)).collect();
        let watch = Watch::start(running.clone())?;
        let scope = scope::enter();
        let said = scope.scope("this process and the processes it starts");
        self.ready = Some(Ready {
            parked: None,
            resident: Vec::new(),
            _watch: watch,
            running,
            program,
            stdin,
            function: plan.function.to_string(),
            handlers,
            null,
            _scope: scope,
        });
        Ok(said)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        if let Some(handlers) = &ready.handlers {
            return handlers.cold_start(worker, &ready.null);
        }
        let running = ready.running.get(worker).ok_or_else(unprepared)?;
        let null = ready.null.as_fd();
        let input = opened(ready.stdin.as_ref())?;
        let stdin = input.as_ref().map_or(null, |input| input.as_fd());
        let mut clock = PhaseClock::start();
        let pid = ready
            .program
            .spawn_bare(stdin, null)
            .map_err(|e| no_process(&ready.program, e))?;
        clock.lap(phase::SPAWN);
        *lock(running) = Some(pid);
        let status = wait_for_pid(pid, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        clock.lap(phase::RUN);
        *lock(running) = None;
        let status = status.and(wait_for_pid(pid, WaitPidFlag::WEXITED));
        clock.lap(phase::REAP);
        check_status(&ready.function, status.map_err(cannot_wait)?)?;
        Ok(clock.finish())
    }

    fn answer_requests(
        &self,
        worker: usize,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        match &ready.handlers {
            Some(handlers) => handlers.requests(worker, &ready.null, count, each),
            None => Err(no_handler(&ready.function)),
        }
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        if let Some(handlers) = &ready.handlers {
            ready.resident = handlers.park(&ready.null)?;
            return Ok(());
        }
        let parked = ready.parked.insert(Parked {
            parking: Some(Parking::open()?),
            pids: Vec::with_capacity(count),
        });
        for _ in 0..count {
            if interrupt::received().is_some() {
                return Err(DriverError::Failed("interrupted while parking".into()));
            }
            let stdin = parked.parking.as_ref().ok_or_else(unprepared)?.stdin();
            let pid = ready
                .program
                .spawn_bare(stdin, ready.null.as_fd())
                .map_err(|e| no_process(&ready.program, e))?;
            parked.pids.push(pid);
        }
        let pids = &parked.pids;
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        blocked::wait_until_blocked(
            count,
            &|worker| Some(format!("/proc/{}/stat", pids[worker])),
            &mut |worker| match wait_for_pid(pids[worker], look) {
                Ok(WaitStatus::StillAlive) => None,
                Ok(status) => Some(in_words(status)),
                Err(error) => Some(format!("cannot be waited for ({error})")),
            },
        )
    }

    fn answer(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        answer::of_native(&self.store, function)
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        // Killed: a handler has no end of its own.
        ready.resident.clear();
        let parked = ready.parked.take();
        parked.map_or(Ok(()), |mut parked| parked.release(&ready.function))
    }
}

/// Parked processes; killed on drop if they were not released.
#[derive(Debug)]
struct Parked {
    parking: Option<Parking>,
    pids: Vec<Pid>,
}

impl Parked {
    fn release(&mut self, function: &str) -> Result<(), DriverError> {
        self.parking = None;
        let deadline = Instant::now() + RELEASE_TIMEOUT;
        let poll = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        let mut outcome = Ok(());
        while let Some(&pid) = self.pids.last() {
            let ended = match wait_for_pid(pid, poll) {
                Ok(WaitStatus::StillAlive) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_micros(200));
                    continue;
                }
                Ok(WaitStatus::StillAlive) => {
                    return Err(DriverError::StartFailed(format!(
                        "{function} did not end within {} s of its standard input's end; killed",
                        RELEASE_TIMEOUT.as_secs()
                    )));
                }
                Ok(status) => check_status(function, status),
                Err(error) => Err(cannot_wait(error)),
            };
            self.pids.pop();
            outcome = outcome.and(ended);
        }
        outcome
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        for &pid in &self.pids {
            // Not yet collected, so the id is still that process's.
            let _ = kill(pid, Signal::SIGKILL);
        }
        for &pid in &self.pids {
            let _ = wait_for_pid(pid, WaitPidFlag::WEXITED);
        }
    }
}

/// A thread that kills starts under way some time after SIGINT or SIGTERM: a function that never ends
/// must not keep the driver from ending. It sleeps until then.
#[derive(Debug)]
struct Watch {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(running: Arc<[Running]>) -> Result<Self, DriverError> {
        let cannot = |e: io::Error| DriverError::failed("cannot watch for signals", e);
        let (stopped, stop) = pipe2(OFlag::O_CLOEXEC).map_err(|e| cannot(e.into()))?;
        let thread = thread::Builder::new()
            .spawn(move || watch(&stopped, &running))
            .map_err(cannot)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(stopped: &OwnedFd, running: &[Running]) {
    while interrupt::received().is_none() {
        match interrupt::wait_readable(stopped.as_fd(), None) {
            Ok(false) => {}
            Ok(true) | Err(_) => return,
        }
    }
    let grace = PollTimeout::try_from(GRACE).unwrap_or(PollTimeout::MAX);
    loop {
        let mut fds = [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, grace) {
            Ok(0) => {}
            Err(Errno::EINTR) => continue,
            Ok(_) | Err(_) => return,
        }
        for running in running {
            // The lock is held so that the worker does not collect it, and its id stays its own.
            if let Some(pid) = *lock(running) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    }
}
