//! What a driver did, once it has ended.

use std::borrow::BorrowMut;
use std::process::{Command, Stdio};

use measure_core::contract::Scope;
use measure_core::contract::protocol::{BatchEnd, Message, StartSample, parse_line};

use crate::left;

/// What a driver that has ended did.
#[derive(Debug)]
pub struct Ended {
    /// The process id that it had.
    pub pid: i32,
    /// Its exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

/// Runs `command` to its end, without standard input.
///
/// # Panics
/// It cannot be executed.
pub fn run(mut command: impl BorrowMut<Command>) -> Ended {
    let child = command
        .borrow_mut()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the driver");
    let pid = child.id().cast_signed();
    let output = child.wait_with_output().expect("it ends");
    Ended {
        pid,
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ended {
    /// Its standard output as lines of the protocol.
    ///
    /// # Panics
    /// A line is none.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.stdout.lines().map(message).collect()
    }

    /// The starts it made, in its order.
    ///
    /// # Panics
    /// As [`Self::messages`].
    #[must_use]
    pub fn samples(&self) -> Vec<StartSample> {
        let sample = |message| match message {
            Message::Sample(sample) => Some(sample),
            _ => None,
        };
        self.messages().into_iter().filter_map(sample).collect()
    }

    /// The first batch it ended.
    ///
    /// # Panics
    /// There is none, or as [`Self::messages`].
    #[must_use]
    pub fn batch(&self) -> BatchEnd {
        let batch = |message| match message {
            Message::Batch(batch) => Some(batch),
            _ => None,
        };
        let found = self.messages().into_iter().find_map(batch);
        found.unwrap_or_else(|| panic!("no batch: {self:?}"))
    }

    /// The scope it named.
    ///
    /// # Panics
    /// There is none, or as [`Self::messages`].
    #[must_use]
    pub fn scope(&self) -> Scope {
        let scope = |message| match message {
            Message::Scope { scope, .. } => Some(scope),
            _ => None,
        };
        let found = self.messages().into_iter().find_map(scope);
        found.unwrap_or_else(|| panic!("no scope: {self:?}"))
    }

    /// Itself, if it made `count` starts, all good, each with these `phases`, which sum to its total.
    ///
    /// # Panics
    /// It did not, or as [`Self::messages`].
    #[track_caller]
    pub fn made_starts(&self, count: usize, phases: &[&str]) -> &Self {
        let samples = self.samples();
        assert_eq!(samples.len(), count, "{self:?}");
        for sample in samples {
            assert_phases(&sample, phases.iter().copied());
        }
        self
    }

    /// Itself, if `words` are among what it said on standard error.
    ///
    /// # Panics
    /// They are not; the message shows the whole run.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(self.stderr.contains(words), "no `{words}`: {self:?}");
        self
    }

    /// Itself, if it ended with `code` and all of `words` are among what it said on standard error.
    ///
    /// # Panics
    /// As [`Self::expect`] and [`Self::says`].
    #[track_caller]
    pub fn assert_failed(&self, code: i32, words: &[&str]) -> &Self {
        self.expect(code);
        for word in words {
            self.says(word);
        }
        self
    }

    /// Both its streams, standard error first.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}{}", self.stderr, self.stdout)
    }

    /// Itself, if it ended with `code` and all of `words` are among what it [said](Self::said).
    ///
    /// # Panics
    /// It did not, or they are not; the message shows the whole run.
    #[track_caller]
    pub fn assert_ended(&self, code: i32, words: &[&str]) -> &Self {
        self.expect(code);
        for word in words {
            assert!(self.said().contains(word), "no `{word}`: {self:?}");
        }
        self
    }

    /// Whether nothing of it is left on this host ([`left::behind`]).
    ///
    /// # Panics
    /// Something is.
    #[track_caller]
    pub fn left_nothing(&self) {
        assert_eq!(left::behind(self.pid), [""; 0], "{self:?}");
    }

    /// Itself, if it ended with `code`.
    ///
    /// # Panics
    /// It did not; the message shows the whole run.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// Checks that the start `sample` went well, with phases of these `names`, which sum to its total.
///
/// # Panics
/// Otherwise.
#[track_caller]
pub fn assert_phases<'a>(sample: &StartSample, names: impl IntoIterator<Item = &'a str>) {
    assert_eq!(sample.error, None);
    let (found, spans): (Vec<_>, Vec<_>) = sample.phases.iter().cloned().unzip();
    assert_eq!(found, names.into_iter().collect::<Vec<_>>());
    assert_eq!(spans.iter().sum::<u64>(), sample.total_ns);
}

pub(super) fn message(line: &str) -> Message {
    parse_line(line).unwrap_or_else(|e| panic!("no line of the protocol ({e}): {line}"))
}
