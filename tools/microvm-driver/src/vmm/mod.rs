//! A virtual machine monitor that runs as a process: its start, its guest's serial port, its end.

mod console;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use measure_core::contract::answer::{Content, Taking};
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::spawn::{Child, Program};
use nix::fcntl::OFlag;
use nix::sys::wait::WaitStatus;
use nix::unistd::pipe2;

use self::console::Console;
use crate::guest;
use crate::limit::Limit;

/// How long one look for its end takes, so that a signal is noticed in time.
const SLICE: Duration = Duration::from_millis(100);

/// What the guest's serial port is fed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing: the null device.
    Nothing,
    /// These bytes, which wait for the guest, and what is sent later.
    Bytes(&'static [u8]),
}

/// A running monitor. Dropping it kills it and removes what it leaves.
#[derive(Debug)]
pub struct Vmm {
    name: &'static str,
    /// Killed and collected on drop, before what it leaves is removed: until then it may still make files.
    child: Child,
    _leaves: Leaves,
    console: Console,
    input: Option<File>,
}

impl Vmm {
    /// Starts `program`, called `name` in messages. `leaves` are files and directories that it makes and may leave behind.
    ///
    /// # Errors
    /// No pipe or process to be had, or the program cannot be executed.
    pub fn spawn(
        name: &'static str,
        program: &Program,
        input: Input,
        leaves: Vec<PathBuf>,
    ) -> Result<Self, DriverError> {
        let cannot = |e: io::Error| DriverError::failed(format!("cannot start {name}"), e);
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|e| cannot(e.into()));
        let (output, theirs) = pipe()?;
        let (stdin, input) = match input {
            Input::Nothing => (File::open("/dev/null").map_err(cannot)?.into(), None),
            Input::Bytes(bytes) => {
                let (stdin, input): (OwnedFd, OwnedFd) = pipe()?;
                let mut input = File::from(input);
                input.write_all(bytes).map_err(cannot)?;
                (stdin, Some(input))
            }
        };
        let child = program
            .spawn([stdin.as_fd(), theirs.as_fd(), theirs.as_fd()])
            .map_err(cannot)?;
        Ok(Self {
            name,
            child,
            _leaves: Leaves(leaves),
            console: Console::new(output),
            input,
        })
    }

    /// Whether it has ended, without waiting.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.console.is_closed() || self.child.ended(Duration::ZERO).unwrap_or(true)
    }

    /// Sends `byte` to the guest's serial port.
    ///
    /// # Errors
    /// It no longer reads.
    pub fn send(&mut self, byte: u8) -> Result<(), DriverError> {
        let sent = match &mut self.input {
            Some(input) => input.write_all(&[byte]),
            None => Err(io::Error::other("its serial port has no input")),
        };
        sent.map_err(|e| self.failed("a byte cannot be sent to the guest", e))
    }

    /// Waits for the guest to say the line `wanted`.
    ///
    /// # Errors
    /// It ends before, or does not say it within the limit.
    pub fn hear(&mut self, wanted: &str, limit: &Limit) -> Result<(), DriverError> {
        self.hear_line(limit, wanted, &|line| (line == wanted).then_some(()))
    }

    /// Waits until a Linux guest says how its function ended.
    ///
    /// # Errors
    /// As [`Self::hear`], or its exit code is not 0.
    pub fn hear_exit(&mut self, function: &str, limit: &Limit) -> Result<(), DriverError> {
        let code = self.hear_line(limit, "how the function ended", &exit_code)?;
        check_exit_code(function, code)
    }

    /// What the function of a Linux guest writes until it ends, and its exit code. The serial port's line ends are made into the
    /// function's own again; a function that does not end its last line is not understood.
    ///
    /// # Errors
    /// As [`Self::hear`].
    pub fn hear_answer(&mut self, limit: &Limit) -> Result<(Content, i32), DriverError> {
        let said = RefCell::new(Taking::default());
        let code = self.hear_line(limit, "how the function ended", &|line| {
            let code = exit_code(line);
            if code.is_none() {
                let mut said = said.borrow_mut();
                said.take(line.as_bytes());
                said.take(b"\n");
            }
            code
        })?;
        Ok((said.into_inner().finish(), code))
    }

    fn hear_line<T>(
        &mut self,
        limit: &Limit,
        what: &str,
        wanted: &dyn Fn(&str) -> Option<T>,
    ) -> Result<T, DriverError> {
        loop {
            if let Some(found) = self.console.find_line(wanted) {
                return Ok(found);
            }
            match self.console.listen(limit) {
                Ok(true) => {}
                Ok(false) => return Err(self.ended_early(what)),
                Err(expired) => {
                    return Err(
                        self.failed(&format!("`{what}` was not said by the guest"), expired)
                    );
                }
            }
        }
    }

    /// Reads what it still says for `time`.
    pub fn settle(&mut self, time: Duration) {
        let limit = Limit::after(time);
        while let Ok(true) = self.console.listen(&limit) {}
    }

    /// Whether it has ended, or its guest has said that the function did, as far as that has been read.
    #[must_use]
    pub fn function_ended(&self) -> bool {
        let text = self.console.unread();
        let says_so = |line: &str| line.starts_with(guest::EXIT);
        text.lines().any(says_so) || self.has_ended()
    }

    /// Waits for its end by itself, collects it, removes what it leaves, and checks that it ended well.
    ///
    /// # Errors
    /// Not within the limit, or with an exit code or signal.
    pub fn finish(mut self, limit: &Limit) -> Result<(), DriverError> {
        loop {
            match self.console.listen(limit) {
                Ok(true) => {}
                Ok(false) => break,
                Err(expired) => return Err(self.failed("it did not end after its guest", expired)),
            }
        }
        // Its output closes a little before it can be collected.
        while !self.child.ended(SLICE).unwrap_or(true) {
            if let Err(expired) = limit.left() {
                return Err(self.failed("it closed its output and did not end", expired));
            }
            std::thread::yield_now();
        }
        let status = self.child.reap();
        match status {
            Ok(WaitStatus::Exited(_, 0)) => Ok(()),
            Ok(status) => Err(self.failed("it failed", in_words(status))),
            Err(error) => Err(DriverError::failed("cannot wait for a process", error)),
        }
    }

    /// The error that it ended before `what`.
    pub fn ended_early(&mut self, what: &str) -> DriverError {
        // What it said last may still be in the pipe; how it ended is soon known.
        let limit = Limit::after(SLICE);
        while let Ok(true) = self.console.listen(&limit) {}
        let how = match self.child.ended(SLICE) {
            Ok(true) => self.child.reap().map_or_else(|e| e.to_string(), in_words),
            _ => "it closed its output".into(),
        };
        self.failed(&format!("it ended before `{what}`"), how)
    }

    /// The failure of this start: what, why, and what the monitor said last.
    #[must_use]
    pub fn failed(&self, what: &str, cause: impl std::fmt::Display) -> DriverError {
        let said = self.console.last_words();
        DriverError::StartFailed(format!("{}: {what}: {cause}; {said}", self.name))
    }
}

