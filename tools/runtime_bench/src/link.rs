//! A driver's process and its two pipes: lines in, lines out, and an end in any case.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::exit::Exit;
use measure_core::base::home::HOME_VARIABLE;
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::contract::protocol::{Go, Message, parse_line};
use measure_core::contract::release_page::ReleasePage;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, pipe2};

use crate::engines::Driver;
use crate::error::SessionError;

/// How long a driver may take to clean up once its input is closed (hundreds of containers) ...
const CLOSE_LIMIT: Duration = Duration::from_secs(120);
/// How long a driver gets to see its input closed before a signal that we got is passed on.
const SHORT: Duration = Duration::from_secs(1);
/// How often a wait looks whether a signal came to us.
const SLICE: Duration = Duration::from_millis(50);
/// How much of a driver's standard error an error message repeats.
const LAST_WORDS: usize = 600;
/// What the kernel is told of processes that hold parked workers: if memory runs out they are to go, not whoever measures them.
const FIRST_TO_GO: &str = "900";
/// A mebibyte, the largest pipe that a user may have: a byte for every worker, and more.
const RELEASES_BYTES: i32 = 1 << 20;
/// A variable that nobody reads, so that stacks do not begin at one address in all processes.
const PADDING: &str = "FAASM_BENCH_PADDING";

/// What to start.
#[derive(Debug)]
pub struct Start<'a> {
    /// The driver.
    pub driver: &'a Driver,
    /// `time` or `hold`.
    pub command: &'a str,
    /// N of the command.
    pub count: u64,
    /// Ladder id.
    pub rung: &'a str,
    /// What to run; the rung's default if `None`.
    pub function: Option<&'a FunctionId>,
    /// `--workers`, for `time`.
    pub workers: Option<usize>,
    /// Where its standard error goes.
    pub log: PathBuf,
    /// Length of the value of [`PADDING`] in its environment; without the variable if 0.
    pub environment_padding_bytes: u32,
    /// `$FAASM_BENCH_HOME` in its environment; ours if `None`.
    pub home: Option<&'a Path>,
    /// Whether it is asked for open loops: it then gets the pipe and the page of [`Link::releases`].
    pub takes_releases: bool,
    /// How long it may be silent beyond what its work should take, and how long it may take to end when
    /// told by a signal.
    pub patience: Duration,
}

/// The process and its two pipes.
#[derive(Debug)]
pub(crate) struct Link {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Our ends of what lets arrivals of open loops go.
    releases: Option<(OwnedFd, Arc<ReleasePage>)>,
    lines: Receiver<Result<Message, SessionError>>,
    log: PathBuf,
    pub(crate) patience: Duration,
    reaped: bool,
    /// Whether it was told to end: a second signal would have it end at once, without cleaning up.
    told: AtomicBool,
}

impl Link {
    pub(crate) fn spawn(start: Start<'_>) -> Result<Self, SessionError> {
        let cannot = |source| SessionError::Start {
            driver: start.driver.path.display().to_string(),
            source,
        };
        let stderr = File::create(&start.log).map_err(cannot)?;
        let mut command = start.driver.command();
        command
            .arg(start.command)
            .arg(start.count.to_string())
            .args(["--rung", start.rung, "--gated"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // A Ctrl-C on the terminal is ours; we release the drivers in order.
            .process_group(0);
        if let Some(function) = start.function {
            command.args(["--function", &function.to_string()]);
        }
        if start.environment_padding_bytes > 0 {
            let bytes = start.environment_padding_bytes as usize;
            command.env(PADDING, "x".repeat(bytes));
        }
        if let Some(home) = start.home {
            command.env(HOME_VARIABLE, home);
        }
        if let Some(workers) = start.workers {
            command.args(["--workers", &workers.to_string()]);
        }
        log::debug!(
            "starting {} {} for {}, its standard error goes to {}",
            start.driver.path.display(),
            start.command,
            start.rung,
            start.log.display()
        );
        let made = start.takes_releases.then(|| releases(&mut command));
        let made = made.transpose().map_err(|e| cannot(e.into()))?;
        let mut child = command.spawn().map_err(cannot)?;
        let releases = made.map(|(_theirs, pipe, page)| (pipe, Arc::new(page)));
        if start.command == "hold" {
            // Whoever may not say so is no worse off.
            let _ = fs::write(format!("/proc/{}/oom_score_adj", child.id()), FIRST_TO_GO);
        }
        let stdin = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || read_lines(stdout, &sender));
        }
        Ok(Self {
            child,
            stdin,
            releases,
            lines,
            log: start.log,
            patience: start.patience,
            reaped: false,
            told: AtomicBool::new(false),
        })
    }

