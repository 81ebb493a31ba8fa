//! Starting and ending `engine-init`.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use measure_core::base::interrupt;
use measure_core::base::programs::search_path;
use measure_core::driver_kit::kept::{Born, Kept};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::init::{COMMAND, InitConfig, InitError, STOP, Step};

/// A running `engine-init`. Dropping it kills the engine and waits until all of it is dead.
#[derive(Debug)]
pub struct InitChild {
    kept: Kept<ExitStatus>,
    pipe: Option<ChildStdin>,
}

impl InitChild {
    /// Starts it as init of a new process id namespace, its output going to `log`.
    ///
    /// # Errors
    /// The kernel refuses the namespace or the process.
    pub fn start(config: &InitConfig, log: &File) -> Result<Self, InitError> {
        let log = log.try_clone().step("share the log")?;
        let no_thread = |cause| InitError::at("start a thread", cause);
        // In a thread of its own: `unshare` changes for good in which namespace its children are born.
        let (kept, mut pipe) = Kept::start("engine", no_thread, move || spawn(log))?;
        let mut line = serde_json::to_vec(config).step("write the configuration")?;
        line.push(b'\n');
        let written = pipe.write_all(&line);
        let child = Self {
            kept,
            pipe: Some(pipe),
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
        self.kept.pid().as_raw()
    }

    /// How it ended, if it has: then every process of the engine is dead.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.kept.ended()
    }

    /// Waits for its end, at most `limit`, and only until a signal comes if `interruptible`; whether
    /// it has ended.
    pub fn wait(&self, limit: Duration, interruptible: bool) -> bool {
        let is_off = || interruptible && interrupt::received().is_some();
        self.kept.wait(limit, is_off)
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
            self.kept.signal(Signal::SIGKILL);
        }
        self.kept.join();
    }
}

impl Drop for InitChild {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(log: File) -> Result<Born<impl FnOnce() -> ExitStatus, ChildStdin>, InitError> {
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
    let with = pipe.step("open a pipe")?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // Dead it is, whatever became of its status.
    let collect = move || {
        let killed = ExitStatus::from_raw(libc::SIGKILL);
        child.wait().unwrap_or(killed)
    };
    Ok(Born { pid, collect, with })
}
