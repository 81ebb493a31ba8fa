//! One start: spawned, waited for at most so long, and nothing of it left whatever happens.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::interrupt;
use measure_core::base::label;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::handler::{HttpOrDriverError, Talk};
use measure_core::driver_kit::spawn::{Child, Program};
use measure_core::driver_kit::stored_function::{GivenTexts, StdinFile};
use nix::sys::wait::WaitStatus;
use nix::unistd::getpid;

use super::aside;
use super::entry::Entry;
use super::error_text::ErrorText;
use super::running::Running;
use super::served::{Inside, Served};
use super::template::{Placeholder, Template};
use super::tree;
use super::workdir::START_VARIABLE;
use crate::answer::wait_for_answer;
use crate::child::{cannot_wait, ended_badly, in_words, opened, phase};
use crate::thread::unprepared;

/// How long a start under way may go on after SIGINT or SIGTERM.
const GRACE: Duration = Duration::from_secs(1);
/// How long a runtime may take to end, when what it ran was killed, before somebody looks whether all of that was.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a clean-up command may take.
const CLEANUP_LIMIT: Duration = Duration::from_secs(10);

/// What the placeholders stand for; those that the entry does not use are empty.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) function: String,
    pub(super) wasm: String,
    pub(super) script: String,
    pub(super) root: String,
    pub(super) program: String,
    /// One per worker.
    pub(super) bundles: Vec<String>,
    pub(super) state: String,
    pub(super) run: String,
    pub(super) cgroup: String,
    /// One per worker.
    pub(super) ports: Vec<String>,
    /// What a brought function is given, its arguments after those that are of its command: for each worker.
    pub(super) given: Vec<GivenTexts>,
}

impl Values {
    /// The words of a command; one with a variable in it is there once for each that the function has.
    pub(super) fn fill(&self, words: &[Template], worker: usize, name: &str) -> Vec<String> {
        let filled = |word: &Template, variable: &str| {
            word.fill(|placeholder| match placeholder {
                Placeholder::Function => self.function.as_str(),
                Placeholder::Wasm => &self.wasm,
                Placeholder::Script => &self.script,
                Placeholder::Root => &self.root,
                Placeholder::Program => &self.program,
                Placeholder::Bundle => self.bundles.get(worker).map_or("", String::as_str),
                Placeholder::Name => name,
                Placeholder::State => &self.state,
                Placeholder::Run => &self.run,
                Placeholder::Cgroup => &self.cgroup,
                Placeholder::Port => self.ports.get(worker).map_or("", String::as_str),
                Placeholder::Variable => variable,
            })
        };
        let variables = self.given.get(worker).map_or(&[][..], |given| &given.env);
        let all = words.iter().map(|word| match word.is_by_variable() {
            false => vec![filled(word, "")],
            true => {
                let variables = variables
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                variables.map(|variable| filled(word, &variable)).collect()
            }
        });
        all.flatten().collect()
    }
}

/// What starts are made of.
#[derive(Debug)]
pub(super) struct Starter {
    pub(super) entry: Entry,
    pub(super) executable: PathBuf,
    pub(super) values: Values,
    /// The command's own.
    pub(super) environment: Vec<(String, String)>,
    pub(super) stdin: Option<StdinFile>,
    /// If the function is a handler: what it is asked, and where.
    pub(super) served: Option<Served>,
    pub(super) null: File,
    pub(super) names: AtomicU64,
}

/// How a wait went.
enum Waited {
    Ended,
    Hung,
    Interrupted,
}