    /// See [`crate::session::Session::releases`].
    pub(crate) fn releases(&self) -> Result<(OwnedFd, Arc<ReleasePage>), SessionError> {
        let (pipe, page) = self.releases.as_ref().ok_or_else(|| {
            SessionError::Unexpected("an open loop of a driver without a pipe for it".into())
        })?;
        let pipe = pipe.try_clone().map_err(SessionError::Unreadable)?;
        Ok((pipe, page.clone()))
    }

    /// Releases the driver: its input, and whatever waits for arrivals, comes to an end.
    pub(crate) fn close_pipes(&mut self) {
        self.stdin = None;
        self.releases = None;
    }

    pub(crate) fn go(&mut self, go: &Go) -> Result<(), SessionError> {
        let line = serde_json::to_string(go).unwrap_or_default() + "\n";
        let written = match &mut self.stdin {
            Some(stdin) => stdin.write_all(line.as_bytes()).is_ok(),
            None => false,
        };
        if written { Ok(()) } else { Err(self.gone()) }
    }

    /// The next message, or why there is none.
    pub(crate) fn next(&mut self, until: Instant, doing: &str) -> Result<Message, SessionError> {
        self.next_unless(until, doing, &mut interrupted)
    }

    /// The same for a driver that is being ended because of a signal.
    pub(crate) fn next_regardless(
        &mut self,
        until: Instant,
        doing: &str,
    ) -> Result<Message, SessionError> {
        self.next_unless(until, doing, &mut || None)
    }

