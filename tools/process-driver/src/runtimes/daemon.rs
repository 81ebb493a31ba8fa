//! The daemon that a runtime's command is a client of: started for the rung before anything else of it, in the groups and among the
//! mounts of its starts, and ended after the last of them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::driver_kit::kept::{Born, Kept};
use measure_core::driver_kit::spawn::Program;
use nix::sys::signal::Signal;
use serde::Deserialize;

use super::aside;
use super::error::{AsideError, DaemonError, EntryError};
use super::error_text::ErrorText;
use super::template::{Placeholder, Template};
use crate::child::in_words;

/// How long it may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long it may take to end in good order; after a signal nobody waits that long.
const STOP_LIMIT: Duration = Duration::from_secs(5);
const STOP_LIMIT_INTERRUPTED: Duration = Duration::from_millis(500);
/// How long a killed one may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);

/// What an entry says of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonEntry {
    /// What is executed, and stays until it is told to end by SIGTERM.
    pub command: Vec<Template>,
    /// The Unix socket at which it listens once it is ready.
    pub ready: Template,
}

impl DaemonEntry {
    /// Fails where it cannot be what it says.
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if self.command.is_empty() {
            return Err(EntryError::EmptyCommand("daemon"));
        }
        let known = [Placeholder::State, Placeholder::Run, Placeholder::Cgroup];
        let uses: BTreeSet<Placeholder> = self
            .command
            .iter()
            .chain([&self.ready])
            .flat_map(Template::uses)
            .collect();
        let other = uses.into_iter().find(|used| !known.contains(used));
        other.map_or(Ok(()), |used| Err(EntryError::InDaemon(used.word())))
    }
}

/// A daemon that listens. Dropping it ends it; what it has started is not its group's and ends by itself, or as what the driver has
/// adopted.
#[derive(Debug)]
pub(super) struct Daemon {
    name: String,
    /// How it ended is kept in words.
    kept: Kept<String>,
    said: Mutex<ErrorText>,
}

impl Daemon {
    /// Starts `words` and waits until something listens at `ready`.
    ///
    /// # Errors
    /// It is not there, ends before, or takes too long.
    pub(super) fn start(
        words: &[String],
        ready: &Path,
        environment: &[(String, String)],
    ) -> Result<Self, DaemonError> {
        let name = words.first().cloned().unwrap_or_default();
        let program = aside::program(words, environment)?;
        let cannot = AsideError::cannot(&name);
        let null = File::open("/dev/null").map_err(&cannot)?;
        let said = ErrorText::new().map_err(AsideError::from)?;
        let log = said.file().try_clone_to_owned().map_err(&cannot)?;
        // In a thread of its own: a child dies with the thread that started it, and the driver's first one takes leave of every child that
        // it has.
        let no_process = AsideError::cannot(&name);
        let (kept, ()) = Kept::start("daemon", cannot, move || {
            spawn(&program, &null, &log).map_err(no_process)
        })?;
        let daemon = Self {
            name,
            kept,
            said: Mutex::new(said),
        };
        daemon.wait_until_ready(ready)?;
        Ok(daemon)
    }

    fn wait_until_ready(&self, ready: &Path) -> Result<(), DaemonError> {
        let deadline = Instant::now() + START_LIMIT;
        while UnixStream::connect(ready).is_err() {
            if let Some(how) = self.loss() {
                return Err(DaemonError::Ended(how));
            }
            if interrupt::received().is_some() {
                return Err(DaemonError::Interrupted);
            }
            if Instant::now() >= deadline {
                return Err(DaemonError::NotReady {
                    name: self.name.clone(),
                    at: ready.to_path_buf(),
                    limit: START_LIMIT,
                    said: self.last_lines(),
                });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn last_lines(&self) -> String {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.last_lines()
    }

    /// How it ended and what it said, if it has ended.
    pub(super) fn loss(&self) -> Option<String> {
        let how = self.kept.ended()?;
        let said = self.last_lines();
        let colon = if said.is_empty() { "" } else { ": " };
        Some(format!("`{}` {how}{colon}{said}", self.name))
    }

    /// Sends it `signal`, unless it has ended, and waits for its end at most `limit`; whether it has.
    fn end_by(&self, signal: Signal, limit: Duration) -> bool {
        self.kept.signal(signal);
        self.kept.wait(limit, || false)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let patience = interrupt::received().map_or(STOP_LIMIT, |_| STOP_LIMIT_INTERRUPTED);
        let is_gone =
            self.end_by(Signal::SIGTERM, patience) || self.end_by(Signal::SIGKILL, KILL_LIMIT);
        if is_gone {
            self.kept.join();
        }
    }
}

fn spawn(
    program: &Program,
    null: &File,
    log: &OwnedFd,
) -> io::Result<Born<impl FnOnce() -> String + use<>, ()>> {
    let mut child = program.spawn([null.as_fd(), log.as_fd(), log.as_fd()])?;
    let pid = child.pid();
    let collect = move || match child.reap() {
        Ok(status) => in_words(status),
        Err(error) => format!("cannot be waited for ({error})"),
    };
    Ok(Born {
        pid,
        collect,
        with: (),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, ready: &Path) -> Result<Daemon, DaemonError> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        Daemon::start(&words, ready, &[path])
    }

    #[test]
    fn one_that_ends_before_it_listens_is_told_with_its_words() {
        let nowhere = Path::new("/nonexistent/socket");
        let error = start("echo no snapshotter >&2; exit 3", nowhere).expect_err("it ended");
        assert_eq!(
            error.to_string(),
            "`sh` ended with exit code 3: no snapshotter"
        );
        let error = Daemon::start(&["no-such-daemon".to_owned()], nowhere, &[]);
        let error = error.expect_err("it is not there").to_string();
        assert_eq!(error, "`no-such-daemon` is not installed");
    }

    #[test]
    fn it_is_ended_when_it_is_dropped_and_its_loss_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let daemon = start("exec sleep 1000", &socket).expect("started");
        let pid = daemon.kept.pid();
        assert_eq!(daemon.loss(), None);
        drop(daemon);
        assert_eq!(
            nix::sys::signal::kill(pid, None),
            Err(nix::errno::Errno::ESRCH)
        );
        let daemon = start("exec sleep 1000", &socket).expect("started");
        assert!(daemon.end_by(Signal::SIGKILL, KILL_LIMIT));
        let loss = daemon.loss().expect("it ended");
        assert_eq!(loss, "`sh` was killed by SIGKILL");
    }
}