impl Starter {
    /// Everything of a start that is not its own cost.
    fn program(&self, worker: usize) -> Result<(Program, String), DriverError> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let name = label::name(getpid().as_raw(), &number.to_string());
        let mut words = self.values.fill(&self.entry.command, worker, &name);
        let given = self.values.given.get(worker);
        words.extend(given.iter().flat_map(|given| given.args.iter().cloned()));
        // Where the command says how it passes them on, they are none of its own.
        let passed_on = self.entry.command.iter().any(Template::is_by_variable);
        let variables = given
            .filter(|_| !passed_on)
            .map_or(&[][..], |given| &given.env);
        let environment = self.environment.iter().chain(variables);
        let environment = environment.map(|(k, v)| (k.as_str(), v.as_str()));
        let program = Program::new(
            &self.executable,
            words[1..].iter().map(OsStr::new),
            environment.chain([(START_VARIABLE, name.as_str())]),
        );
        let program = program.map_err(|e| DriverError::failed(&words[0], e))?;
        Ok((program, name))
    }

    /// A cold start as worker `worker`: phases `spawn`, `run`, `reap`.
    pub(super) fn cold_start(
        &self,
        worker: usize,
        errors: &mut ErrorText,
    ) -> Result<Phases, DriverError> {
        let (program, name) = self.program(worker)?;
        errors.rewind();
        let null = self.null.as_fd();
        let input = opened(self.stdin.as_ref())?;
        let stdin = input.as_ref().map_or(null, |input| input.as_fd());
        let mut clock = PhaseClock::start();
        let streams = [stdin, null, errors.file()];
        let mut running = self.started((&program, name), worker, streams)?;
        clock.lap(phase::SPAWN);
        let waited = wait_for_end(&running.child, self.entry.timeout());
        clock.lap(phase::RUN);
        self.require_end(waited, &mut running, errors)?;
        let status = running.child.reap();
        clock.lap(phase::REAP);
        self.check(&running, status, errors)?;
        Ok(clock.finish())
    }

    /// Starts a handler and does with it what `then` does; nothing of it is left.
    pub(super) fn serve<T>(
        &self,
        worker: usize,
        errors: &mut ErrorText,
        then: impl FnOnce(&mut Talk<'_>) -> Result<T, HttpOrDriverError>,
    ) -> Result<(T, PhaseClock), DriverError> {
        let served = self.served.as_ref().ok_or_else(unprepared)?;
        let (program, name) = self.program(worker)?;
        errors.rewind();
        let null = self.null.as_fd();
        let mut clock = PhaseClock::start();
        let streams = [null, null, errors.file()];
        let mut running = self.started((&program, name), worker, streams)?;
        clock.lap(phase::SPAWN);
        let (done, inside) = match served.asked(&running, errors, &mut clock, then) {
            Ok(done) => done,
            Err(error) => {
                self.remove(&mut running);
                return Err(error);
            }
        };
        match inside {
            None => running.child.kill(),
            Some(inside) => {
                let waited = end_inside(inside, &running, self.entry.timeout());
                clock.lap(phase::END);
                self.require_end(waited, &mut running, errors)?;
            }
        }
        let reaped = running.child.reap();
        clock.lap(phase::REAP);
        reaped.map_err(cannot_wait)?;
        Ok((done, clock))
    }

    /// Fails unless a wait for `running` came to its end; then nothing of it is left either.
    fn require_end(
        &self,
        waited: std::io::Result<Waited>,
        running: &mut Running,
        errors: &mut ErrorText,
    ) -> Result<(), DriverError> {
        match waited {
            Ok(Waited::Ended) => Ok(()),
            Ok(Waited::Hung) => Err(self.hung(running, errors)),
            Ok(Waited::Interrupted) => {
                self.remove(running);
                Err(DriverError::StartFailed("interrupted".into()))
            }
            Err(error) => {
                self.remove(running);
                Err(cannot_wait(error))
            }
        }
    }

    /// One start, untimed, that writes to `stdout` and may take `limit`.
    pub(super) fn run_once(
        &self,
        stdout: BorrowedFd<'_>,
        limit: Duration,
    ) -> Result<(), DriverError> {
        let mut errors = ErrorText::new()?;
        let input = opened(self.stdin.as_ref())?;
        let stdin = input.as_ref().unwrap_or(&self.null).as_fd();
        let (program, name) = self.program(0)?;
        let streams = [stdin, stdout, errors.file()];
        let mut running = self.started((&program, name), 0, streams)?;
        if let Err(error) = wait_for_answer(&running.child, limit, "it") {
            self.remove(&mut running);
            return Err(error);
        }
        let status = running.child.reap();
        self.check(&running, status, &mut errors)
    }

    /// Starts with `stdin`, to stay.
    pub(super) fn spawn(
        &self,
        worker: usize,
        stdin: BorrowedFd<'_>,
        errors: &ErrorText,
    ) -> Result<Running, DriverError> {
        let (program, name) = self.program(worker)?;
        let streams = [stdin, self.null.as_fd(), errors.file()];
        self.started((&program, name), worker, streams)
    }

    /// Starts `program`, which is called `name`. It is the caller's to drop, when nothing is timed any more.
    fn started(
        &self,
        (program, name): (&Program, String),
        worker: usize,
        streams: [BorrowedFd<'_>; 3],
    ) -> Result<Running, DriverError> {
        let child = program.spawn(streams).map_err(|e| self.not_spawned(e))?;
        Ok(Running {
            child,
            worker,
            name,
        })
    }

    fn not_spawned(&self, error: std::io::Error) -> DriverError {
        DriverError::failed(
            format!("cannot execute {}", self.executable.display()),
            error,
        )
    }

    /// Checks how a start ended; if not well, removes what may be left of it.
    pub(super) fn check(
        &self,
        running: &Running,
        status: std::io::Result<WaitStatus>,
        errors: &mut ErrorText,
    ) -> Result<(), DriverError> {
        let how = match &status {
            Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
            Ok(status) => in_words(*status),
            Err(error) => format!("cannot be waited for ({error})"),
        };
        self.clean_up(running);
        let said = errors.last_lines();
        let said = if said.is_empty() {
            said
        } else {
            format!(": {said}")
        };
        let command = self.executable.file_name().unwrap_or_default();
        let words = format!("{} {how}{said}", command.display());
        Err(match status {
            Ok(status) => ended_badly(status, words),
            Err(_) => DriverError::StartFailed(words),
        })
    }

    /// Kills a start that has taken too long.
    pub(super) fn hung(&self, running: &mut Running, errors: &mut ErrorText) -> DriverError {
        let count = self.remove(running);
        let said = errors.last_lines();
        let said = if said.is_empty() {
            said
        } else {
            format!("; it said: {said}")
        };
        DriverError::StartFailed(format!(
            "hung: no end within {} s (timeout_s of runtime `{}`); killed, with all {count} processes of it{said}",
            self.entry.timeout_s, self.entry.id
        ))
    }

    /// Ends a start and removes what is left of it; returns how many processes it had.
    pub(super) fn remove(&self, running: &mut Running) -> usize {
        // While it runs its tree is known; once it is dead its container may have no parent but us.
        let before = tree::count_processes(&running.child);
        self.clean_up(running);
        tree::kill_tree(&mut running.child, Some(&running.name)).max(before)
    }

    fn clean_up(&self, running: &Running) {
        for words in &self.entry.cleanup {
            let words = self.values.fill(words, running.worker, &running.name);
            // A container that is not there any more cannot be removed, which is as good.
            let _ = aside::run_aside(&words, &self.environment, CLEANUP_LIMIT);
        }
    }
}

/// Kills what is `inside`, and waits at most `limit` until `running` ends by that. A process that was being made is missed by one look and
/// seen by the next.
fn end_inside(inside: Inside, running: &Running, limit: Duration) -> std::io::Result<Waited> {
    let deadline = Instant::now() + limit;
    loop {
        inside.kill(running);
        let left = deadline.saturating_duration_since(Instant::now());
        match wait_for_end(&running.child, left.min(LOOK_AGAIN))? {
            Waited::Hung if left > LOOK_AGAIN => {}
            waited => return Ok(waited),
        }
    }
}

/// Waits for the end of `child` for at most `limit`, and not long after a signal has come.
fn wait_for_end(child: &Child, limit: Duration) -> std::io::Result<Waited> {
    let deadline = Instant::now() + limit;
    while interrupt::received().is_none() {
        let left = deadline.saturating_duration_since(Instant::now());
        if child.ended(left)? {
            return Ok(Waited::Ended);
        }
        if interrupt::received().is_none() && Instant::now() >= deadline {
            return Ok(Waited::Hung);
        }
    }
    let deadline = deadline.min(Instant::now() + GRACE);
    while Instant::now() < deadline {
        if child.ended(Duration::ZERO)? {
            return Ok(Waited::Ended);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(Waited::Interrupted)
}
