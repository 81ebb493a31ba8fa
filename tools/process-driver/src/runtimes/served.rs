//! Handlers that a runtime has started: where each is asked, and what is killed when it has answered.
//!
//! In the host's network a handler has a port of its own. One in a network namespace that its runtime made is asked at the loopback in
//! there: by a socket made inside, as soon as one of the start's processes is seen in a namespace that is not ours.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::clock::PhaseClock;
use measure_core::base::interrupt;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::handler::{HttpOrDriverError, Question, Talk};
use measure_core::driver_kit::http_client::{HttpError, POLL, Place};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use procfs::process::Process;

use super::error_text::ErrorText;
use super::running::Running;
use super::tree;
use crate::handler::{Started, asked, place_at, unanswered};

/// The port that a handler is told where it has a namespace for itself.
pub(super) const PORT_INSIDE: u16 = 8000;

/// What handlers are asked, and where.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) question: Question,
    /// The port of each worker.
    pub(super) ports: Vec<u16>,
    /// Whether they listen in a network namespace that the command makes.
    pub(super) inside: bool,
}

impl Served {
    /// Has the handler `running` answer its first request, and does with it what `then` does; with the namespace that it is in, if that
    /// is its own.
    pub(super) fn asked<T>(
        &self,
        running: &Running,
        errors: &mut ErrorText,
        clock: &mut PhaseClock,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<(T, Option<Inside>), DriverError> {
        let port = self.ports.get(running.worker).copied().unwrap_or_default();
        let mut place = place_at(port);
        let inside = match self.inside {
            false => None,
            true => {
                let found = Inside::wait(running, &place, self.question.limit());
                let told = |error| unanswered(&self.question, &error, &running.child, None, errors);
                let (inside, namespace) = found.map_err(told)?;
                place.namespace = Some(namespace);
                Some(inside)
            }
        };
        let listener = || match &inside {
            None => Some(running.child.pid().as_raw()),
            Some(inside) => inside.processes_of(running).pop(),
        };
        let started = Started {
            question: &self.question,
            place: &place,
            child: &running.child,
            listener: &listener,
        };
        let done = asked(&started, errors, clock, then)?;
        Ok((done, inside))
    }
}

/// The network namespace that a start has for itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    inode: u64,
}

impl Inside {
    /// Waits, at most `limit`, until a process of `running` is in one; `place` is where it will be asked.
    fn wait(running: &Running, place: &Place, limit: Duration) -> Result<(Self, File), HttpError> {
        let own = inode_of(&File::open("/proc/thread-self/ns/net")?)?;
        let deadline = Instant::now() + limit;
        loop {
            let namespaces = processes_of(running).filter_map(namespace_of);
            let mut others = namespaces.filter(|(inode, _)| *inode != own);
            if let Some((inode, namespace)) = others.next() {
                return Ok((Self { inode }, namespace));
            }
            if interrupt::received().is_some() {
                return Err(HttpError::Interrupted);
            }
            if running.child.ended(Duration::ZERO).unwrap_or(true) {
                return Err(HttpError::Ended);
            }
            if Instant::now() >= deadline {
                let address = place.address;
                return Err(HttpError::NotListening { address, limit });
            }
            thread::sleep(POLL);
        }
    }

    /// Those of `running` that are in it, parents before children.
    fn processes_of(self, running: &Running) -> Vec<i32> {
        let is_inside =
            |pid: &i32| namespace_of(*pid).is_some_and(|(inode, _)| inode == self.inode);
        processes_of(running).filter(is_inside).collect()
    }

    /// Kills all that is seen in it; what the runtime has outside then takes down the rest.
    pub(super) fn kill(self, running: &Running) {
        for pid in self.processes_of(running) {
            // Gone already is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The processes of a start, the command's own first: its tree, and those of monitors that have left it and that we adopted, which carry the start's
/// name. Not from a pass over all of /proc, which would take longer than the wait between two looks: who is missed by one look is
/// seen by the next.
fn processes_of(running: &Running) -> impl Iterator<Item = i32> {
    let first = running.child.pid().as_raw();
    let adopted = children_of(getpid().as_raw()).into_iter();
    let monitors = adopted.filter(|&pid| pid != first && tree::names_start(pid, &running.name));
    let mut left: VecDeque<i32> = [first].into_iter().chain(monitors).collect();
    std::iter::from_fn(move || {
        let pid = left.pop_front()?;
        left.extend(children_of(pid));
        Some(pid)
    })
}

fn children_of(pid: i32) -> Vec<i32> {
    let tasks = Process::new(pid).and_then(|process| process.tasks());
    let children = tasks.into_iter().flatten().flatten();
    let children = children.filter_map(|task| task.children().ok()).flatten();
    children.filter_map(|pid| i32::try_from(pid).ok()).collect()
}

fn namespace_of(pid: i32) -> Option<(u64, File)> {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).ok()?;
    Some((inode_of(&namespace).ok()?, namespace))
}

fn inode_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.ino())
}
