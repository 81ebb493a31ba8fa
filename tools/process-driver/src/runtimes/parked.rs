//! Starts that stay blocked inside their function's `main` until their standard input closes.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::clock::PhaseClock;
use measure_core::base::interrupt;
use measure_core::base::process_tree::processes_below;
use measure_core::driver_kit::{DriverError, PARKABLE};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{pipe2, write};

use super::entry::ParkedWhen;
use super::error_text::ErrorText;
use super::running::Running;
use super::start::Starter;
use super::tree;
use crate::thread::unprepared;

/// How many are on their way into their function at once.
const AT_ONCE: usize = 4;
const POLL: Duration = Duration::from_millis(1);

nix::ioctl_read_bad!(unread_bytes, libc::FIONREAD, libc::c_int);

/// Parked starts; killed on drop if they were not released.
#[derive(Debug)]
pub(super) struct Parked {
    starter: Arc<Starter>,
    all: Vec<One>,
}

#[derive(Debug)]
struct One {
    running: Running,
    /// Its standard input ends when this closes, which the kernel sees to if this process is killed.
    stdin: Option<OwnedFd>,
    errors: ErrorText,
    deadline: Instant,
}

impl Parked {
    pub(super) fn new(starter: Arc<Starter>) -> Self {
        Self {
            starter,
            all: Vec::new(),
        }
    }

    /// Parks `count` starts; returns when all are inside their function.
    pub(super) fn park(&mut self, count: usize) -> Result<(), DriverError> {
        if self.starter.served.is_some() {
            return self.park_handlers(count);
        }
        let mut on_their_way: VecDeque<usize> = VecDeque::new();
        for worker in 0..count {
            if on_their_way.len() == AT_ONCE
                && let Some(first) = on_their_way.pop_front()
            {
                self.wait_inside(first)?;
            }
            let one = One::start(&self.starter, worker)?;
            self.all.push(one);
            on_their_way.push_back(worker);
        }
        on_their_way
            .into_iter()
            .try_for_each(|worker| self.wait_inside(worker))
    }

    /// Parks `count` handlers, each having answered once.
    fn park_handlers(&mut self, count: usize) -> Result<(), DriverError> {
        let starter = Arc::clone(&self.starter);
        let served = starter.served.as_ref().ok_or_else(unprepared)?;
        for worker in 0..count {
            let mut one = One::start(&starter, worker)?;
            let mut untimed = PhaseClock::start();
            let errors = &mut one.errors;
            let answered = served.asked(&one.running, errors, &mut untimed, |_| Ok(()));
            self.all.push(one);
            answered?;
        }
        Ok(())
    }

    fn wait_inside(&mut self, worker: usize) -> Result<(), DriverError> {
        let starter = Arc::clone(&self.starter);
        let one = &mut self.all[worker];
        while !one.is_inside(&starter)? {
            if one.running.child.ended(Duration::ZERO).unwrap_or(true) {
                return Err(one.ended_early(&starter));
            }
            if interrupt::received().is_some() {
                return Err(DriverError::Failed("interrupted while parking".into()));
            }
            if Instant::now() >= one.deadline {
                return Err(starter.hung(&mut one.running, &mut one.errors));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Closes every standard input and checks how each start ends.
    pub(super) fn release(&mut self) -> Result<(), DriverError> {
        let is_killed = self.starter.entry.parked_when == ParkedWhen::Stdin;
        if self.starter.served.is_some() || is_killed {
            // A handler has no end of its own, and of some the end of the input never comes through.
            for mut one in self.all.drain(..) {
                self.starter.remove(&mut one.running);
            }
            return Ok(());
        }
        for one in &mut self.all {
            one.stdin = None;
        }
        let deadline = Instant::now() + self.starter.entry.timeout();
        let mut outcome = Ok(());
        while let Some(one) = self.all.last_mut() {
            if !one.running.child.ended(Duration::ZERO).unwrap_or(true) {
                if Instant::now() >= deadline {
                    return Err(self.starter.hung(&mut one.running, &mut one.errors));
                }
                thread::sleep(POLL);
                continue;
            }
            let status = one.running.child.reap();
            outcome = outcome.and(self.starter.check(&one.running, status, &mut one.errors));
            self.all.pop();
        }
        outcome
    }
}

impl One {
    fn start(starter: &Starter, worker: usize) -> Result<Self, DriverError> {
        let cannot = |e: Errno| DriverError::failed("no pipe for a parked worker", e);
        let (read, stdin) = pipe2(OFlag::O_CLOEXEC).map_err(cannot)?;
        // The function reads it and waits for more.
        write(&stdin, b"\n").map_err(cannot)?;
        let errors = ErrorText::new()?;
        let running = starter.spawn(worker, read.as_fd(), &errors)?;
        Ok(Self {
            running,
            stdin: Some(stdin),
            errors,
            deadline: Instant::now() + starter.entry.timeout(),
        })
    }

    fn is_inside(&self, starter: &Starter) -> Result<bool, DriverError> {
        let Some(stdin) = &self.stdin else {
            return Ok(false);
        };
        let mut unread = 0;
        // SAFETY: FIONREAD stores an int through the pointer, which is to a live one.
        unsafe { unread_bytes(stdin.as_raw_fd(), &raw mut unread) }.map_err(|e| {
            DriverError::failed(
                "cannot look into a parked worker's input",
                io::Error::from(e),
            )
        })?;
        Ok(unread == 0
            && match starter.entry.parked_when {
                ParkedWhen::Read => true,
                ParkedWhen::Process => self.process_sleeps(starter),
                ParkedWhen::Stdin => self.monitored_reads_stdin(),
            })
    }

    /// Its monitors: processes that we adopted from it, which have the start's name in their command lines; and its own.
    fn monitors(&self) -> Vec<i32> {
        let all = processes_below(&[nix::unistd::getpid().as_raw()]).into_iter();
        all.filter(|&pid| tree::names_start(pid, &self.running.name))
            .collect()
    }

    /// Whether a process that it started, or that we adopted from it, runs the function and sleeps.
    fn process_sleeps(&self, starter: &Starter) -> bool {
        let function = |pid: i32| {
            let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            exe == Path::new(&starter.values.program) || exe == Path::new(&starter.values.function)
        };
        // The function has its monitor for parent.
        let mut roots = self.monitors();
        roots.push(self.running.child.pid().as_raw());
        processes_below(&roots)
            .into_iter()
            .any(|pid| tree::state(pid) == Some('S') && function(pid))
    }

    /// Whether a process below a monitor reads its standard input; the command itself may do so to hand it on.
    fn monitored_reads_stdin(&self) -> bool {
        let own = self.running.child.pid().as_raw();
        let mut monitors = self.monitors();
        monitors.retain(|&pid| pid != own);
        processes_below(&monitors)
            .into_iter()
            .any(tree::reads_stdin)
    }

    fn ended_early(&mut self, starter: &Starter) -> DriverError {
        let status = self.running.child.reap();
        match starter.check(&self.running, status, &mut self.errors) {
            Ok(()) => DriverError::StartFailed(format!(
                "a worker ended instead of staying blocked inside its function: {PARKABLE}"
            )),
            Err(error) => error,
        }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        for one in &mut self.all {
            one.stdin = None;
        }
        for mut one in self.all.drain(..) {
            self.starter.remove(&mut one.running);
        }
    }
}
