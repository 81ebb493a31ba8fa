//! A driver's executable at work.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::contract::Scope;
use measure_core::contract::protocol::{BatchEnd, Message, StartSample};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ended::{Ended, message};

/// A driver at work, its standard input held open. Killed on drop if it has not ended.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub child: Child,
    /// Its standard input; `None` once closed.
    pub input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    stdout: String,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    /// Starts `command`.
    ///
    /// # Panics
    /// It cannot be executed.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the driver");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut errors = child.stderr.take().expect("its standard error");
        let stderr = Arc::new(Mutex::new(Vec::new()));
        // Read as it comes, so that it cannot block; never waited for, as what a driver has started may
        // hold the other end for longer than a test waits.
        let theirs = stderr.clone();
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = errors.read(&mut part) {
                let mut all = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend_from_slice(&part[..length]);
            }
        });
        Self {
            child,
            input,
            output,
            stdout: String::new(),
            stderr,
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Its living children.
    #[must_use]
    pub fn children(&self) -> Vec<i32> {
        crate::children(self.pid())
    }

    /// The next message; `None` at the end of its output.
    ///
    /// # Panics
    /// The line is no message.
    #[expect(clippy::should_implement_trait, reason = "it would be no use as one")]
    pub fn next(&mut self) -> Option<Message> {
        let from = self.stdout.len();
        self.output.read_line(&mut self.stdout).expect("a line");
        let line = &self.stdout[from..];
        (!line.is_empty()).then(|| message(line.trim_end()))
    }

    /// The first message that `wanted` accepts.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        while let Some(message) = self.next() {
            if wanted(&message) {
                return message;
            }
        }
        let status = self.child.wait().expect("ended");
        panic!(
            "the driver ended early ({status}): {}\n{}",
            self.stdout,
            self.errors()
        );
    }

    /// Reads until the scope and returns it.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn scope(&mut self) -> Scope {
        match self.until(|line| matches!(line, Message::Scope { .. })) {
            Message::Scope { scope, .. } => scope,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until it is ready for its first batch, or to park.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn until_ready(&mut self) {
        self.until(|line| *line == Message::Ready);
    }

    /// Reads until the next start and returns it.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn until_sample(&mut self) -> StartSample {
        match self.until(|line| matches!(line, Message::Sample(_))) {
            Message::Sample(sample) => sample,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until the end of a batch and returns it.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn until_batch(&mut self) -> BatchEnd {
        match self.until(|line| matches!(line, Message::Batch(_))) {
            Message::Batch(batch) => batch,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until its workers are parked; how many.
    ///
    /// # Panics
    /// It ends before.
    #[track_caller]
    pub fn until_parked(&mut self) -> usize {
        match self.until(|line| matches!(line, Message::Parked { .. })) {
            Message::Parked { workers } => workers,
            other => panic!("{other:?}"),
        }
    }

    /// Writes `line` to its standard input.
    ///
    /// # Panics
    /// That is closed.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open input");
        writeln!(input, "{line}").expect("said");
    }

    /// The go-ahead for one batch, or for parking.
    ///
    /// # Panics
    /// As [`Self::say`].
    pub fn go(&mut self) {
        self.say("");
    }

    /// Sends it `signal`.
    ///
    /// # Panics
    /// It has been collected already.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("sent");
    }

    /// Its exit code, once it has ended; what it still says is read meanwhile. Its standard input stays as it
    /// is.
    ///
    /// # Panics
    /// It says what is no message.
    pub fn code(&mut self) -> Option<i32> {
        while self.next().is_some() {}
        self.child.wait().expect("ended").code()
    }

    /// Closes its standard input and waits for its end.
    ///
    /// # Panics
    /// It says what is no message, or takes longer than [`PATIENCE`](crate::PATIENCE).
    pub fn end(mut self) -> Ended {
        self.input = None;
        let begun = Instant::now();
        let code = self.code();
        assert!(begun.elapsed() < crate::PATIENCE, "it did not end");
        Ended {
            pid: self.pid(),
            code,
            stdout: std::mem::take(&mut self.stdout),
            stderr: self.errors(),
        }
    }

    /// What it said on standard error, once it has ended.
    fn errors(&self) -> String {
        // Its reader holds the other one until all is read.
        for _ in 0..100 {
            if Arc::strong_count(&self.stderr) == 1 {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let all = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&all).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already in a test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    const ENDED: &str = r#"{"v":1,"msg":"ended"}"#;

    #[test]
    fn what_was_said_before_and_after_is_kept() {
        let script = format!(
            r#"echo '{{"v":1,"msg":"ready"}}'; read line; echo "$line" >&2; echo '{ENDED}'; exit 3"#
        );
        let mut running = Running::start(sh(&script));
        assert_eq!(
            running.until(|m| *m == Message::Ready),
            Message::Ready,
            "said before it is told to go"
        );
        running.say("hello");
        let ended = running.end();
        ended.expect(3);
        assert_eq!(ended.messages(), [Message::Ready, Message::Ended]);
        assert_eq!(ended.stderr, "hello\n");
        let ran = run(sh(&format!("echo because >&2; echo '{ENDED}'; exit 1")));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "because\n"));
        assert_eq!(ran.messages(), [Message::Ended]);
    }

    #[test]
    #[should_panic(expected = "no such engine")]
    fn an_early_end_fails_with_what_was_said() {
        let script = format!("echo no such engine >&2; echo '{ENDED}'");
        Running::start(sh(&script)).until(|m| *m == Message::Ready);
    }

    #[test]
    #[should_panic(expected = "no line of the protocol")]
    fn what_is_no_message_fails() {
        let _ = run(sh("echo hello")).messages();
    }

    #[test]
    fn a_dropped_one_is_killed() {
        let running = Running::start(sh("exec sleep 1000"));
        let pid = running.pid();
        assert!(crate::alive(pid));
        drop(running);
        assert!(!crate::alive(pid));
    }
}