    /// The next message, unless `stop`, which is asked now and then, says why not to wait for it.
    pub(crate) fn next_unless(
        &mut self,
        until: Instant,
        doing: &str,
        stop: &mut dyn FnMut() -> Option<SessionError>,
    ) -> Result<Message, SessionError> {
        let begun = Instant::now();
        loop {
            if let Some(why) = stop() {
                return Err(why);
            }
            match self.lines.recv_timeout(SLICE) {
                Ok(Ok(Message::Failed { error, exit })) => {
                    return Err(SessionError::Said {
                        error,
                        exit: Exit::from_code(exit),
                    });
                }
                Ok(Ok(message)) => return Ok(message),
                Ok(Err(bad)) => return Err(bad),
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone()),
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = begun.elapsed().as_secs();
                    self.end();
                    return Err(SessionError::Stuck {
                        what: doing.to_owned(),
                        seconds,
                        stderr: self.last_words(),
                    });
                }
            }
        }
    }

    /// The error of a driver whose pipe broke: what it said last, else how it ended.
    fn gone(&mut self) -> SessionError {
        while let Ok(line) = self.lines.recv_timeout(SLICE) {
            if let Ok(Message::Failed { error, exit }) = line {
                return SessionError::Said {
                    error,
                    exit: Exit::from_code(exit),
                };
            }
        }
        let status = match self.wait(Instant::now() + self.patience) {
            Some(status) => status.to_string(),
            None => {
                self.end();
                "it closed its output and did not end".into()
            }
        };
        SessionError::Died {
            status,
            stderr: self.last_words(),
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let text = text.trim();
        let skipped = text.chars().count().saturating_sub(LAST_WORDS);
        text.chars().skip(skipped).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if !self.reaped {
            self.told.store(true, Ordering::Relaxed);
            let _ = kill(self.pid(), signal);
        }
    }

    fn pid(&self) -> Pid {
        // Process ids fit: the kernel's limit is 2^22.
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    fn wait(&mut self, until: Instant) -> Option<ExitStatus> {
        let mut pause = Duration::from_millis(1);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.reaped = true;
                    return Some(status);
                }
                Ok(None) if Instant::now() < until => thread::sleep(pause),
                Ok(None) | Err(_) => return None,
            }
            pause = (pause * 2).min(SLICE);
        }
    }

    /// Closes its input and waits; then a signal, and in the end the one that no process survives.
    pub(crate) fn close(&mut self) -> Result<(), SessionError> {
        if self.reaped {
            return Ok(());
        }
        self.close_pipes();
        let begun = Instant::now();
        let mut status = self.wait(begun + SHORT);
        if status.is_none() {
            if interrupt::received().is_some() && !self.told.load(Ordering::Relaxed) {
                // It may be preparing, or in the middle of a batch, and not look at its input.
                self.signal(Signal::SIGTERM);
            }
            status = self.wait(begun + CLOSE_LIMIT);
        }
        self.ended(status, begun)
    }

    /// Closes its input and waits until `until` for it to end by itself, whatever signal came to us.
    pub(crate) fn close_by(&mut self, until: Instant) -> Result<(), SessionError> {
        if self.reaped {
            return Ok(());
        }
        self.stdin = None;
        let begun = Instant::now();
        let status = self.wait(until);
        self.ended(status, begun)
    }

    /// What is to be said of its having ended with `status`; it is ended if it has not, since `begun`.
    fn ended(&mut self, status: Option<ExitStatus>, begun: Instant) -> Result<(), SessionError> {
        let Some(status) = status else {
            self.end();
            return Err(SessionError::Stuck {
                what: "cleaning up".into(),
                seconds: begun.elapsed().as_secs(),
                stderr: self.last_words(),
            });
        };
        let failed = self.lines.try_iter().find_map(|line| match line {
            Ok(Message::Failed { error, exit }) => Some((error, exit)),
            _ => None,
        });
        match failed {
            // Starts that failed have been recorded one by one already.
            Some((_, exit)) if Exit::from_code(exit) == Exit::StartFailed => Ok(()),
            Some((error, exit)) => Err(SessionError::Said {
                error,
                exit: Exit::from_code(exit),
            }),
            None if status.success() || interrupt::received().is_some() => Ok(()),
            None => Err(SessionError::Died {
                status: status.to_string(),
                stderr: self.last_words(),
            }),
        }
    }

    fn end(&mut self) {
        self.close_pipes();
        self.signal(Signal::SIGTERM);
        if self.wait(Instant::now() + self.patience).is_none() {
            // The whole group: children of a driver that is stuck would be orphans.
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.wait(Instant::now() + self.patience);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.close();
        if fs::metadata(&self.log).is_ok_and(|m| m.len() == 0) {
            let _ = fs::remove_file(&self.log);
        }
    }
}

/// That a signal came to us, if one did.
pub(crate) fn interrupted() -> Option<SessionError> {
    interrupt::received().map(SessionError::Interrupted)
}

/// A pipe through which workers are woken, so that writing never waits, and the page that goes with it: the descriptors that `command` is to have, and
/// is told of, and our ends.
fn releases(command: &mut Command) -> Result<([OwnedFd; 2], OwnedFd, ReleasePage), Errno> {
    let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETPIPE_SZ(RELEASES_BYTES))?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let (page, memory) = ReleasePage::make()?;
    let fds = [theirs.as_raw_fd(), memory.as_raw_fd()];
    for (option, fd) in ["--releases", "--release-page"].into_iter().zip(fds) {
        command.args([option, &fd.to_string()]);
    }
    let keep = move || {
        for fd in fds {
            // SAFETY: the descriptor is open in the child, a copy of ours, until it executes the driver.
            let kept = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(kept, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: two system calls, which are async-signal-safe; nothing is allocated.
    unsafe { command.pre_exec(keep) };
    Ok(([theirs, memory], ours, page))
}

fn read_lines(stdout: ChildStdout, sender: &mpsc::Sender<Result<Message, SessionError>>) {
    for line in BufReader::new(stdout).lines() {
        let message = match line {
            Ok(line) => parse_line(&line).map_err(SessionError::from),
            Err(error) => Err(SessionError::Unreadable(error)),
        };
        if sender.send(message).is_err() {
            return;
        }
    }
}
