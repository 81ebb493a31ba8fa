//! Starting and ending `engine-init`.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::base::programs::search_path;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::init::{COMMAND, InitConfig, InitError, STOP, Step};

/// How often a wait looks at the interrupt flag.
const TICK: Duration = Duration::from_millis(20);

/// A running `engine-init`. Dropping it kills the engine and waits until all of it is dead.
#[derive(Debug)]
pub struct InitChild {
    /// Its process id outside.
    pid: i32,
    pipe: Option<ChildStdin>,
    ended: Arc<Ended>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Ended {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InitChild {
    /// Starts it as init of a new process id namespace, its output going to `log`.
    ///
    /// # Errors
    /// The kernel refuses the namespace or the process.
    pub fn start(config: &InitConfig, log: &File) -> Result<Self, InitError> {
        let log = log.try_clone().step("share the log")?;
        let ended = Arc::new(Ended::default());
        let (send, receive) = mpsc::channel();
        let shared = Arc::clone(&ended);
        // A thread of its own: `unshare` changes for good in which namespace the children of the
        // calling thread are born, and the parent-death signal comes when the thread that started
        // the child ends; so this one stays until the child is dead.
        let keeper = thread::Builder::new()
            .name("engine".into())
            .spawn(move || keep(log, &shared, &send))
            .step("start a thread")?;
        let (pid, mut pipe) = receive
            .recv()
            .map_err(io::Error::other)
            .step("start a thread")??;
        let mut line = serde_json::to_vec(config).step("write the configuration")?;
        line.push(b'\n');
        let written = pipe.write_all(&line);
        let child = Self {
            pid,
            pipe: Some(pipe),
            ended,
            keeper: Some(keeper),
        };
        // A child that ended before it read all has said why in the log.
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error).step("write the configuration")
            }
            _ => Ok(child),
        }
    }

    /// Its process id outside of its namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How it ended, if it has: then every process of the engine is dead.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.lock()
    }

    /// Waits for its end, at most `limit`, and only until a signal comes if `interruptible`; whether
    /// it has ended.
    pub fn wait(&self, limit: Duration, interruptible: bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut status = self.ended.lock();
        while status.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (interruptible && interrupt::received().is_some()) {
                return false;
            }
            status = self
                .ended
                .changed
                .wait_timeout(status, left.min(TICK))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Asks the daemon to end in good order.
    pub fn ask_to_stop(&mut self) {
        if let Some(pipe) = &mut self.pipe {
            // A broken pipe means that it has ended already.
            let _ = pipe.write_all(&[STOP]);
        }
    }

    /// Kills the engine and waits until the kernel has ended all of it.
    pub fn kill(&mut self) {
        self.pipe = None;
        if !self.wait(Duration::from_millis(500), false) {
            let status = self.ended.lock();
            if status.is_none() {
                // Not reaped while the lock is held, so the id is still its own.
                let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
            }
        }
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

impl Drop for InitChild {
    fn drop(&mut self) {
        self.kill();
    }
}

type Started = Result<(i32, ChildStdin), InitError>;

fn keep(log: File, ended: &Ended, send: &mpsc::Sender<Started>) {
    match spawn(log) {
        Err(error) => {
            let _ = send.send(Err(error));
        }
        Ok((mut child, pipe)) => {
            let pid = child.id().cast_signed();
            let _ = send.send(Ok((pid, pipe)));
            let _ = waitid(
                Id::Pid(Pid::from_raw(pid)),
                WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
            );
            let mut status = ended.lock();
            // Dead it is, whatever became of its status.
            let killed = ExitStatus::from_raw(libc::SIGKILL);
            *status = Some(child.wait().unwrap_or(killed));
            ended.changed.notify_all();
        }
    }
}

fn spawn(log: File) -> Result<(Child, ChildStdin), InitError> {
    unshare(CloneFlags::CLONE_NEWPID).step("make a process id namespace")?;
    let mut child = Command::new("/proc/self/exe")
        .arg0("docker-driver")
        .arg(COMMAND)
        .env("PATH", search_path(&[]))
        .stdin(Stdio::piped())
        .stdout(log.try_clone().step("share the log")?)
        .stderr(log)
        .spawn()
        .step("start engine-init")?;
    let pipe = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe);
    let pipe = pipe.step("open a pipe")?;
    Ok((child, pipe))
}