/// The exit code that a Linux guest says on this line.
fn exit_code(line: &str) -> Option<i32> {
    let code = line.strip_prefix(guest::EXIT)?.strip_prefix(' ')?;
    code.parse().ok()
}

/// Fails if `function` ended with another exit code than 0.
///
/// # Errors
/// It did.
pub fn check_exit_code(function: &str, code: i32) -> Result<(), DriverError> {
    if code == 0 {
        return Ok(());
    }
    let words = format!("{function} ended with exit code {code}");
    Err(DriverError::Exited { code, words })
}

/// Files and directories that a monitor makes for itself, removed on drop.
#[derive(Debug)]
struct Leaves(Vec<PathBuf>);

impl Drop for Leaves {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
        }
    }
}

fn in_words(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit code {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("killed by {signal}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str, input: Input) -> Vmm {
        let arguments = ["-c", script].map(OsStr::new);
        let program = Program::new(Path::new("/bin/sh"), arguments, []).expect("a program");
        Vmm::spawn("sh", &program, input, Vec::new()).expect("started")
    }

    #[test]
    fn lines_are_heard_in_order_whatever_surrounds_them() {
        let limit = Limit::after(LONG);
        let script = "printf 'hel'; sleep 0.02; printf 'lo\\r\\nhello there\\nexit 0\\n'";
        let mut vmm = shell(script, Input::Nothing);
        vmm.hear("hello", &limit).expect("said");
        vmm.hear_exit("demo/noop", &limit).expect("0");
        vmm.finish(&limit).expect("ended");
    }

    #[test]
    fn failures_say_what_was_said_last() {
        let limit = Limit::after(LONG);
        let mut vmm = shell("echo no such luck >&2; exit 3", Input::Nothing);
        let error = vmm
            .hear("hello", &limit)
            .expect_err("never said")
            .to_string();
        assert!(error.contains("exit code 3"), "{error}");
        assert!(error.contains("no such luck"), "{error}");
        let mut vmm = shell("echo exit 7", Input::Nothing);
        let error = vmm
            .hear_exit("demo/noop", &limit)
            .expect_err("7")
            .to_string();
        assert_eq!(error, "demo/noop ended with exit code 7");
        let error = shell("kill -9 $$", Input::Nothing)
            .finish(&limit)
            .expect_err("killed");
        assert!(error.to_string().contains("SIGKILL"), "{error}");
    }

    #[test]
    fn silence_has_a_limit_and_the_process_goes() {
        let limit = Limit::after(Duration::from_millis(50));
        let mut vmm = shell("exec sleep 1000", Input::Nothing);
        let error = vmm.hear("hello", &limit).expect_err("silent").to_string();
        assert!(error.contains("--timeout"), "{error}");
        assert!(!vmm.has_ended());
        let error = vmm
            .finish(&Limit::after(Duration::from_millis(50)))
            .expect_err("runs on");
        assert!(error.to_string().contains("did not end"), "{error}");
    }

    #[test]
    fn what_is_sent_arrives_and_chatter_is_cut() {
        let limit = Limit::after(LONG);
        let script =
            "read -r a; head -c 200000 /dev/zero | tr '\\0' 'x'; echo; echo $a; read -r b; echo $b";
        let mut vmm = shell(script, Input::Bytes(b"first\n"));
        vmm.hear("first", &limit).expect("said");
        assert!(vmm.console.kept().len() <= console::KEPT_BYTES);
        vmm.send(b'2').expect("sent");
        vmm.send(b'\n').expect("sent");
        vmm.hear("2", &limit).expect("said");
        vmm.finish(&limit).expect("ended");
    }
}
